"""The observer of a run's progress."""

from typing import Protocol


class BackfillObserver(Protocol):
    """Receives the progress of a run. Its methods must not raise."""

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        """
        A stage of a run begins.

        Args:
            name: The stage.
            total: How many rows it handles, roughly.
            run: The run.
            counts_sessions: Whether these rows are sessions; if not, they are addresses.
        """
        ...

    def batch_done(self, handled: int, seconds: float) -> None:
        """A batch was committed."""
        ...

    def waiting_for(self, reason: str) -> None:
        """The run waits for a reason, such as replication lag; "" when it continues."""
        ...


class NoProgress:
    """Ignores all progress."""

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        """Do nothing."""

    def batch_done(self, handled: int, seconds: float) -> None:
        """Do nothing."""

    def waiting_for(self, reason: str) -> None:
        """Do nothing."""
