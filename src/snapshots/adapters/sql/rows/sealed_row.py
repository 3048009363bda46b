"""Compare many sealed rows with their seals: rows are tuples, and what rows have in common is computed once."""

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, type_coerce
from sqlalchemy.types import NullType

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.timestamps import timestamp_in_utc
from snapshots.adapters.sql.rows.row_decoder import digest, snapshot_in
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.domain.address.source_ip import SightingKind
from snapshots.domain.errors import InvalidFact

KINDS = frozenset(kind.value for kind in SightingKind)


class SealedRow(NamedTuple):
    """The sealed columns of a session, as stored, and its gap; timestamps as text, as they enter the seal."""

    session_id: str
    source_ip: str
    source_port: int | None
    source_ip_rank: int
    source_ip_seen_at: str
    snapshot_asn: int | None
    snapshot_country: str | None
    snapshot_ip_type: str | None
    enrichment_at: str
    snapshot_method: str
    snapshot_source: str
    snapshot_run: str | None
    snapshot_seal: str | None
    snapshot_gap: str | None

    @property
    def is_intact(self) -> bool:
        """Whether the row is complete, its values are in range, and they match the seal; False if in doubt."""
        name, address, port, rank, seen, *facts, run, seal, gap = self
        if type(name) is not str or type(address) is not str or rank not in KINDS or gap is not None:
            return False
        text = _text(tuple(facts))
        if seen is None or text is None:
            return False
        port_text = "" if port is None else port
        return seal == digest(f"{name}|{address}|{port_text}|{rank}|{seen}|{text}|{run or ''}")


def sealed_columns(connection: Connection) -> list[ColumnElement[Any]]:
    """Return the columns of a `SealedRow`, which may hold values of any type."""
    return [_stored(connection, session_summaries.c[name]) for name in SealedRow._fields]


def sealed_row(row: RowMapping) -> SealedRow:
    """Return the values of a complete row; its times are not used."""
    return SealedRow(**{name: row[name] for name in SealedRow._fields})


def _stored(connection: Connection, column: Column[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, UtcDateTime):
        return timestamp_in_utc(connection, column).label(column.name)
    return type_coerce(column, NullType).label(column.name)


@lru_cache(maxsize=50_000)
def _text(snapshot: tuple[Any, ...]) -> str | None:
    """Return the text of a snapshot in seals; None if it is incomplete, out of range, or of another loader."""
    asn, country, ip_type, at, method, source = snapshot
    if at is None or method is None or source is None:
        return None
    row = {"snapshot_asn": asn, "snapshot_country": country, "snapshot_ip_type": ip_type, "snapshot_source": source}
    try:
        snapshot_in(row | {"enrichment_at": datetime.fromisoformat(at), "snapshot_method": method})
    except (InvalidFact, ValueError, TypeError):
        return None
    facts = ("" if fact is None else str(fact) for fact in (asn, country, ip_type))
    return f"{'|'.join(facts)}|{at}|{method}|{source}"
