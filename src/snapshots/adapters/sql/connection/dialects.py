"""Everything in which SQLite and PostgreSQL differ."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    collate,
    column,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.elements import BindParameter

from snapshots.adapters.sql.connection.datetimes import moment_text
from snapshots.adapters.sql.connection.lock_waits import WaitPolicy, begin_immediately
from snapshots.app.ports.database import WriteLock
from snapshots.domain.snapshot.verdict_cache import EVER, NEVER


def insert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return the INSERT of this connection's dialect, which knows ON CONFLICT."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def each_of(connection: Connection, texts: Collection[str]) -> Select[tuple[str]]:
    """Return a query for *texts* that is one parameter however many there are."""
    if connection.dialect.name == "postgresql":
        rows = func.unnest(BindParameter(None, list(texts), type_=postgresql.ARRAY(postgresql.TEXT)))
        return select(rows.column_valued("value"))
    rows = func.json_each(BindParameter(None, json.dumps(list(texts))))
    return select(rows.table_valued(column("value")).c.value)


def empty(connection: Connection, temporary: Table) -> None:
    """Remove the rows of a temporary table; PostgreSQL never cleans up after a DELETE there."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"TRUNCATE {temporary.name}")
    else:
        connection.execute(delete(temporary))


SEEKING = {f"enable_{way}": "off" for way in ("hashjoin", "mergejoin", "bitmapscan")}
"""Settings of PostgreSQL that let it seek row after row by an index."""

BY_PLACES = {f"enable_{way}": "off" for way in ("seqscan", "indexscan", "indexonlyscan")}
"""Those that let it ask an index where rows lie, and read them in that order."""

READS_BY_OTHERS = (18,)
"""PostgreSQL's version from which on other processes read ahead: twice as slow where rows are in memory."""

READ_BY_ITSELF = {"effective_io_concurrency": "0"}
"""What keeps it from that."""


def seeking(connection: Connection) -> AbstractContextManager[None]:
    """Let PostgreSQL seek by key what a batch names; it rather reads a whole table for some thousands of rows."""
    return _set(connection, SEEKING)


def in_order_of_rows(connection: Connection) -> AbstractContextManager[None]:
    """Let PostgreSQL ask an index where rows lie, and read them in that order: after a backfill they lie anywhere."""
    reads_by_others = (connection.dialect.server_version_info or ()) >= READS_BY_OTHERS
    return _set(connection, BY_PLACES | (READ_BY_ITSELF if reads_by_others else {}))


@contextmanager
def _set(connection: Connection, settings: Mapping[str, str]) -> Iterator[None]:
    if connection.dialect.name != "postgresql":
        yield
        return
    asked = select(*(func.current_setting(name) for name in settings))
    before = connection.execute(asked).one()
    connection.execute(select(*(func.set_config(name, value, true()) for name, value in settings.items())))
    yield
    connection.execute(select(*(func.set_config(n, value, true()) for n, value in zip(settings, before, strict=True))))


def by_neighbours(connection: Connection, query: Select[Any], name: str) -> Select[Any]:
    """
    Return a query whose rows PostgreSQL looks up next in the order of a column.

    One after the other they are found in the same pages of an index, and of what lies in its order.
    """
    return query.order_by(name) if connection.dialect.name == "postgresql" else query


def only_of(connection: Connection, columns: Collection[str]) -> str:
    """Return what lets ANALYZE look at some columns alone, behind the name of the table; SQLite looks at indexes."""
    return f" ({', '.join(columns)})" if connection.dialect.name == "postgresql" else ""


def counted_returns(connection: Connection, writing: ReturningUpdate[Any]) -> Counter[tuple[Any, ...]]:
    """Execute an UPDATE, and count the rows that it returns by what they hold; PostgreSQL sends only the counts."""
    if connection.dialect.name != "postgresql":
        return Counter(tuple(row) for row in connection.execute(writing))
    done = writing.cte("done")
    counts = connection.execute(select(func.count(), *done.c).group_by(*done.c))
    return Counter({tuple(values): count for count, *values in counts})


def moment_as_stored(connection: Connection) -> Callable[[datetime], datetime | str]:
    """Return what turns an aware moment into what the driver takes for it."""
    return moment_text if connection.dialect.name == "sqlite" else _as_it_is


def _as_it_is(moment: datetime) -> datetime:
    return moment


