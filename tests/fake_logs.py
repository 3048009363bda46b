"""What a load stores next to sessions, in memory: dead letters, event lines and bookmarks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from snapshots.app.ports.log_source import Mark, Reason
from snapshots.app.ports.logs import Bookmark, DeadLetter, EventPart, StoredDeadLetter
from tests.memory import Memory
from tests.strategies import NOON


class InMemoryDeadLetters:
    """Dead letters in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def store_dead_letters(self, rejected: Collection[DeadLetter], *, run: str, stored_at: datetime) -> int:
        before = len(self.memory.dead_letters)
        for dead_letter in rejected:
            held = self.memory.dead_letters.get(dead_letter.identity, dead_letter)
            self.memory.dead_letters[dead_letter.identity] = replace(
                held, reason=dead_letter.reason, payload=dead_letter.payload
            )
        return len(self.memory.dead_letters) - before

    def remove(self, identities: Collection[str]) -> None:
        for identity in identities:
            self.memory.dead_letters.pop(identity, None)

    def page(self, *, after: str, limit: int, reason: Reason | None = None) -> Sequence[StoredDeadLetter]:
        found = [self._kept(name) for name in sorted(self.memory.dead_letters) if name > after]
        return [kept for kept in found if reason in {None, kept.dead_letter.reason}][:limit]

    def find_by_prefix(self, beginning: str) -> Sequence[StoredDeadLetter]:
        return [self._kept(name) for name in sorted(self.memory.dead_letters) if name.startswith(beginning)][:2]

    def _kept(self, identity: str) -> StoredDeadLetter:
        return StoredDeadLetter(dead_letter=self.memory.dead_letters[identity], run="run", stored_at=NOON)


class InMemoryEventLines:
    """Parts in a list."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def store_lines(self, parts: Collection[EventPart], *, run: str) -> None:
        assert all(part.session_id in self.memory.sessions for part in parts)
        self.memory.event_parts += [part for part in parts if part not in self.memory.event_parts]

    def of(self, session_id: str) -> Sequence[bytes]:
        return [line for part in self.memory.event_parts if part.session_id == session_id for line in part.lines]


class InMemoryBookmarks:
    """Marks in sets."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def marks_of(self, heads: Collection[str]) -> Mapping[str, Sequence[Mark]]:
        found = {head: self.memory.marks[head] for head in heads if head in self.memory.marks}
        return {head: sorted(marks, key=lambda mark: (mark.offset, mark.digest)) for head, marks in found.items()}

    def put(self, new: Collection[Bookmark], *, run: str, stored_at: datetime) -> None:
        for head, mark, _ in new:
            self.memory.marks.setdefault(head, set()).add(mark)
