"""Decode lines that are stored in the database: dead letters, and events of this loader or of another."""

from collections.abc import Sequence

from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.salvage import parts_of, salvaged
from snapshots.app.ports.log_source import BadLine, LineOptions, LogEvent
from snapshots.domain.session.session import SessionEvent

_decoder = LineDecoder(LineOptions(keeps_lines=True))


def parts_of_dead_letter(line: bytes) -> Sequence[LogEvent | BadLine]:
    """Decode a dead letter as a line of a log is decoded."""
    return parts_of(_decoder, salvaged(line), start=1)


def stored_event(line: bytes) -> LogEvent | None:
    """Decode a line that was stored as one event, without padding from a power loss or an editor."""
    found = _decoder.decode(salvaged(line))
    return found if isinstance(found, LogEvent) else None


def event_of_another_loader(text: str) -> SessionEvent | None:
    """Decode an event that another loader stored."""
    found = stored_event(text.encode("utf-8", "surrogatepass"))
    return found.event if found is not None else None
