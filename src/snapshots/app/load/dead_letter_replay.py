"""Look at the lines that could not be loaded, and load those that can be read by now."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from snapshots.app.errors import NoSuchLetter
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
    What replaying did, or would do.

    Attributes:
        letters: How many letters there were.
        readable: How many of them are events by now; they are no letters any more.
        events: How many of these were new.
    """

    letters: int
    readable: int
    events: int = 0


class DeadLetterQueue:
    """
    Keeps the lines that could not be loaded.

    Args:
        database: Where they are.
        loader: Loads what can be read.
        parts_of: Splits a line into events and invalid parts.
    """

    def __init__(self, database: Database, loader: BulkLoader, parts_of: PartsOf) -> None:
        self._database = database
        self._loader = loader
        self._parts_of = parts_of

    def letters(self, *, limit: int, reason: Reason | None = None) -> Sequence[StoredDeadLetter]:
        """Return the first letters, of one reason or of all."""
        with self._database.view() as stores:
            return stores.dead_letters.page(after="", limit=limit, reason=reason)

    def letter(self, beginning: str) -> StoredDeadLetter:
        """
        Return the letter whose identity begins so.

        Raises:
            NoSuchLetter: There is none, or there are several.
        """
        with self._database.view() as stores:
            found = stores.dead_letters.find_by_prefix(beginning)
        if len(found) != 1:
            raise NoSuchLetter(
                f"there {'are several dead letters' if found else 'is no dead letter'} {beginning!r};"
                " `snapshots dead-letters list` lists them"
            )
        return found[0]

    def replay(self, *, dry_run: bool, keeps_lines: bool = False) -> ReplayReport:
        """
        Load every letter that is an event by now, and remove it. Interrupted, it is called again.

        Args:
            dry_run: Only count.
            keeps_lines: Whether the lines are kept as events, as they were logged.

        Raises:
            StoreUnavailable: The database failed; whole batches are stored.
            SourceUnreadable: A source of facts failed; likewise.
        """
        source = LetterStream(self._database, self._parts_of, keeps_lines=keeps_lines)
        if dry_run:
            for _ in source.lines():
                pass
            return ReplayReport(letters=source.count, readable=len(source.read))
        report = self._loader.load([source], NoLoadObserver())
        for at in range(0, len(source.read), PAGE):
            with self._database.transaction() as stores:
                stores.dead_letters.remove(source.read[at : at + PAGE])
        return ReplayReport(letters=source.count, readable=len(source.read), events=report.events)


class LetterStream:
    """Dead letters as a stream of lines; one with an unreadable part stays a dead letter."""

    name = "dead letters"
    head = ""
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
        """Begin at the beginning: a stream cannot be known again."""
        return 0

    def lines(self) -> Iterator[LogEvent | BadLine]:
        """Yield the events that can be read by now, and remember which letters they were."""
        after = ""
        while True:
            with self._database.view() as stores:
                page = stores.dead_letters.page(after=after, limit=PAGE)
            for kept in page:
                self.count += 1
                parts = self._parts_of(kept.letter.payload)
                events = [part for part in parts if isinstance(part, LogEvent)]
                if events and not any(
                    isinstance(part, BadLine) and part.reason is not Reason.NUL_BLOCK for part in parts
                ):
                    self.read.append(kept.letter.identity)
                yield from events if self._keeps_lines else (event._replace(line=None) for event in events)
            if not page:
                return
            after = page[-1].letter.identity

    def mark(self) -> Mark:
        """Return the beginning."""
        return Mark(0, "")

    def progress(self) -> int:
        """Return how many letters were looked at."""
        return self.count