def by_bytes(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return a text that is compared by its bytes, whatever the collation of the database."""
    return collate(text_, "C") if connection.dialect.name == "postgresql" else text_


def digest_of(connection: Connection, text_: ColumnElement[str]) -> ColumnElement[str]:
    """Return what `rows.digest` returns of a text."""
    if connection.dialect.name != "postgresql":
        return func.snapshot_digest(text_, type_=String)
    return func.left(func.encode(func.sha256(func.convert_to(text_, "UTF8")), "hex"), 32, type_=String)


MOMENT = f"{'[0-9]' * 4}-{'[0-9]' * 2}-{'[0-9]' * 2} {'[0-9]' * 2}:{'[0-9]' * 2}:{'[0-9]' * 2}.{'[0-9]' * 6}"


def is_plain_moment(connection: Connection, at: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Whether a moment is there, in our form, and one of Python's years; others may be one in another form."""
    if connection.dialect.name == "postgresql":
        return at.between(EVER, NEVER)
    as_text = type_coerce(at, String)
    is_as_long = func.length(cast(as_text, LargeBinary)) == len(
        "YYYY-MM-DD HH:MM:SS.ffffff"
    )  # a NUL hides what follows
    return and_(
        is_as_long, as_text.op("GLOB")(MOMENT), func.datetime(as_text, "+0 days") == func.substr(as_text, 1, 19)
    )


def moment_shown(connection: Connection, at: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return a moment as a text in UTC, as it is sealed."""
    if connection.dialect.name != "postgresql":
        return type_coerce(at, String) + "+00:00"
    return func.to_char(func.timezone("UTC", at), "YYYY-MM-DD HH24:MI:SS.US", type_=String) + "+00:00"


def has_rowids(connection: Connection) -> bool:
    """Whether rows lie in the order of a number of their own, and not of their keys."""
    return connection.dialect.name == "sqlite"


def each_span(
    connection: Connection, spans: Collection[tuple[str, datetime, datetime]]
) -> Select[tuple[str, datetime, datetime]]:
    """Return a query for addresses, each with a first and a last moment, as one parameter for each column."""
    if connection.dialect.name == "postgresql":
        moments = postgresql.ARRAY(postgresql.TIMESTAMP(timezone=True))
        arrays: list[BindParameter[Any]] = [
            BindParameter(None, [span[0] for span in spans], type_=postgresql.ARRAY(postgresql.TEXT)),
            BindParameter(None, [span[1] for span in spans], type_=moments),
            BindParameter(None, [span[2] for span in spans], type_=moments),
        ]
        rows = func.unnest(*arrays).table_valued("address", "first", "last", name="spans").render_derived()
        return select(rows.c.address, rows.c.first, rows.c.last)
    texts = [[ip, *(moment_text(at) for at in (first, last))] for ip, first, last in spans]
    each = func.json_each(BindParameter(None, json.dumps(texts))).table_valued("value", name="spans")
    parts = (func.json_extract(each.c.value, f"$[{n}]") for n in range(3))
    return select(*(part.label(name) for part, name in zip(parts, ("address", "first", "last"), strict=True)))


def lock_for_writing(
    connection: Connection, name: str, policy: WaitPolicy, lock: WriteLock = WriteLock.ALONE
) -> datetime | None:
    """
    Begin a transaction that excludes other writers.

    Args:
        connection: To the database, without a transaction.
        name: Of the database, for messages.
        policy: How long to wait.
        lock: Who may write at the same time.

    Returns:
        The time of the server then; None on SQLite.
    """
    if connection.dialect.name == "postgresql":
        set_lock_timeout(connection, policy.lock_timeout)
        return wait_for_writers(connection, lock)
    begin_immediately(connection, name, policy)
    return None


def set_lock_timeout(connection: Connection, seconds: float) -> None:
    """Set PostgreSQL's lock_timeout for this transaction; 0 is rounded up to 1 ms, because 0 would disable it."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{max(1, round(seconds * 1000))}ms'")


def wait_for_writers(connection: Connection, lock: WriteLock = WriteLock.ALONE) -> datetime | None:
    """
    Let no other writer work until the end of this transaction; on SQLite the first change does that.

    Returns:
        The time of the server then; None on SQLite.
    """
    if connection.dialect.name != "postgresql":
        return None
    if lock is WriteLock.LEADS:  # one at a time, and in this order, which nobody else has
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('snapshots leader'))"))
    shared = "" if lock is WriteLock.ALONE else "_shared"
    query = f"SELECT clock_timestamp() FROM pg_advisory_xact_lock{shared}(hashtext('snapshots'))"  # noqa: S608 - a word of ours
    moment: datetime = connection.execute(text(query)).scalar_one()
    return moment


def lock_for_changing(connection: Connection, name: str, policy: WaitPolicy) -> None:
    """Begin the transaction as for writing, and rather give up than stand in a queue that keeps everybody waiting."""
    lock_for_writing(connection, name, policy)
    if connection.dialect.name == "postgresql":
        set_lock_timeout(connection, policy.change_timeout)


def size_of(connection: Connection, table: str) -> int:
    """Return the bytes of a table and its indexes; on SQLite those of the whole file."""
    if connection.dialect.name == "postgresql":
        query = text("SELECT pg_total_relation_size(to_regclass(:name))")
        return int(connection.execute(query, {"name": table}).scalar() or 0)
    pages, page = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return int(pages) * int(page)


def log_position(connection: Connection) -> int | None:
    """Return how many bytes were written to the write-ahead log so far; SQLite does not tell before a commit."""
    if connection.dialect.name != "postgresql":
        return None
    return int(connection.execute(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one())


def begin_if_idle(connection: Connection) -> None:
    """
    Begin the transaction that a caller's connection is said to be in.

    Python's sqlite3 begins only before the first change; a savepoint would else be the transaction
    itself, and its end a commit.
    """
    if connection.dialect.name != "sqlite":
        return
    if not connection.in_transaction():
        connection.begin()
    if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]  # sqlite3's
        connection.exec_driver_sql("BEGIN")


def are_partitioned(connection: Connection) -> bool:
    """Whether the sessions lie in partitions."""
    if connection.dialect.name != "postgresql":
        return False
    query = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('session_summaries')"
    return bool(connection.execute(text(query)).scalar())


def begin_reading(connection: Connection) -> None:
    """Begin a transaction in which every query sees the same state."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    else:
        connection.exec_driver_sql("BEGIN")


def seconds_between(connection: Connection, start: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return how many seconds *end* lies after *start*, to about a millisecond."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", end - start)
    return (func.julianday(end) - func.julianday(start)) * 86400.0


def day_of(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the day of a moment in UTC as YYYY-MM-DD."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD")
    return func.substr(moment, 1, 10, type_=String)


def is_moment(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether there is a moment; SQLite holds any text of another loader where one should be."""
    return (moment if connection.dialect.name == "postgresql" else func.date(_to_the_millisecond(moment))).is_not(None)


def _to_the_millisecond(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a timestamp for a date function of SQLite, truncated, because SQLite would round it up."""
    as_text = type_coerce(moment, String)
    return case((func.length(as_text) == len("YYYY-MM-DD HH:MM:SS.ffffff"), func.substr(as_text, 1, 23)), else_=as_text)


def moment_stored(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a moment as a text by which it is found again exactly: as it is stored, or to the microsecond."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), literal_column("'YYYY-MM-DD HH24:MI:SS.US'"))
    return type_coerce(moment, String)


def is_before(
    connection: Connection, moment: ColumnElement[Any], key: ColumnElement[str], at: str, name: str
) -> ColumnElement[bool]:
    """
    Whether a row stands before a moment, as `moment_stored` told it, or at it and before a key.

    Raises:
        ValueError: The text is no moment, where the database knows what one is.
    """
    if connection.dialect.name == "postgresql":
        return tuple_(moment, key) < tuple_(datetime.fromisoformat(at).replace(tzinfo=UTC), name)
    return tuple_(type_coerce(moment, String), key) < tuple_(at, name)


def beginning_of(connection: Connection, span: str, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return when the hour, day, week or month of a moment begins in UTC, as YYYY-MM-DD or YYYY-MM-DD HH:00."""
    if connection.dialect.name == "postgresql":
        form = "YYYY-MM-DD HH24:00" if span == "hour" else "YYYY-MM-DD"
        return func.to_char(grouped_by(connection, span, moment), literal_column(f"'{form}'"))
    if span == "hour":
        return func.strftime("%Y-%m-%d %H:00", _to_the_millisecond(moment), type_=String)
    moves = {"day": (), "week": ("-6 days", "weekday 1"), "month": ("start of month",)}[span]
    return func.date(_to_the_millisecond(moment), *moves, type_=String)


def grouped_by(connection: Connection, span: str, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what is as different as `beginning_of` is, and is reached sooner; *span* is one of our words."""
    if connection.dialect.name == "postgresql":
        return func.date_trunc(literal_column(f"'{span}'"), func.timezone(literal_column("'UTC'"), moment))
    return beginning_of(connection, span, moment)


def json_numbers(
    connection: Connection, objects: ColumnElement[Any]
) -> tuple[FromClause, ColumnElement[Any], ColumnElement[Any]]:
    """Return the members of JSON objects in a column of text, one row for each, and their names and whole numbers."""
    if connection.dialect.name == "postgresql":
        members = func.json_each_text(cast(objects, postgresql.JSON)).table_valued("key", "value", name="m").lateral()
        return members, members.c.key, cast(members.c.value, BigInteger)
    members = func.json_each(objects).table_valued("key", "value", name="m")
    return members, members.c.key, members.c.value


def writer_of(connection: Connection) -> int:
    """Return a number that no other connection has which writes at the same time."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    return 0


def said_in(connection: Connection, behaviour: ColumnElement[Any], trait: str) -> tuple[FromClause, ColumnElement[Any]]:
    """Return what sessions said of a trait, one row for each, and its text."""
    if connection.dialect.name == "postgresql":
        said = func.json_array_elements(cast(behaviour, postgresql.JSON).op("->")(trait))
        each = said.table_valued(column("value", postgresql.JSON), name="said").lateral()
        return each, each.c.value.op("->>", return_type=String())(literal_column("1"))
    each = func.json_each(behaviour, f"$.{trait}").table_valued("value", name="said")
    return each, func.json_extract(each.c.value, "$[1]", type_=String)
