"""Dead letters: lines that could not be loaded, in SQL."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select

from snapshots.adapters.sql.connection.dialects.statements import insert, select_texts
from snapshots.adapters.sql.schema.tables import dead_letters
from snapshots.app.ports.log_source import Reason
from snapshots.app.ports.logs import DeadLetter, StoredDeadLetter


class SqlDeadLetters:
    """Lines that could not be loaded as rows of `dead_letters`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def store_dead_letters(self, rejected: Collection[DeadLetter], *, run: str, stored_at: datetime) -> int:
        """Upsert dead letters, and return how many are new."""
        if not rejected:
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
                    "identity": dead_letter.identity,
                    "source": dead_letter.source,
                    "position": dead_letter.offset,
                    "reason": dead_letter.reason.value,
                    "payload": dead_letter.payload,
                    "run": run,
                    "stored_at": stored_at,
                }
                for dead_letter in rejected
            ],
        )
        return self._count() - before

    def remove(self, identities: Collection[str]) -> None:
        """Delete dead letters."""
        if identities:
            self._connection.execute(
                delete(dead_letters).where(dead_letters.c.identity.in_(select_texts(self._connection, identities)))
            )

    def page(self, *, after: str, limit: int, reason: Reason | None = None) -> Sequence[StoredDeadLetter]:
        """Return a page of rows."""
        query = select(dead_letters).where(dead_letters.c.identity > after)
        if reason is not None:
            query = query.where(dead_letters.c.reason == reason.value)
        return self._dead_letters(query.order_by(dead_letters.c.identity).limit(limit))

    def find_by_prefix(self, beginning: str) -> Sequence[StoredDeadLetter]:
        """Return up to two dead letters whose key has this prefix."""
        begins = dead_letters.c.identity.startswith(beginning, autoescape=True)
        return self._dead_letters(select(dead_letters).where(begins).order_by(dead_letters.c.identity).limit(2))

    def _dead_letters(self, query: Select[Any]) -> Sequence[StoredDeadLetter]:
        return [
            StoredDeadLetter(
                dead_letter=DeadLetter(
                    identity=row["identity"],
                    source=row["source"],
                    offset=row["position"],
                    reason=Reason(row["reason"]),
                    payload=bytes(row["payload"]),
                ),
                run=row["run"],
                stored_at=row["stored_at"],
            )
            for row in self._connection.execute(query).mappings()
        ]

    def _count(self) -> int:
        return self._connection.execute(select(func.count()).select_from(dead_letters)).scalar_one()
