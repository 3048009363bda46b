"""One structured line for each batch, on stderr."""

import logging
import sys
from dataclasses import asdict
from typing import Any

from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.load.progress import BatchLoaded, LoadObserver
from snapshots.app.safe_text import one_line

_PROGRAM = logging.getLogger("snapshots")
"""Only its level is used: structlog takes long to import, and without -v nothing is logged."""


def configure_logs(*, verbose: bool) -> None:
    """If *verbose*, write a log line for each batch to stderr, as JSON unless it is a terminal."""
    _PROGRAM.setLevel(logging.INFO if verbose else logging.WARNING)
    if not verbose:
        return
    import structlog  # noqa: PLC0415 - see above

    for_people = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            for_people if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _logger() -> Any:
    """Return the logger of structlog; None if nothing is logged."""
    if not _PROGRAM.isEnabledFor(logging.INFO):
        return None
    import structlog  # noqa: PLC0415 - see above

    return structlog.get_logger("snapshots")


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
        self._log = _logger()

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
        if self._log is not None:
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
        self._log = _logger()

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        """Add the run and the stage to the following lines."""
        self._log = self._log.bind(run=run, stage=name) if self._log is not None else None
        self._next.stage_begun(name, total, run=run, counts_sessions=counts_sessions)

    def batch_done(self, handled: int, seconds: float) -> None:
        """Log one line."""
        if self._log is not None:
            self._log.info("batch_done", handled=handled, seconds=seconds)
        self._next.batch_done(handled, seconds)

    def waiting_for(self, reason: str) -> None:
        """Log the reason of a wait."""
        if self._log is not None:
            self._log.info("waiting", reason=reason)
        self._next.waiting_for(reason)
