"""Offsets of lines in files whose parts were read separately."""

from collections.abc import Sequence
from urllib.parse import unquote

from snapshots.adapters.spark.serialization import unpacked
from snapshots.app.load.dead_letters import dead_letter_of
from snapshots.app.ports.log_source import BadLine, Reason
from snapshots.app.ports.logs import DeadLetter


class Offsets:
    """
    The start offsets of the parts of a file, in bytes of its content.

    Args:
        blocks: For each part its start as the engine counts it, and its bytes, events and rejected lines.
    """

    def __init__(self, blocks: Sequence[tuple[int, int, int, int]]) -> None:
        self.size = self.events = self.dead_letters = 0
        self._starts = dict[int, int]()
        for block, size, events, dead_letters in sorted(blocks):
            self._starts[block] = self.size
            self.size += size
            self.events += events
            self.dead_letters += dead_letters

    def dead_letter(self, path: str, block: int, start: int, payload: bytes) -> DeadLetter:
        """Return the dead letter of a line in a part."""
        reason, line = unpacked(payload)
        bad = BadLine(Reason(reason), line, self._starts[block] + start)
        return dead_letter_of(bad, source=_as_given(path))


def _as_given(path: str) -> str:
    """Return the path of a local file; other URLs stay as they are."""
    if not path.startswith("file:"):
        return path
    return unquote("/" + path.removeprefix("file:").lstrip("/"))
