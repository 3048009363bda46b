"""The address that a document of another loader names, in SQL, where there is no doubt which."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, String, literal_column


def address_in_document(connection: Connection) -> ColumnElement[Any]:
    """
    Return the only text that a session's document names as its address; NULL if there are several, or any doubt.

    It stands where `addresses_in_document` of the adapter for facts looks: in keys below `session` or at the top, in
    `session_metadata.source_ip`, or in `dshield.ip.number`.
    """
    sql = _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE
    return literal_column(f"({sql.replace('@TWICE@', _TWICE)})", String)


_TWICE = " OR ".join(
    f"count(CASE part.key WHEN '{part}' THEN 1 END) > 1" for part in ("session", "session_metadata", "dshield")
)


# Without OFFSET and LIMIT the inner query would be evaluated for each use of what it names.
# A key that stands twice, an escape that PostgreSQL refuses and a `session` with several keys are doubts.
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

_SQLITE = r"""
SELECT CASE WHEN min(part.named) = max(part.named) AND NOT (@TWICE@) THEN min(part.named) END
  FROM (SELECT each.key, CASE
          WHEN each.key = 'session_metadata' THEN
            CASE WHEN each.type = 'object' THEN
              (SELECT CASE count(*) WHEN 1 THEN min(inner.value) WHEN 0 THEN NULL ELSE '' END
                 FROM json_each(each.value) AS inner WHERE inner.key = 'source_ip')
            END
          WHEN each.key = 'dshield' THEN
            CASE WHEN each.type = 'object' THEN
              (SELECT CASE count(*) WHEN 1 THEN min(deepest.value) WHEN 0 THEN NULL ELSE '' END
                 FROM json_each(each.value) AS inner, json_each(inner.value) AS deepest
                WHERE inner.key = 'ip' AND inner.type = 'object' AND deepest.key = 'number')
            END
          WHEN each.key = 'session' THEN
            CASE WHEN each.type = 'object' THEN
              (SELECT CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN min(inner.key) ELSE '' END
                 FROM json_each(each.value) AS inner)
            END
          WHEN each.key GLOB '[0-9]*' OR instr(each.key, ':') > 0 THEN each.key
        END AS named
        FROM json_each(
          CASE WHEN typeof(session_summaries.enrichment) = 'text' AND json_valid(session_summaries.enrichment)
               THEN CASE WHEN json_type(session_summaries.enrichment) = 'object'
                          AND instr(session_summaries.enrichment, '\u') = 0
                         THEN session_summaries.enrichment END END
        ) AS each LIMIT -1) AS part"""
