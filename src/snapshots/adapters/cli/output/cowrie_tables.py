"""SELECT statements that turn the tables of Cowrie's own database outputs back into its events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """
    How a database writes what the statements need.

    Attributes:
        json_object: The function that makes a JSON object of names and values.
        utc: Returns the expression for a stored time as ISO 8601 in UTC. On MySQL and PostgreSQL, Cowrie stores the
            local time of the server without an offset.
        is_true: Returns the condition that a flag is set.
    """

    json_object: str
    utc: Callable[[str], str]
    is_true: Callable[[str], str]


DIALECTS: Mapping[str, Dialect] = {
    "sqlite": Dialect(json_object="json_object", utc=str, is_true=lambda column: f"{column} = 1"),
    "mysql": Dialect(
        json_object="JSON_OBJECT",
        utc=lambda column: (
            f"DATE_FORMAT(DATE_ADD('1970-01-01', INTERVAL UNIX_TIMESTAMP({column}) SECOND), '%Y-%m-%dT%H:%i:%sZ')"
        ),
        is_true=lambda column: f"{column} = 1",
    ),
    "postgresql": Dialect(
        json_object="json_build_object",
        utc=lambda column: (
            f"to_char({column} AT TIME ZONE current_setting('TimeZone') AT TIME ZONE 'UTC',"
            ' \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
        ),
        is_true=lambda column: column,
    ),
}
"""The databases for which Cowrie has an output plugin."""


def events_query(database: str) -> str:
    """
    Return a SELECT whose rows are events in JSON, one per line.

    Each event has a member `row`, which names its table and row: without it, equal rows of the same second would count
    as one event. The tables do not store the time of a client version, a key or the end of a recording; these events
    have the start of their session.

    Args:
        database: A key of `DIALECTS`.
    """
    dialect = DIALECTS[database]
    return "\nUNION ALL\n".join(_selects(dialect)) + ";\n"


def _selects(dialect: Dialect) -> Sequence[str]:
    succeeded, typed = dialect.is_true("t.success"), dialect.is_true("t.success")
    login = f"CASE WHEN {succeeded} THEN 'cowrie.login.success' ELSE 'cowrie.login.failed' END"
    entered = (
        "CASE WHEN t.success IS NULL THEN 'cowrie.session.input'"
        f" WHEN {typed} THEN 'cowrie.command.input' ELSE 'cowrie.command.failed' END"
    )
    hash_of_file = "NULLIF(t.shasum, 'NULL')"
    transferred = (
        f"CASE WHEN {hash_of_file} IS NULL THEN 'cowrie.session.file_download.failed'"
        " WHEN t.url = '' THEN 'cowrie.session.file_upload' ELSE 'cowrie.session.file_download' END"
    )
    file_members = {"url": "t.url", "outfile": "NULLIF(t.outfile, 'NULL')", "shasum": hash_of_file}
    return [
        _select(dialect, "sessions", "'cowrie.session.connect'", "s.starttime", {}),
        _select(dialect, "sessions", "'cowrie.session.closed'", "s.endtime", {}, where="s.endtime IS NOT NULL"),
        _select(dialect, "clients", "'cowrie.client.version'", "s.starttime", {"version": "c.version"}),
        _select(dialect, "auth", login, "t.timestamp", {"username": "t.username", "password": "t.password"}),
        _select(dialect, "input", entered, "t.timestamp", {"input": "t.input"}),
        _select(dialect, "downloads", transferred, "t.timestamp", file_members),
        _select(
            dialect,
            "keyfingerprints",
            "'cowrie.client.fingerprint'",
            "s.starttime",
            {"username": "t.username", "fingerprint": "t.fingerprint"},
        ),
        _select(
            dialect,
            "ipforwards",
            "'cowrie.direct-tcpip.request'",
            "t.timestamp",
            {"dst_ip": "t.dst_ip", "dst_port": "t.dst_port"},
        ),
        _select(dialect, "ttylog", "'cowrie.log.closed'", "s.starttime", {"ttylog": "t.ttylog", "size": "t.size"}),
    ]


def _select(dialect: Dialect, table: str, event: str, at: str, members: Mapping[str, str], *, where: str = "") -> str:
    """Return the SELECT for the events in one table, each joined to its session."""
    joins = {
        "sessions": "FROM sessions s",
        "clients": "FROM sessions s JOIN clients c ON c.id = s.client",
    }
    source = joins.get(table, f"FROM {table} t JOIN sessions s ON s.id = t.session")
    row = "rtrim(s.id)" if table in joins else "t.id"
    stated = {
        "eventid": event,
        "session": "rtrim(s.id)",
        "timestamp": dialect.utc(at),
        "src_ip": "s.ip",
        "sensor": "n.ip",
        **members,
        "row": _concatenated(dialect, table, row),
    }
    pairs = ",\n  ".join(f"'{name}', {value}" for name, value in stated.items())
    condition = f"\nWHERE {where}" if where else ""
    return f"SELECT {dialect.json_object}(\n  {pairs})\n{source}\nLEFT JOIN sensors n ON n.id = s.sensor{condition}"


def _concatenated(dialect: Dialect, table: str, row: str) -> str:
    if dialect is DIALECTS["mysql"]:
        return f"concat('{table} ', {row})"
    return f"'{table} ' || {row}"
