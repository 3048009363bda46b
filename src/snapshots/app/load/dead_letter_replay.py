"""List dead letters, and replay those that this version can decode."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from snapshots.app.errors import NoSuchDeadLetter
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.database import Database
from snapshots.app.ports.log_source import BadLine, LogEvent, Mark, Reason
from snapshots.app.ports.logs import StoredDeadLetter

PAGE = 1000

PartsOf = Callable[[bytes], Sequence[LogEvent | BadLine]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """
    Result of a replay, or of its dry run.

    Attributes:
        dead_letters: Number of dead letters.
        readable: Those that are valid events now; they are deleted from the dead letters.
        events: New events among them; 0 in a dry run.
    """

    dead_letters: int
    readable: int
    events: int = 0


class DeadLetterQueue:
    """
    Lists and replays dead letters.

    Args:
        database: Holds the dead letters.
        loader: Loads the events.
        parts_of: Splits a line into events and invalid parts.
    """

    def __init__(self, database: Database, loader: BulkLoader, parts_of: PartsOf) -> None:
        self._database = database
        self._loader = loader
        self._parts_of = parts_of

    def first(self, *, limit: int, reason: Reason | None = None) -> Sequence[StoredDeadLetter]:
        """Return the first dead letters, of one reason or of all."""
        with self._database.view() as stores:
            return stores.dead_letters.page(after="", limit=limit, reason=reason)

    def find(self, beginning: str) -> StoredDeadLetter:
        """
        Return the dead letter whose identity has a prefix.

        Raises:
            NoSuchDeadLetter: No dead letter has it, or several do.
        """
        with self._database.view() as stores:
            found = stores.dead_letters.find_by_prefix(beginning)
        if len(found) != 1:
            raise NoSuchDeadLetter(
                f"there {'are several dead letters' if found else 'is no dead letter'} {beginning!r};"
                " `snapshots dead-letters list` lists them"
            )
        return found[0]

    def replay(self, *, dry_run: bool, keeps_lines: bool = False) -> ReplayReport:
        """
        Load every dead letter that can be decoded now, and delete it. An interrupted replay is repeated.

        Args:
            dry_run: Only count.
            keeps_lines: Whether the lines are stored too.

        Raises:
            StoreUnavailable: The database failed; complete batches are stored.
            SourceUnreadable: A fact source failed; complete batches are stored.
        """
        source = DeadLetterStream(self._database, self._parts_of, keeps_lines=keeps_lines)
        if dry_run:
            for _ in source.lines():
                pass
            return ReplayReport(dead_letters=source.count, readable=len(source.read))
        report = self._loader.load([source], NoLoadObserver())
        for at in range(0, len(source.read), PAGE):
            with self._database.transaction() as stores:
                stores.dead_letters.remove(source.read[at : at + PAGE])
        return ReplayReport(dead_letters=source.count, readable=len(source.read), events=report.events)


class DeadLetterStream:
    """Dead letters as a stream of lines; one with an unreadable part stays a dead letter."""

    name = "dead letters"
    head = state = ""
    size = modified_at = None
    is_named = False
    hint = ""

    def __init__(self, database: Database, parts_of: PartsOf, *, keeps_lines: bool) -> None:
        self._database = database
        self._parts_of = parts_of
        self._keeps_lines = keeps_lines
        self.count = 0
        self.read: list[str] = []

    def resume(self, _marks: Sequence[Mark]) -> int:
        """Start at the first dead letter: a stream has no bookmarks."""
        return 0

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """Yield the events that can be decoded now, and collect the identities of their dead letters."""
        after = ""
        while True:
            with self._database.view() as stores:
                page = stores.dead_letters.page(after=after, limit=PAGE)
            for kept in page:
                self.count += 1
                parts = self._parts_of(kept.dead_letter.payload)
                events = [part for part in parts if isinstance(part, LogEvent)]
                if events and not any(
                    isinstance(part, BadLine) and part.reason is not Reason.NUL_BLOCK for part in parts
                ):
                    self.read.append(kept.dead_letter.identity)
                yield from events if self._keeps_lines else (event._replace(line=None) for event in events)
            if not page:
                return
            after = page[-1].dead_letter.identity

    def parts(self) -> Iterator[LogEvent | BadLine]:
        """Yield what `lines` yields."""
        return self.lines()

    def mark(self) -> Mark:
        """Return the start of the stream."""
        return Mark(0, "")

    def progress(self) -> int:
        """Return the number of dead letters that were read."""
        return self.count
