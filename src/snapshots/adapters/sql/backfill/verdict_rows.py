"""The staging table of verdicts on open sessions, and its rows."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    SmallInteger,
    String,
    Table,
)

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.staging import (
    fact_columns,
    staging_metadata,
)
from snapshots.adapters.sql.rows.session_encoder import SealBuilder, seen_text
from snapshots.app.ports.open_sessions import (
    Judged,
)
from snapshots.domain.snapshot.gap import Gap

STAGE = Table(
    "stage_open_sessions",
    staging_metadata,
    Column("session_id", String(64), primary_key=True),
    Column("stored_ip", String(45)),
    Column("stored_gap", String(20)),
    Column("source_ip", String(45)),
    Column("source_port", SmallInteger().with_variant(BigInteger, "postgresql")),
    Column("source_ip_rank", SmallInteger),
    Column("source_ip_seen_at", UtcDateTime),
    Column("source_ip_run", String(36)),
    *fact_columns(),
    Column("snapshot_seal", String(32)),
    Column("snapshot_gap", String(20)),
    prefixes=["TEMPORARY"],
)


def verdict_rows(
    judged: Collection[Judged], run: str, stored: Callable[[datetime], datetime | str]
) -> Iterator[tuple[object, ...]]:
    """Yield the row of STAGE for each verdict."""
    seals = SealBuilder(run, stored)
    for session, sighting, verdict in judged:
        name, _, stored_ip, stored_gap, has_sighting_time, *_ = session
        if sighting is None:
            gap = verdict.value if isinstance(verdict, Gap) else Gap.NO_SOURCE_IP.value
            yield (name, stored_ip, stored_gap, stored_ip, *_NOTHING, gap)
            continue
        address = sighting.address.text
        by = run if address != stored_ip or not has_sighting_time else None
        port, rank, at = sighting.port, int(sighting.kind), stored(sighting.seen_at)
        seen = (name, stored_ip, stored_gap, address, port, rank, at, by)
        if isinstance(verdict, Gap):
            yield (*seen, *_NO_FACTS, verdict.value)
        else:
            yield (*seen, *seals.columns(name, seen_text(sighting), verdict), None)


_NOTHING, _NO_FACTS = (None,) * 11, (None,) * 7
