"""Progress of a load, for observers."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLoaded:
    """
    One batch was stored.

    Attributes:
        run: The run that stored it.
        source: What was being read.
        events: New events in it.
        repeated: Events that were stored before.
        sessions: Sessions that were added or changed.
        sealed: Sessions that received their snapshot.
        dead_letters: New dead letters.
        seconds: How long reading and storing took.
    """

    run: str
    source: str
    events: int
    repeated: int
    sessions: int
    sealed: int
    dead_letters: int
    seconds: float


class LoadObserver(Protocol):
    """Receives the progress of a load; must not raise."""

    def source_opened(self, name: str, size: int | None) -> None:
        """A file or stream was opened; *size* in bytes, None if unknown."""
        ...

    def bytes_read(self, count: int) -> None:
        """*count* bytes of the source were read so far."""
        ...

    def source_damaged(self, name: str, damage: str) -> None:
        """A file is damaged, as *damage* describes; the events before the damage are stored."""
        ...

    def batch_loaded(self, batch: BatchLoaded) -> None:
        """A batch was committed."""
        ...


class NoLoadObserver:
    """Ignores all progress."""

    def source_opened(self, name: str, size: int | None) -> None:
        """Do nothing."""

    def bytes_read(self, count: int) -> None:
        """Do nothing."""

    def source_damaged(self, name: str, damage: str) -> None:
        """Do nothing."""

    def batch_loaded(self, batch: BatchLoaded) -> None:
        """Do nothing."""
