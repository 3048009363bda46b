"""Copy a database to another one page by page, and compare every row."""

from collections.abc import Sequence
from itertools import zip_longest

from sqlalchemy import Connection, Table, func, select, text, tuple_
from sqlalchemy import inspect as inspected

from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import versions
from snapshots.adapters.sql.schema.spans_table import create_spans_table
from snapshots.adapters.sql.schema.stored_types import wrong_values
from snapshots.adapters.sql.schema.tables import adoptions, metadata
from snapshots.app.admin.copying import CopyObserver, TableCopied
from snapshots.app.errors import StoreUnavailable

PAGE = 5_000


def copy_database(source: SqlDatabase, target: SqlDatabase, observer: CopyObserver) -> list[TableCopied]:
    """
    Copy every table, compare every row, then write the version of the target and create its triggers.

    Until then no command accepts the target. An interrupted copy continues where it stopped; a second run after a
    complete copy compares every row again.

    Args:
        source: A database of this program; it is read in one consistent state.
        target: A database without tables of ours, or with those of an unfinished copy.
        observer: Called after each page.

    Raises:
        StoreUnavailable: The source was adopted from another loader, the target is in use, a row differs
            from what an earlier copy wrote, or a database failed.
    """
    with source.reading() as reader:
        if (wrong := next(wrong_values(reader, limit=1), None)) is not None:
            raise StoreUnavailable(f"{wrong[0]} holds {wrong[1]}, in {source}: correct it, then copy again")
        if reader.execute(select(adoptions.c.id)).first() is not None:
            raise StoreUnavailable(
                f"{source} was made by cowrieprocessor and has more tables: move it with its own tools, then adopt"
            )
        if (finished := _finished(reader, target)) is not None:
            return finished
        with target.changing_tables() as writer:
            _make_tables(writer, target)
        copied = []
        for table in metadata.sorted_tables:
            observer.table_opened(table.name, reader.execute(select(func.count()).select_from(table)).scalar_one())
            new = _copy_table(reader, target, table, observer)
            copied.append(TableCopied(table=table.name, rows=_compare(reader, target, table), new=new))
        with target.changing_tables() as writer:
            _continue_numbers(writer)
            versions.stamp(writer)
        target.build_indexes()
        return copied


def copy_tables(source: SqlDatabase, target: SqlDatabase, tables: Sequence[Table]) -> None:
    """
    Copy some tables of a database of this program into those of a new one.

    Raises:
        StoreUnavailable: A database failed.
    """
    with source.reading() as reader:
        for table in tables:
            _copy_table(reader, target, table, UnwatchedCopy())


class UnwatchedCopy:
    """Ignores progress."""

    def table_opened(self, table: str, rows: int) -> None:
        """Do nothing."""

    def rows_copied(self, count: int) -> None:
        """Do nothing."""


def _finished(reader: Connection, target: SqlDatabase) -> list[TableCopied] | None:
    """Return the tables of a target with a finished copy of this source; None if it has no version yet."""
    if not target.is_there:
        return None
    with target.reading_any_version() as writer:
        version = versions.version(writer)
        if version is None:
            return None
        in_use = StoreUnavailable(f"{target} is in use already: copy into a database without tables")
        if version != versions.newest():
            raise in_use
        for table in metadata.sorted_tables:
            count = select(func.count()).select_from(table)
            if reader.execute(count).scalar_one() != writer.execute(count).scalar_one():
                raise in_use
    try:
        return [
            TableCopied(table=table.name, rows=_compare(reader, target, table), new=0)
            for table in metadata.sorted_tables
        ]
    except StoreUnavailable as differs:
        raise in_use from differs


def _make_tables(writer: Connection, target: SqlDatabase) -> None:
    ours = {table.name for table in metadata.sorted_tables}
    there = ours & set(inspected(writer).get_table_names())
    if there and there != ours:
        raise StoreUnavailable(f"{target} has tables of its own called {', '.join(sorted(there))}")
    metadata.create_all(writer)
    create_spans_table(writer)


def _copy_table(reader: Connection, target: SqlDatabase, table: Table, observer: CopyObserver) -> int:
    """Copy the rows after the last one in the target; rows are written in the order of their keys."""
    keys = list(table.primary_key.columns)
    with target.changing_tables() as writer:
        order = [key.desc() for key in keys]
        last = writer.execute(select(*keys).order_by(*order).limit(1)).first()
    query = select(table).order_by(*keys)
    if last is not None:
        query = query.where(tuple_(*keys) > tuple_(*last))
    new = 0
    found = reader.execute(query, execution_options={"yield_per": PAGE})
    for page in found.mappings().partitions(PAGE):
        with target.changing_tables() as writer:
            writer.execute(insert(writer, table), [dict(row) for row in page])
        new += len(page)
        observer.rows_copied(new)
    return new


def _compare(reader: Connection, target: SqlDatabase, table: Table) -> int:
    keys = list(table.primary_key.columns)
    query = select(table).order_by(*keys)
    compared = 0
    options = {"yield_per": PAGE}
    with (
        target.reading_any_version() as writer,
        reader.execute(query, execution_options=options) as held,
        writer.execute(query, execution_options=options) as copied,
    ):
        for ours, theirs in zip_longest(held, copied):
            if ours is None or theirs is None or tuple(ours) != tuple(theirs):
                row = ours if ours is not None else theirs
                key = " ".join(str(value) for value in (row or ())[: len(keys)])
                raise StoreUnavailable(
                    f"row {key[:100]} of {table.name} differs in {target}: drop its tables and copy again"
                )
            compared += 1
    return compared


def _continue_numbers(writer: Connection) -> None:
    """Set sequences to the largest copied ids."""
    if writer.dialect.name != "postgresql":
        return
    for name in _numbered():
        writer.execute(
            text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")  # noqa: S608 - a table of ours
        )


def _numbered() -> Sequence[str]:
    return [table.name for table in metadata.sorted_tables if table.autoincrement_column is not None]
