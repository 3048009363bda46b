"""Store observations of addresses, and their newest facts with dates."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, String, Table, case, literal, select, true, update

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.planner import prefer_index_scans
from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.connection.staging import (
    driver_rows,
    fill_staging,
    pack_rows,
    staged_rows,
    staging_metadata,
    staging_table_for,
)
from snapshots.adapters.sql.schema.tables import ip_observations, known_addresses
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.provenance import CurrentFacts

STAGED_OBSERVATIONS = staging_table_for(ip_observations)
STAGED_FACTS = Table(
    "stage_newest",
    staging_metadata,
    Column("ip_address", String(45), primary_key=True),
    Column("asn", BigInteger),
    Column("country", String(2)),
    Column("ip_type", String(16)),
    Column("asn_at", UtcDateTime),
    Column("country_at", UtcDateTime),
    Column("ip_type_at", UtcDateTime),
    Column("at", UtcDateTime),
    prefixes=["TEMPORARY"],
)


def insert_observations(connection: Connection, observations: Collection[IpObservation], learned_at: datetime) -> None:
    """Upsert observations; an existing one takes the later confirmed_until."""
    rows = (
        {
            "ip_address": observation.address.text,
            "source": observation.source,
            "observed_at": observation.observed_at,
            "confirmed_until": observation.confirmed_until,
            "learned_at": learned_at,
            "asn": observation.facts.asn,
            "country": observation.facts.country,
            "ip_types": " ".join(sorted(kind.value for kind in observation.facts.ip_types)),
        }
        for observation in observations
    )
    fill_staging(
        connection, STAGED_OBSERVATIONS, pack_rows(connection, driver_rows(connection, STAGED_OBSERVATIONS, rows))
    )
    staged = (
        select(*STAGED_OBSERVATIONS.c)
        .where(true())
        .order_by(STAGED_OBSERVATIONS.c.ip_address, STAGED_OBSERVATIONS.c.source)
    )
    statement = insert(connection, ip_observations).from_select(STAGED_OBSERVATIONS.columns.keys(), staged)
    held, offered = ip_observations.c.confirmed_until, statement.excluded.confirmed_until
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(ip_observations.primary_key.columns),
            set_={"confirmed_until": case((offered > held, offered), else_=held)},
        )
    )


def show_newest(connection: Connection, newest: Mapping[IpAddress, CurrentFacts], now: datetime) -> None:
    """Update the newest facts of addresses and their dates."""
    rows = (
        {
            "ip_address": address.text,
            "asn": snapshot.asn,
            "country": snapshot.country,
            "ip_type": snapshot.ip_type.value if snapshot.ip_type is not None else None,
            **{f"{fact}_at": at for fact, at in answered_at.items()},
            "at": snapshot.enrichment_at,
        }
        for address, (snapshot, answered_at) in newest.items()
    )
    fill_staging(connection, STAGED_FACTS, pack_rows(connection, driver_rows(connection, STAGED_FACTS, rows)))
    row, staged = known_addresses.c, staged_rows(STAGED_FACTS, len(newest)).c
    showing = (
        update(known_addresses)
        .where(row.ip_address == staged.ip_address)
        .values(
            current_asn=staged.asn,
            current_country=staged.country,
            current_ip_type=staged.ip_type,
            current_asn_at=staged.asn_at,
            current_country_at=staged.country_at,
            current_ip_type_at=staged.ip_type_at,
            newest_at=staged.at,
            # In an adopted database the other loader's own date stays: it is the age of its document.
            enrichment_updated_at=staged.at,
            updated_at=literal(now, row.updated_at.type),
        )
    )
    with prefer_index_scans(connection):
        connection.execute(showing)
