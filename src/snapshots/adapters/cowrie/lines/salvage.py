"""Extract the events of single lines that are damaged, joined or wrapped by a log shipper."""

import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from snapshots.adapters.cowrie.lines.byte_streams import BLANK, BOM, separator_of
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.envelope import events_in_object, events_in_row
from snapshots.adapters.cowrie.lines.fragments import SEPARATORS, whole_objects
from snapshots.app.ports.log_source import BadLine, LineOptions, LogEvent, Reason

LONGEST_LINE = 16 * 1024 * 1024
LONGEST_PAYLOAD = 64 * 1024

AROUND = BLANK + b"\x00\x1e,"
BULK_ACTION = re.compile(rb'\{\s*"(?:index|create)"\s*:\s*\{(?:\s*"\w+"\s*:\s*(?:"[^"\\]*"|\w+)\s*,?)*\}\s*\}')
"""An action line of Elasticsearch's bulk format, which precedes the line with the event."""


def parts_of_line(decoder: LineDecoder, line: bytes, reason: Reason, start: int) -> Sequence[LogEvent | BadLine]:
    """
    Return the events in a line that is not exactly one event, and its other parts as bad lines.

    A line may contain padding from a power loss or an editor, other events, truncated events, and the prefix or
    envelope of a log shipper.

    Args:
        decoder: Turns lines into events.
        line: The line, without white space around it.
        reason: Why it is not an event.
        start: Its offset in the content, in bytes.
    """
    bad = BadLine(Reason.NUL_BLOCK if _has_nuls(line) else reason, line[:LONGEST_PAYLOAD], start)
    bare = salvaged(line)
    decoded = decoder.decode(bare) if len(bare) < len(line) else reason
    if isinstance(decoded, LogEvent):
        return [bad, decoded] if _has_nuls(line) else [decoded]
    if BULK_ACTION.fullmatch(line):
        return ()
    return _parts_of(decoder, line, reason, start) or events_in_row(decoder, line) or [bad]


def _parts_of(decoder: LineDecoder, line: bytes, reason: Reason, start: int) -> list[LogEvent | BadLine]:
    """Return the events in a line and the bad lines between them; nothing if there is no event."""
    parts: list[LogEvent | BadLine] = []
    end, has_events = 0, False
    for found in whole_objects(line, is_first=start == 0):
        text = line[found.start : found.end]
        decoded = decoder.decode(text) if len(text) < len(line) else reason
        events = [decoded] if isinstance(decoded, LogEvent) else events_in_object(decoder, found.value)
        if not events:
            continue  # part of the bad line before the next event
        if not found.is_wrapped:
            parts += _rest(line, end, found.start, start)
        parts += events
        end, has_events = found.end, True
    return [*parts, *_rest(line, end, len(line), start)] if has_events else []


def _rest(line: bytes, begin: int, end: int, start: int) -> list[BadLine]:
    rest = line[begin:end].strip(SEPARATORS)
    at = start + line.index(rest, begin)
    return [BadLine(Reason.NOT_JSON, rest[:LONGEST_PAYLOAD], at)] if rest else []


def salvaged(line: bytes) -> bytes:
    """Return a line without NULs, commas and white space around it, and without a byte order mark."""
    return line.strip(AROUND).removeprefix(BOM)


def _has_nuls(line: bytes) -> bool:
    return b"\x00" in (line[:1], line[-1:])


def parts_of(decoder: LineDecoder, line: bytes, start: int) -> Sequence[LogEvent | BadLine]:
    """Return the parts of a stripped line: one event, or what `parts_of_line` finds."""
    decoded = decoder.decode(line)
    return [decoded] if isinstance(decoded, LogEvent) else parts_of_line(decoder, line, decoded, start)


def first_event_in(decoder: LineDecoder, beginning: bytes) -> tuple[str, datetime | None]:
    """Return a hash of the bytes of a content up to the end of its first line with an event, and the event's time."""
    end = 0
    for line in beginning.split(separator_of(beginning)):
        start, end = end, end + len(line) + 1
        text = line.strip(BLANK)
        for part in parts_of(decoder, text, start) if text else ():
            if isinstance(part, LogEvent):
                known = beginning[: end - 1].rstrip(BLANK + b"\x00")
                return blake2b(known, digest_size=16).hexdigest(), part.event.at
    return "", None


class CowrieLineParser:
    """
    Parses single lines that another program has read, such as Spark. JSON documents are not unfolded.

    Args:
        options: Options for decoding lines.
    """

    def __init__(self, options: LineOptions) -> None:
        self._decoder = LineDecoder(options)

    def parse(self, line: bytes, start: int) -> Sequence[LogEvent | BadLine]:
        """Return the events and bad lines of a line that starts at an offset; () for a blank line."""
        text = line.strip(BLANK)
        if not text:
            return ()
        if len(text) > LONGEST_LINE and len(salvaged(text)) > LONGEST_LINE:
            return [BadLine(Reason.TOO_LONG, text[:LONGEST_PAYLOAD], start)]
        return parts_of(self._decoder, text, start)


WHOLE = frozenset({Reason.NOT_AN_OBJECT, Reason.NOT_COWRIE, Reason.NO_SESSION, Reason.NO_TIME})
"""Reasons why a complete JSON text is not an event."""


def is_whole(line: bytes, reason: Reason) -> bool:
    """Whether a last line without a newline is complete JSON, so that nothing can be appended to it, as in exports."""
    return reason in WHOLE and line.endswith((b"}", b"]", b'"'))
