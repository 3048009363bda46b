"""SQL expression for the address in a document of another loader, if it is unambiguous."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, literal_column

from snapshots.domain.address.source_ip import IpAddress

AddressesIn = Callable[[bytes], Collection[IpAddress]]
"""Returns every address that a session's document, a JSON text in UTF-8, gives for the session."""


def no_address(_document: bytes) -> Collection[IpAddress]:
    """Read no document."""
    return ()


def address_in_document(connection: Connection) -> ColumnElement[Any]:
    """
    Return the only address text in a session's document; NULL if there are several, or the document is unusual.

    PostgreSQL repeats in SQL where `addresses_in_document` of the intel adapter looks: in keys of `session` or of the
    top level, in `session_metadata.source_ip`, or in `dshield.ip.number`. SQLite calls that function.
    """
    sql = _POSTGRESQL.replace("@TWICE@", _TWICE) if connection.dialect.name == "postgresql" else _SQLITE
    return literal_column(f"({sql})", String)


def only_address(addresses_in: AddressesIn) -> Callable[[bytes], str | None]:
    """Return the SQL function that SQLite calls for the address in a document."""

    def only(document: bytes) -> str | None:
        named = addresses_in(document)
        return next(iter(named)).text if len(named) == 1 else None

    return only


# As a blob, because text that is not valid UTF-8 would abort the statement.
_SQLITE = (
    "CASE WHEN typeof(session_summaries.enrichment) = 'text'"
    " THEN snapshot_address(CAST(session_summaries.enrichment AS BLOB)) END"
)

_TWICE = " OR ".join(
    f"count(CASE part.key WHEN '{part}' THEN 1 END) > 1" for part in ("session", "session_metadata", "dshield")
)


# Without OFFSET, PostgreSQL would evaluate the inner query for each reference to its columns.
# Duplicate keys, escapes that PostgreSQL rejects and a `session` with several keys yield NULL.
_POSTGRESQL = r"""
SELECT CASE WHEN min(part.named) = max(part.named) AND NOT (@TWICE@) THEN min(part.named) END
  FROM (SELECT each.key, CASE
          WHEN each.key = 'session_metadata' THEN
            CASE WHEN json_typeof(each.value) = 'object' THEN each.value ->> 'source_ip' END
          WHEN each.key = 'dshield' THEN
            CASE WHEN json_typeof(each.value) = 'object' THEN each.value -> 'ip' ->> 'number' END
          WHEN each.key = 'session' THEN
            CASE WHEN json_typeof(each.value) = 'object' THEN
              (SELECT CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN min(k) ELSE '' END FROM json_object_keys(each.value) k)
            END
          WHEN each.key ~ '^[0-9]|:' THEN each.key
        END AS named
        FROM json_each(
          CASE WHEN json_typeof(CAST(session_summaries.enrichment AS json)) = 'object'
                AND strpos(CAST(session_summaries.enrichment AS text), '\u') = 0
               THEN CAST(session_summaries.enrichment AS json) END
        ) AS each OFFSET 0) AS part"""
