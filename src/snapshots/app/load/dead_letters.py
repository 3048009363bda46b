"""Decide which invalid lines of a content are stored as dead letters, and count the others."""

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

from snapshots.app.ports.log_source import BadLine, Reason
from snapshots.app.ports.logs import DeadLetter

MOST_BYTES = 1024 * 1024
"""Dead letters of one content per load, in bytes: a log of another program may have gigabytes."""

ROW_BYTES = 256
"""Bytes added per dead letter for its row, so that the number of very short ones is bounded too."""

UNFINISHED = frozenset({Reason.UNFINISHED_LINE, Reason.UNFINISHED_FILE})
OF_FILES = frozenset({Reason.UNFINISHED_FILE, Reason.DAMAGED_FILE})

PHRASES: Mapping[Reason, str] = {
    Reason.NOT_JSON: "not JSON",
    Reason.NOT_AN_OBJECT: "not a JSON object",
    Reason.NOT_COWRIE: "without a Cowrie eventid",
    Reason.NO_SESSION: "without a session",
    Reason.NO_TIME: "without a time",
    Reason.NUL_BLOCK: "NUL bytes",
    Reason.TOO_LONG: "too long",
    Reason.UNFINISHED_LINE: "incomplete",
    Reason.UNFINISHED_FILE: "with truncated compressed data",
    Reason.DAMAGED_FILE: "with corrupt compressed data",
}


class RejectedLines:
    """
    The invalid lines of one content. The first ones are stored, up to `MOST_BYTES`; the rest is counted.

    Args:
        source: The content's name.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._may_grow = False
        self._reasons = Counter[Reason]()
        self._kept = set[str]()
        self._kept_bytes = self._left_out_bytes = 0
        self._first_left_out: BadLine | None = None
        self.left_out = 0
        """Number of lines that were not stored."""
        self.is_unfinished = False
        """Whether the content ended incomplete and may still be written."""

    def begin(self, *, may_grow: bool) -> None:
        """
        Start or continue reading the content.

        Args:
            may_grow: Whether it may still be written; then an incomplete end is not stored, but read again later.
        """
        self._may_grow, self.is_unfinished = may_grow, False

    def dead_letter_of(self, line: BadLine) -> DeadLetter | None:
        """Return the dead letter to store for a line; None if the line is only counted."""
        if line.reason in UNFINISHED and self._may_grow:
            self.is_unfinished = True
            self._reasons.update([line.reason] if line.reason in OF_FILES else [])
            return None
        self._reasons[line.reason] += 1
        dead_letter = dead_letter_of(line, source=self._source)
        if dead_letter.identity not in self._kept:
            size = ROW_BYTES + len(line.payload)
            if self._kept_bytes + size > MOST_BYTES and line.reason not in OF_FILES:
                self.left_out += 1
                self._left_out_bytes += len(line.payload)
                self._first_left_out = self._first_left_out or line
                return None
            self._kept.add(dead_letter.identity)
            self._kept_bytes += size
        return dead_letter

    def rest(self) -> DeadLetter | None:
        """Return the dead letter with the number of lines that were not stored; None if all were."""
        first = self._first_left_out
        if first is None:
            return None
        text = (
            f"{self.left_out:,} more lines are not valid events and were not kept, "
            f"{self._left_out_bytes:,} bytes; the first begins at byte {first.offset:,}"
        )
        return DeadLetter(
            identity=_identity(Reason.NOT_KEPT.value, first.payload),
            source=self._source,
            offset=first.offset,
            reason=Reason.NOT_KEPT,
            payload=text.encode(),
        )

    @property
    def why(self) -> str:
        """Return the reasons with their counts, the most frequent first; "" without any line."""
        return ", ".join(f"{count:,} {PHRASES[reason]}" for reason, count in self._reasons.most_common())


def dead_letter_of(line: BadLine, *, source: str) -> DeadLetter:
    """
    Return the dead letter of a line.

    Its identity is a hash of the line, independent of file and offset.
    """
    key = f"{line.reason.value} {line.offset}" if line.reason in OF_FILES else ""
    return DeadLetter(
        identity=_identity(key, line.payload),
        source=source,
        offset=line.offset,
        reason=line.reason,
        payload=line.payload,
    )


def _identity(key: str, payload: bytes) -> str:
    return blake2b(key.encode() + b"\0" + payload, digest_size=16).hexdigest()
