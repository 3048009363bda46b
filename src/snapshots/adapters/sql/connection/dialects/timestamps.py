"""Expressions over timestamps."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    String,
    and_,
    case,
    cast,
    func,
    literal_column,
    tuple_,
    type_coerce,
)

from snapshots.adapters.sql.connection.datetimes import recorded_timestamp_text, timestamp_text
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME


def timestamp_encoder(connection: Connection) -> Callable[[datetime], datetime | str]:
    """Return a function that converts an aware datetime to the value that the driver expects."""
    return timestamp_text if connection.dialect.name == "sqlite" else _unchanged


def _unchanged(moment: datetime) -> datetime:
    return moment


def record_time_encoder(connection: Connection) -> Callable[[str], str]:
    """Return a function that converts the time of an event record to the value that `pack_rows` expects."""
    return recorded_timestamp_text if connection.dialect.name == "sqlite" else str


MOMENT = f"{'[0-9]' * 4}-{'[0-9]' * 2}-{'[0-9]' * 2} {'[0-9]' * 2}:{'[0-9]' * 2}:{'[0-9]' * 2}.{'[0-9]' * 6}"


def is_plain_timestamp(connection: Connection, at: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Whether a timestamp is in our format and in the range of `datetime`; others may be valid in another format."""
    if connection.dialect.name == "postgresql":
        return at.between(MIN_TIME, MAX_TIME)
    as_text = type_coerce(at, String)
    is_as_long = func.length(cast(as_text, LargeBinary)) == len("YYYY-MM-DD HH:MM:SS.ffffff")  # length() stops at a NUL
    return and_(
        is_as_long, as_text.op("GLOB")(MOMENT), func.datetime(as_text, "+0 days") == func.substr(as_text, 1, 19)
    )


def timestamp_in_utc(connection: Connection, at: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return a timestamp as text in UTC, as it enters the seal."""
    if connection.dialect.name != "postgresql":
        return type_coerce(at, String) + "+00:00"
    return func.to_char(func.timezone("UTC", at), "YYYY-MM-DD HH24:MI:SS.US", type_=String) + "+00:00"


def seconds_between(connection: Connection, start: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the seconds from *start* to *end*, to about a millisecond."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", end - start)
    return (func.julianday(end) - func.julianday(start)) * 86400.0


def day_of(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the day of a timestamp in UTC as YYYY-MM-DD."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD")
    return func.substr(moment, 1, 10, type_=String)


def is_from_day_on(connection: Connection, moment: ColumnElement[Any], day: str) -> ColumnElement[bool]:
    """Return the condition that a timestamp is of a day, given as `day_of` returns it, or of a later one."""
    if connection.dialect.name == "postgresql":
        return moment >= datetime.fromisoformat(day).replace(tzinfo=UTC)
    return type_coerce(moment, String) >= day


def is_timestamp(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a column holds a timestamp: in SQLite another loader may have written any text."""
    return (
        moment if connection.dialect.name == "postgresql" else func.date(_truncated_to_milliseconds(moment))
    ).is_not(None)


def _truncated_to_milliseconds(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a timestamp for a date function of SQLite, truncated, because SQLite would round it up."""
    as_text = type_coerce(moment, String)
    return case((func.length(as_text) == len("YYYY-MM-DD HH:MM:SS.ffffff"), func.substr(as_text, 1, 23)), else_=as_text)


def stored_timestamp_text(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a timestamp as text without loss, for cursors: as stored on SQLite, else to the microsecond."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), literal_column("'YYYY-MM-DD HH24:MI:SS.US'"))
    return type_coerce(moment, String)


def is_before_cursor(
    connection: Connection, moment: ColumnElement[Any], key: ColumnElement[str], at: str, name: str
) -> ColumnElement[bool]:
    """
    Return the condition that a row sorts before a cursor: an earlier timestamp, or the same and a smaller key.

    Raises:
        ValueError: The text is not a timestamp; checked on PostgreSQL only.
    """
    if connection.dialect.name == "postgresql":
        return tuple_(moment, key) < tuple_(datetime.fromisoformat(at).replace(tzinfo=UTC), name)
    return tuple_(type_coerce(moment, String), key) < tuple_(at, name)


def bucket_start(connection: Connection, span: str, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the start of the hour, day, week or month of a timestamp in UTC: YYYY-MM-DD or YYYY-MM-DD HH:00."""
    if connection.dialect.name == "postgresql":
        form = "YYYY-MM-DD HH24:00" if span == "hour" else "YYYY-MM-DD"
        return func.to_char(bucket_key(connection, span, moment), literal_column(f"'{form}'"))
    if span == "hour":
        return func.strftime("%Y-%m-%d %H:00", _truncated_to_milliseconds(moment), type_=String)
    moves = {"day": (), "week": ("-6 days", "weekday 1"), "month": ("start of month",)}[span]
    return func.date(_truncated_to_milliseconds(moment), *moves, type_=String)


def bucket_key(connection: Connection, span: str, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an expression that groups like `bucket_start` and is cheaper to compute; *span* is trusted text."""
    if connection.dialect.name == "postgresql":
        return func.date_trunc(literal_column(f"'{span}'"), func.timezone(literal_column("'UTC'"), moment))
    return bucket_start(connection, span, moment)
