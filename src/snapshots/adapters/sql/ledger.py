"""Runs, bookmarks and dead letters, in SQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from snapshots.adapters.sql.dialects import each_of, insert
from snapshots.adapters.sql.tables import bookmarks, dead_letters, runs
from snapshots.app.lines import Mark
from snapshots.app.ports import DeadLetter
from snapshots.app.run_ports import RunKind, RunState


class SqlRuns:
    """Executions as rows of `runs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, run: str, kind: RunKind, *, at: datetime) -> None:
        """Insert a run that is under way."""
        row = {"run": run, "kind": kind.value, "state": RunState.RUNNING.value, "began_at": at, "heard_at": at}
        self._connection.execute(runs.insert(), row)

    def note(self, run: str, counts: Mapping[str, int], *, at: datetime) -> None:
        """Replace the counts, and write that the run was heard of."""
        values = {"counts": json.dumps(dict(counts)), "heard_at": at}
        self._connection.execute(update(runs).where(runs.c.run == run).values(values))

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        """Write how it ended, and when."""
        self._connection.execute(update(runs).where(runs.c.run == run).values(state=state.value, ended_at=at))


class SqlBookmarks:
    """Marks as rows of `bookmarks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def marks_of(self, head: str) -> Sequence[Mark]:
        """Return the marks of a content, by ascending offset."""
        query = (
            select(bookmarks.c.position, bookmarks.c.digest)
            .where(bookmarks.c.head == head)
            .order_by(bookmarks.c.position, bookmarks.c.digest)
        )
        return [Mark(position, digest) for position, digest in self._connection.execute(query)]

    def put(self, head: str, mark: Mark, *, source: str, run: str, put_at: datetime) -> None:
        """Insert a mark, unless it is there."""
        self._connection.execute(
            insert(self._connection, bookmarks).on_conflict_do_nothing(),
            {
                "head": head,
                "position": mark.offset,
                "digest": mark.digest,
                "source": source,
                "run": run,
                "put_at": put_at,
            },
        )


class SqlDeadLetters:
    """Lines that could not be loaded as rows of `dead_letters`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, letters: Collection[DeadLetter], *, run: str, kept_at: datetime) -> int:
        """Insert each letter, or renew what is in it, and return how many were new."""
        if not letters:
            return 0
        before = self._count()
        statement = insert(self._connection, dead_letters)
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[dead_letters.c.identity],
                set_={"reason": statement.excluded.reason, "payload": statement.excluded.payload},
            ),
            [
                {
                    "identity": letter.identity,
                    "source": letter.source,
                    "position": letter.offset,
                    "reason": letter.reason.value,
                    "payload": letter.payload,
                    "run": run,
                    "kept_at": kept_at,
                }
                for letter in letters
            ],
        )
        return self._count() - before

    def withdraw(self, identities: Collection[str]) -> None:
        """Delete letters whose lines were completed since."""
        if identities:
            self._connection.execute(
                delete(dead_letters).where(dead_letters.c.identity.in_(each_of(self._connection, identities)))
            )

    def _count(self) -> int:
        return self._connection.execute(select(func.count()).select_from(dead_letters)).scalar_one()
