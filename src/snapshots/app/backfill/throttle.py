"""How fast a run works: rows per batch, seconds per batch and rows per second."""

from dataclasses import dataclass

MAX_PAUSE_SECONDS = 5.0
"""Seconds of work in a batch at most, where there is a rate: whoever rests long looks dead."""

FIRST_BATCH, SMALLEST_BATCH, LARGEST_BATCH = 1000, 100, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """
    How fast to work.

    Attributes:
        batch_size: How many a batch has; None to begin with 1000 and find a size that takes about `seconds`.
        seconds: How long a batch may take.
        rate: How many a second at most; None for no bound.
    """

    batch_size: int | None = None
    seconds: float = 1.0
    rate: float | None = None

    def next_size(self, size: int, handled: int, seconds: float) -> int:
        """Return how many the next batch has: at most twice as many as this one, which took some seconds."""
        if self.batch_size is not None:
            return self.batch_size
        wanted = int(handled / max(seconds, 1e-3) * self.seconds)
        return max(min(SMALLEST_BATCH, self.largest), min(wanted, size * 2, self.largest))

    @property
    def first_size(self) -> int:
        """Return how many the first batch has."""
        return self.batch_size or min(FIRST_BATCH, self.largest)

    @property
    def largest(self) -> int:
        """Return how many a batch has at most."""
        return LARGEST_BATCH if self.rate is None else max(1, min(LARGEST_BATCH, int(self.rate * MAX_PAUSE_SECONDS)))

    def pause_after(self, handled: int, seconds: float) -> float:
        """Return for how many seconds to rest after a batch."""
        return max(0.0, handled / self.rate - seconds) if self.rate else 0.0
