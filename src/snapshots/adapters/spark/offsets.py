"""Where lines stand in their files, when parts of the files were read apart."""

from collections.abc import Sequence
from urllib.parse import unquote

from snapshots.adapters.spark.serialization import unpacked
from snapshots.app.load.dead_letters import letter_of
from snapshots.app.ports.log_source import BadLine, Reason
from snapshots.app.ports.logs import DeadLetter


class Offsets:
    """
    Where the parts of a file start, in bytes of its content.

    Args:
        blocks: By the engine's count, where each part begins, and how many bytes, events and other lines it has.
    """

    def __init__(self, blocks: Sequence[tuple[int, int, int, int]]) -> None:
        self.size = self.events = self.letters = 0
        self._starts = dict[int, int]()
        for block, size, events, letters in sorted(blocks):
            self._starts[block] = self.size
            self.size += size
            self.events += events
            self.letters += letters

    def letter(self, path: str, block: int, start: int, payload: bytes) -> DeadLetter:
        """Return the letter about a line of a part."""
        reason, line = unpacked(payload)
        bad = BadLine(Reason(reason), line, self._starts[block] + start)
        return letter_of(bad, source=_as_given(path))


def _as_given(path: str) -> str:
    """Return a path of this machine as a user writes it; an address elsewhere stays one."""
    if not path.startswith("file:"):
        return path
    return unquote("/" + path.removeprefix("file:").lstrip("/"))
