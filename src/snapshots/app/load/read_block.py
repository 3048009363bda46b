"""A block of lines that another process read: their events by session, added up, and the bad lines."""

import marshal
from collections.abc import Sequence
from dataclasses import astuple
from typing import NamedTuple

from snapshots.app.load.logged_session import PackedRecords, ReadSession
from snapshots.app.ports.log_source import BadLine, Mark, Reason
from snapshots.domain.session.session_totals import SessionTotals


class ReadBlock(NamedTuple):
    """
    What was read of a content in one go.

    Attributes:
        sessions: The events, by logged id.
        records: The records of these sessions.
        bad_lines: The bad lines, in their order.
        end: The last line, if it is a bad line; it is not among the others.
        events: Number of events.
        mark: The bookmark after the last line.
        progress: The progress after the last line.
        state: The state of the file as it was opened.
    """

    sessions: Sequence[ReadSession]
    records: PackedRecords
    bad_lines: Sequence[BadLine]
    end: BadLine | None
    events: int
    mark: Mark
    progress: int
    state: str

    def pack(self) -> bytes:
        """Return the block as bytes for `unpack`."""
        sessions = [(logged_id, totals and tuple(totals)) for logged_id, totals, *_ in self.sessions]
        bad_lines = [_packed(line) for line in self.bad_lines]
        end = _packed(self.end) if self.end is not None else None
        place = astuple(self.mark), self.progress, self.state
        return marshal.dumps((sessions, self.records.packed, bad_lines, end, self.events, *place))

    @classmethod
    def unpack(cls, data: bytes) -> "ReadBlock":
        """Return the block that a process of this program packed."""
        unpacked = marshal.loads(data)  # noqa: S302 - from a process of our own
        sessions, packed, bad_lines, end, events, mark, progress, state = unpacked
        records = PackedRecords(packed)
        return cls(
            [
                ReadSession(logged_id, totals and SessionTotals(*totals), number, records)
                for number, (logged_id, totals) in enumerate(sessions)
            ],
            records,
            [_bad_line(*packed) for packed in bad_lines],
            _bad_line(*end) if end is not None else None,
            events,
            Mark(*mark),
            progress,
            state,
        )


def _packed(line: BadLine) -> tuple[str, bytes, int]:
    return line.reason.value, line.payload, line.offset


def _bad_line(reason: str, payload: bytes, offset: int) -> BadLine:
    return BadLine(Reason(reason), payload, offset)
