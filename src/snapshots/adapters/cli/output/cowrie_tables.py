"""SELECT statements that turn the tables of Cowrie's own database outputs back into its events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """
    SQL expressions that differ between databases.

    Attributes:
        json_object: The function that makes a JSON object of names and values.
        utc: Returns the expression for a stored time as ISO 8601 in UTC. On MySQL and PostgreSQL, Cowrie stores the
            local time of the server without an offset.
        is_true: Returns the condition that a flag is set.
        text: Returns the expression for a text; SQLite may hold a BLOB, which json_object() rejects.
        address: The address of a session. MySQL may have cut an IPv6 address to the width of the column, so an IPv6
            address of exactly that width is omitted.
        concat: Returns the expression that joins a word, a space and a column.
    """

    json_object: str
    utc: Callable[[str], str]
    is_true: Callable[[str], str]
    text: Callable[[str], str] = str
    address: str = "s.ip"
    concat: Callable[[str, str], str] = lambda word, column: f"'{word} ' || {column}"


DIALECTS: Mapping[str, Dialect] = {
    "sqlite": Dialect(
        json_object="json_object",
        utc=str,
        is_true=lambda column: f"{column} = 1",
        text=lambda column: f"CAST({column} AS TEXT)",
    ),
    "mysql": Dialect(
        json_object="JSON_OBJECT",
        utc=lambda column: (
            f"DATE_FORMAT(DATE_ADD('1970-01-01', INTERVAL UNIX_TIMESTAMP({column}) SECOND), '%Y-%m-%dT%H:%i:%sZ')"
        ),
        is_true=lambda column: f"{column} = 1",
        address=(
            "CASE WHEN s.ip NOT LIKE '%:%' OR char_length(s.ip) < (SELECT character_maximum_length FROM"
            " information_schema.columns WHERE table_schema = database() AND table_name = 'sessions'"
            " AND column_name = 'ip') THEN s.ip END"
        ),
        concat=lambda word, column: f"concat('{word} ', {column})",
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
    have the start of their session. Only SSH sessions have a client version, so that the others have no protocol.

    Args:
        database: A key of `DIALECTS`.
    """
    dialect = DIALECTS[database]
    return "\nUNION ALL\n".join(_selects(dialect)) + ";\n"


def _selects(dialect: Dialect) -> Sequence[str]:
    succeeded, text = dialect.is_true("t.success"), dialect.text
    login = f"CASE WHEN {succeeded} THEN 'cowrie.login.success' ELSE 'cowrie.login.failed' END"
    entered = (
        "CASE WHEN t.success IS NULL THEN 'cowrie.session.input'"
        f" WHEN {succeeded} THEN 'cowrie.command.input' ELSE 'cowrie.command.failed' END"
    )
    hash_of_file = "NULLIF(t.shasum, 'NULL')"
    transferred = (
        f"CASE WHEN {hash_of_file} IS NULL THEN 'cowrie.session.file_download.failed'"
        " WHEN t.url = '' THEN 'cowrie.session.file_upload' ELSE 'cowrie.session.file_download' END"
    )
    credentials = {"username": text("t.username"), "password": text("t.password")}
    file_members = {"url": text("t.url"), "outfile": text("NULLIF(t.outfile, 'NULL')"), "shasum": hash_of_file}
    key = {"username": text("t.username"), "fingerprint": "t.fingerprint"}
    target = {"dst_ip": text("t.dst_ip"), "dst_port": "t.dst_port"}
    protocol = {"protocol": "CASE WHEN s.client IS NOT NULL THEN 'ssh' END"}
    return [
        _select(dialect, "sessions", "'cowrie.session.connect'", "s.starttime", protocol),
        _select(dialect, "sessions", "'cowrie.session.closed'", "s.endtime", {}),
        _select(dialect, "clients", "'cowrie.client.version'", "s.starttime", {"version": text("c.version")}),
        _select(dialect, "auth", login, "t.timestamp", credentials),
        _select(dialect, "input", entered, "t.timestamp", {"input": text("t.input")}),
        _select(dialect, "downloads", transferred, "t.timestamp", file_members),
        _select(dialect, "keyfingerprints", "'cowrie.client.fingerprint'", "s.starttime", key),
        _select(dialect, "ipforwards", "'cowrie.direct-tcpip.request'", "t.timestamp", target),
        _select(dialect, "ttylog", "'cowrie.log.closed'", "s.starttime", {"ttylog": "t.ttylog", "size": "t.size"}),
    ]


def _select(dialect: Dialect, table: str, event: str, at: str, members: Mapping[str, str]) -> str:
    """Return the SELECT for the events in one table with a time, each joined to its session, if that has a row."""
    joins = {
        "sessions": "FROM sessions s",
        "clients": "FROM sessions s JOIN clients c ON c.id = s.client",
    }
    source = joins.get(table, f"FROM {table} t LEFT JOIN sessions s ON s.id = t.session")
    session, row = ("s.id", "rtrim(s.id)") if table in joins else ("t.session", "t.id")
    stated = {
        "eventid": event,
        "session": f"rtrim({session})",
        "timestamp": dialect.utc(at),
        "src_ip": dialect.address,
        "sensor": "n.ip",
        **members,
        "row": dialect.concat(table, row),
    }
    pairs = ",\n  ".join(f"'{name}', {value}" for name, value in stated.items())
    return (
        f"SELECT {dialect.json_object}(\n  {pairs})\n{source}"
        f"\nLEFT JOIN sensors n ON n.id = s.sensor\nWHERE {at} IS NOT NULL"
    )
