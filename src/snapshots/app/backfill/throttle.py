"""How fast a run works: rows per batch, seconds per batch and rows per second."""

from dataclasses import dataclass

MAX_PAUSE_SECONDS = 5.0
"""Longest pause after a batch with a rate, in seconds: a run that pauses for long looks dead to others."""

FIRST_BATCH, SMALLEST_BATCH, LARGEST_BATCH = 1000, 100, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """
    How fast to work.

    Attributes:
        batch_size: Rows per batch; None to start with 1000 and adapt to a size that takes about `seconds`.
        seconds: Target duration of a batch.
        rate: Maximum rows per second; None for no limit.
    """

    batch_size: int | None = None
    seconds: float = 1.0
    rate: float | None = None

    def next_size(self, size: int, handled: int, seconds: float) -> int:
        """Return the size of the next batch, at most twice the size of the one that handled rows in some seconds."""
        if self.batch_size is not None:
            return self.batch_size
        wanted = int(handled / max(seconds, 1e-3) * self.seconds)
        return max(min(SMALLEST_BATCH, self.largest), min(wanted, size * 2, self.largest))

    @property
    def first_size(self) -> int:
        """Return the size of the first batch."""
        return self.batch_size or min(FIRST_BATCH, self.largest)

    @property
    def largest(self) -> int:
        """Return the maximum size of a batch."""
        return LARGEST_BATCH if self.rate is None else max(1, min(LARGEST_BATCH, int(self.rate * MAX_PAUSE_SECONDS)))

    def pause_after(self, handled: int, seconds: float) -> float:
        """Return how many seconds to pause after a batch."""
        return max(0.0, handled / self.rate - seconds) if self.rate else 0.0
