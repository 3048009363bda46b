"""Placeholder rows in another loader's inventory, for a foreign key on the addresses of sessions."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import insert

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.schema.features import ForeignInventory, SchemaFeatures, empty_value
from snapshots.adapters.sql.schema.tables import inventory_placeholders, session_summaries

PLACEHOLDERS = inventory_placeholders.c

Condition = Callable[[ColumnElement[str]], ColumnElement[bool]]

REFERENCES = """
SELECT c.conrelid::regclass::text, quote_ident(a.attname)
  FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
 WHERE c.contype = 'f' AND c.confrelid = to_regclass('ip_inventory') AND cardinality(c.conkey) = 1"""


class AddressPlaceholders:
    """
    Adds rows without facts, and deletes them when nothing references them.

    The other loader copies only NULLs from such a row. A row that was changed since is no longer a placeholder.

    Args:
        connection: With a transaction.
        features: How the database differs from our definitions.
    """

    def __init__(self, connection: Connection, features: SchemaFeatures) -> None:
        self._connection = connection
        self._others = features.others if features.others is not None and features.others.is_referenced else None

    @property
    def are_needed(self) -> bool:
        """Whether a foreign key allows only addresses that the other loader lists."""
        return self._others is not None

    def add(self, wanted: FromClause) -> None:
        """Add missing rows; the first column of *wanted* holds the addresses."""
        if self._others is not None:
            self._connection.execute(_adding(self._others, wanted))

    def delete_unused(self, addresses: Collection[str] | None = None) -> None:
        """Delete unreferenced placeholders, all or of some addresses; stop tracking rows that were changed since."""
        if self._others is None:
            return
        among: list[ColumnElement[bool]] = []
        if addresses is not None:
            if not addresses:
                return
            among = [PLACEHOLDERS.ip_address.in_(select_texts(self._connection, addresses))]
        theirs = self._others.addresses
        is_free = text(" AND ".join(f"NOT EXISTS ({query})" for query in self._referring()))
        # An open transaction that refers to a row holds a lock on it.
        free = (
            select(theirs.c.ip_address)
            .join(inventory_placeholders, PLACEHOLDERS.ip_address == theirs.c.ip_address)
            .where(_is_unchanged(), is_free, *among)
            .with_for_update(of=theirs, skip_locked=True)
        )
        found = self._connection.execute(free).scalars().all()
        if found:
            locked = theirs.c.ip_address.in_(select_texts(self._connection, found))
            self._connection.execute(delete(theirs).where(locked, is_free))
        is_one = (
            select(theirs.c.ip_address).where(theirs.c.ip_address == PLACEHOLDERS.ip_address, _is_unchanged()).exists()
        )
        self._connection.execute(delete(inventory_placeholders).where(~is_one, *among))

    def count_in_use(self) -> int:
        """Count the placeholders that are referenced."""
        if self._others is None:
            return 0
        theirs = self._others.addresses
        is_in_use = text("(" + " OR ".join(f"EXISTS ({query})" for query in self._referring()) + ")")
        query = select(func.count()).join_from(
            inventory_placeholders, theirs, PLACEHOLDERS.ip_address == theirs.c.ip_address
        )
        return int(self._connection.execute(query.where(_is_unchanged(), is_in_use)).scalar_one())

    def _referring(self) -> list[str]:
        own = (session_summaries.name, "source_ip")
        found = {own, *((row[0], row[1]) for row in self._connection.execute(text(REFERENCES)))}
        return [f"SELECT FROM {name} r WHERE r.{column} = ip_inventory.ip_address" for name, column in sorted(found)]


def adding(features: SchemaFeatures, wanted: FromClause, is_needed: Condition) -> Any:
    """
    Return the statement of `AddressPlaceholders.add` for use as a CTE; None if no placeholders are needed.

    Args:
        features: How the database differs from our definitions.
        wanted: The first column holds the addresses.
        is_needed: Returns the condition of a missing address; it is evaluated for these few only.
    """
    others = features.others
    return _adding(others, wanted, is_needed) if others is not None and others.is_referenced else None


def _adding(others: ForeignInventory, wanted: FromClause, is_needed: Condition = lambda _: true()) -> Any:
    theirs = others.addresses
    given = next(iter(wanted.c))
    is_listed = select(theirs.c.ip_address).where(theirs.c.ip_address == given).exists()
    lacking = (
        select(given.label("address")).where(given.is_not(None), ~is_listed).distinct().subquery("lacking").c.address
    )
    names = [column.name for column in theirs.c if column.name not in {"ip_address", "enrichment_updated_at"}]
    rows = select(lacking, *(_nothing(theirs.c[name].type) for name in names))
    rows = rows.where(is_needed(lacking)).order_by(lacking)
    added = (
        insert(theirs)
        .from_select(["ip_address", *names], rows)
        .on_conflict_do_nothing()
        .returning(theirs.c.ip_address, _digest().label("digest"))
        .cte("added")
    )
    statement = insert(inventory_placeholders).from_select(["ip_address", "digest"], select(*added.c))
    return statement.on_conflict_do_update(
        index_elements=[PLACEHOLDERS.ip_address], set_={"digest": statement.excluded.digest}
    )


def _nothing(kind: Any) -> ColumnElement[Any]:
    value = func.now() if isinstance(kind, UtcDateTime) else empty_value(kind)
    return value if isinstance(value, ColumnElement) else literal(value, kind)


def _digest() -> ColumnElement[str]:
    """Return a digest of a whole row that does not depend on session settings."""
    return func.md5(func.record_send(literal_column("ip_inventory")))


def _is_unchanged() -> ColumnElement[bool]:
    return _digest() == PLACEHOLDERS.digest
