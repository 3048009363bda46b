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

from snapshots.adapters.sql.connection.datetimes import timestamp_text
from snapshots.domain.snapshot.verdict_cache import EVER, NEVER


def timestamp_encoder(connection: Connection) -> Callable[[datetime], datetime | str]:
    """Return what turns an aware moment into what the driver takes for it."""
    return timestamp_text if connection.dialect.name == "sqlite" else _unchanged


def _unchanged(moment: datetime) -> datetime:
    return moment


MOMENT = f"{'[0-9]' * 4}-{'[0-9]' * 2}-{'[0-9]' * 2} {'[0-9]' * 2}:{'[0-9]' * 2}:{'[0-9]' * 2}.{'[0-9]' * 6}"


def is_plain_timestamp(connection: Connection, at: ColumnElement[datetime]) -> ColumnElement[bool]:
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


def timestamp_in_utc(connection: Connection, at: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return a moment as a text in UTC, as it is sealed."""
    if connection.dialect.name != "postgresql":
        return type_coerce(at, String) + "+00:00"
    return func.to_char(func.timezone("UTC", at), "YYYY-MM-DD HH24:MI:SS.US", type_=String) + "+00:00"


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


def is_timestamp(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether there is a moment; SQLite holds any text of another loader where one should be."""
    return (
        moment if connection.dialect.name == "postgresql" else func.date(_truncated_to_milliseconds(moment))
    ).is_not(None)


def _truncated_to_milliseconds(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a timestamp for a date function of SQLite, truncated, because SQLite would round it up."""
    as_text = type_coerce(moment, String)
    return case((func.length(as_text) == len("YYYY-MM-DD HH:MM:SS.ffffff"), func.substr(as_text, 1, 23)), else_=as_text)


def stored_timestamp_text(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a moment as a text by which it is found again exactly: as it is stored, or to the microsecond."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), literal_column("'YYYY-MM-DD HH24:MI:SS.US'"))
    return type_coerce(moment, String)


def is_before_cursor(
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


def bucket_start(connection: Connection, span: str, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return when the hour, day, week or month of a moment begins in UTC, as YYYY-MM-DD or YYYY-MM-DD HH:00."""
    if connection.dialect.name == "postgresql":
        form = "YYYY-MM-DD HH24:00" if span == "hour" else "YYYY-MM-DD"
        return func.to_char(bucket_key(connection, span, moment), literal_column(f"'{form}'"))
    if span == "hour":
        return func.strftime("%Y-%m-%d %H:00", _truncated_to_milliseconds(moment), type_=String)
    moves = {"day": (), "week": ("-6 days", "weekday 1"), "month": ("start of month",)}[span]
    return func.date(_truncated_to_milliseconds(moment), *moves, type_=String)


def bucket_key(connection: Connection, span: str, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what is as different as `beginning_of` is, and is reached sooner; *span* is one of our words."""
    if connection.dialect.name == "postgresql":
        return func.date_trunc(literal_column(f"'{span}'"), func.timezone(literal_column("'UTC'"), moment))
    return bucket_start(connection, span, moment)
