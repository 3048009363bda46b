"""What single lines say, whoever reads them from their files."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from snapshots.adapters.cowrie.decode import LineDecoder
from snapshots.adapters.cowrie.streams import BLANK, BOM
from snapshots.app.lines import BadLine, LineOptions, LogEvent, Reason

HEAD = 64 * 1024
LONGEST_LINE = 16 * 1024 * 1024
LONGEST_PAYLOAD = 64 * 1024


def pieces_of(decoder: LineDecoder, line: bytes, reason: Reason, start: int) -> Sequence[LogEvent | BadLine]:
    """
    Take the event out of what a loss of power or an editor left around it.

    Args:
        decoder: Turns lines into events.
        line: One that is no event as it stands.
        reason: Why it is none.
        start: Where it starts.
    """
    said = decoder.decode(salvaged(line))
    if not isinstance(said, LogEvent):
        return [BadLine(Reason.NUL_BLOCK if _has_nuls(line) else reason, line[:LONGEST_PAYLOAD], start)]
    return [BadLine(Reason.NUL_BLOCK, line[:LONGEST_PAYLOAD], start), said] if _has_nuls(line) else [said]


def salvaged(line: bytes) -> bytes:
    """Return a line without NULs and white space around it, and without the mark that some editors put first."""
    return line.strip(BLANK + b"\x00").removeprefix(BOM)


def _has_nuls(line: bytes) -> bool:
    return b"\x00" in (line[:1], line[-1:])


def first_event_in(decoder: LineDecoder, beginning: bytes) -> tuple[str, datetime | None]:
    """Return a hash of the bytes of a content up to the end of its first event, and the event's time."""
    end = 0
    for line in beginning.split(b"\n"):
        end += len(line) + 1
        said = decoder.decode(salvaged(line))
        if isinstance(said, LogEvent):
            known = beginning[: end - 1].rstrip(BLANK + b"\x00")
            return blake2b(known, digest_size=16).hexdigest(), said.event.at
    return "", None


class LinesOfParts:
    """
    Tells what lines say that another program reads, in parts of files.

    Args:
        options: How they are read; what is laid out otherwise than in lines is not unfolded.
    """

    def __init__(self, options: LineOptions) -> None:
        self._decoder = LineDecoder(options)

    def said(self, line: bytes, start: int) -> Sequence[LogEvent | BadLine]:
        """Return what a line says that starts at an offset; nothing if it is blank."""
        text = line.strip(BLANK)
        if not text:
            return ()
        if len(text) > LONGEST_LINE and len(salvaged(text)) > LONGEST_LINE:
            return [BadLine(Reason.TOO_LONG, text[:LONGEST_PAYLOAD], start)]
        said = self._decoder.decode(text)
        return [said] if isinstance(said, LogEvent) else pieces_of(self._decoder, text, said, start)

    def head(self, beginning: bytes) -> str:
        """Return by what a file is known that begins so; "" while there is no event in it."""
        return first_event_in(self._decoder, beginning[:HEAD])[0]
