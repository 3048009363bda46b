"""One structured line for each batch, on stderr."""

import logging
import sys
from dataclasses import asdict

import structlog

from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.load.progress import BatchLoaded, LoadObserver
from snapshots.app.safe_text import one_line


def configure_logs(*, verbose: bool) -> None:
    """Write log lines to stderr, as JSON unless it is a terminal: all of them if *verbose*, else only warnings."""
    for_people = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            for_people if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if verbose else logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def warn(sentence: str) -> None:
    """Print a warning to stderr in one line."""
    sys.stderr.write(f"Warning: {one_line(sentence)}\n")


class LoggedLoad:
    """
    Logs every batch of a load, and forwards to another observer.

    Args:
        next_observer: The observer that receives everything, too.
    """

    def __init__(self, next_observer: LoadObserver) -> None:
        self._next = next_observer
        self._log = structlog.get_logger("snapshots")

    def source_opened(self, name: str, size: int | None) -> None:
        """Forward."""
        self._next.source_opened(name, size)

    def bytes_read(self, count: int) -> None:
        """Forward."""
        self._next.bytes_read(count)

    def source_damaged(self, name: str, damage: str) -> None:
        """Print a warning."""
        warn(f"{name} is damaged: {damage}; the data before the damage is loaded")
        self._next.source_damaged(name, damage)

    def batch_loaded(self, batch: BatchLoaded) -> None:
        """Log one line with the batch's counts."""
        self._log.info("batch_loaded", **asdict(batch))
        self._next.batch_loaded(batch)


class LoggedWork:
    """
    Logs every batch of a backfill, and forwards to another observer.

    Args:
        next_observer: The observer that receives everything, too.
    """

    def __init__(self, next_observer: BackfillObserver) -> None:
        self._next = next_observer
        self._log = structlog.get_logger("snapshots")

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        """Add the run and the stage to the following lines."""
        self._log = self._log.bind(run=run, stage=name)
        self._next.stage_begun(name, total, run=run, counts_sessions=counts_sessions)

    def batch_done(self, handled: int, seconds: float) -> None:
        """Log one line."""
        self._log.info("batch_done", handled=handled, seconds=seconds)
        self._next.batch_done(handled, seconds)

    def waiting_for(self, reason: str) -> None:
        """Log the reason of a wait."""
        self._log.info("waiting", reason=reason)
        self._next.waiting_for(reason)
