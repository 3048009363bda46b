"""
Create the views for analysts and their programs: sessions, logins, commands and downloads.

They use no function of this program, so that any program can read them. They are recreated after every migration, like
the triggers: a change of a definition needs a new migration. A database that another loader made has none, because a
column that a view uses cannot be changed by the migrations of that loader.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, text

from snapshots.adapters.sql.schema.tables import HOLDS_A_FACT
from snapshots.domain.facts.network_types import NETWORK_TYPES
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.logins import OTHERS
from snapshots.domain.snapshot.snapshot import Method

FIRST_VERSION = "0019"
"""The first version of the tables with views; views of these names in an older database are not ours."""


class _Sql(NamedTuple):
    """
    Parts of statements that differ between databases.

    Attributes:
        each: Row source of the values of a trait, {trait}.
        number: Number of a value within its session, from 1.
        at: Time of the value.
        value: Text of the value.
        has: Whether the text {column} contains the text {part}.
    """

    each: str
    number: str
    at: str
    value: str
    has: str


_SQLITE_TIME = "json_extract(each.value, '$[0]')"
_SQLITE_MICROS = f"(({_SQLITE_TIME} % 1000000) + 1000000) % 1000000"
_SQL: Mapping[str, _Sql] = {
    "sqlite": _Sql(
        each="json_each(CASE WHEN json_valid(s.behaviour) THEN s.behaviour END, '$.{trait}') AS each",
        number="each.key + 1",
        at=f"strftime('%Y-%m-%d %H:%M:%S', ({_SQLITE_TIME} - {_SQLITE_MICROS}) / 1000000, 'unixepoch')"
        f" || printf('.%06d', {_SQLITE_MICROS})",
        value="json_extract(each.value, '$[1]')",
        has="instr({column}, '{part}') > 0",
    ),
    "postgresql": _Sql(
        each="json_array_elements(CAST(s.behaviour AS json) -> '{trait}') WITH ORDINALITY AS each(value, number)",
        number="each.number",
        at="timestamptz 'epoch' + CAST(each.value ->> 0 AS bigint) / 1000000 * interval '1 second'"
        " + CAST(each.value ->> 0 AS bigint) % 1000000 * interval '1 microsecond'",
        value="each.value ->> 1",
        has="position('{part}' IN {column}) > 0",
    ),
}

_FACTS = """s.matcher AS sensor, s.source_ip, s.snapshot_asn AS asn, n.organization_name AS organization,
       s.snapshot_country AS country, s.snapshot_ip_type AS ip_type, {method} AS method"""
_METHOD = f"CASE WHEN {HOLDS_A_FACT.format(row='s.')} THEN coalesce(s.snapshot_method, '{Method.ADOPTED.value}') END"
_FROM = "FROM session_summaries s LEFT JOIN known_networks n ON n.asn_number = s.snapshot_asn"

_SESSIONS = """
SELECT s.session_id, s.first_event_at, s.last_event_at, {facts}, s.source_port, s.enrichment_at,
       CASE WHEN s.snapshot_ip_type IS NULL THEN NULL WHEN {is_by_network} THEN 'network' ELSE 'address' END AS type_by,
       s.snapshot_source AS source, s.snapshot_run AS run, s.snapshot_gap AS gap, s.event_count AS events,
       s.login_attempts AS logins, s.command_count AS commands, s.file_downloads AS downloads, s.protocol,
       s.client_version AS client, s.hassh, s.username AS user_name, s.password_hash, s.login_succeeded,
       s.command_signature, s.ssh_key_fingerprint AS ssh_key, s.download_hash, s.duration_ms
  {tables}"""

_LOGINS = f"""
SELECT s.session_id, s.first_event_at, c.username AS user_name, c.password_hash, p.password, l.attempts, l.successes,
       l.credentials_number = {OTHERS} AS is_others, {{facts}}
  {{tables}} JOIN session_logins l ON l.session_id = s.session_id
  LEFT JOIN credentials c ON c.credentials_number = l.credentials_number
  LEFT JOIN passwords p ON p.password_hash = c.password_hash"""

_COMMANDS = """
SELECT s.session_id, {number} AS number, {at} AS at, {value} AS command, {facts}
  {tables} CROSS JOIN {each}"""

_DOWNLOADS = """
SELECT s.session_id, {at} AS at, {value} AS sha256, NULL AS url, {facts}
  {tables} CROSS JOIN {files}
UNION ALL
SELECT s.session_id, {at} AS at, NULL AS sha256, {value} AS url, {facts}
  {tables} CROSS JOIN {urls}"""


def definitions(dialect: str) -> Mapping[str, str]:
    """Return the query of each view by its name."""
    sql = _SQL[dialect]
    parts = {
        "facts": _FACTS.format(method=_METHOD),
        "tables": _FROM,
        "is_by_network": sql.has.format(column="s.snapshot_source", part=NETWORK_TYPES),
        "number": sql.number,
        "at": sql.at,
        "value": sql.value,
        "files": sql.each.format(trait=Trait.DOWNLOAD.word),
        "urls": sql.each.format(trait=Trait.URL.word),
    }
    return {
        "v_sessions": _SESSIONS.format(**parts),
        "v_logins": _LOGINS.format(**parts),
        "v_commands": _COMMANDS.format(**parts, each=sql.each.format(trait=Trait.COMMAND.word)),
        "v_downloads": _DOWNLOADS.format(**parts),
    }


def install(connection: Connection) -> None:
    """Create the views, in the caller's transaction."""
    for name, query in definitions(connection.dialect.name).items():
        connection.execute(text(f"CREATE VIEW {name} AS {query}"))


def remove(connection: Connection) -> None:
    """Drop the views, in the caller's transaction."""
    for name in definitions(connection.dialect.name):
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
