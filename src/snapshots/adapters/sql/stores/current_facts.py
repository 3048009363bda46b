"""Store observations of addresses, and their newest facts with dates."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, String, Table, case, literal, select, true, update

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.planner import prefer_index_scans
from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.connection.staging import (
    driver_rows,
    fill_staging,
    pack_rows,
    staged_rows,
    staging_metadata,
)
from snapshots.adapters.sql.schema.tables import ip_observations, known_addresses
from snapshots.app.ports.inventory import LearnedFacts

STAGED_ADDRESSES = Table(
    "stage_addresses",
    staging_metadata,
    Column("ip_address", String(45), primary_key=True),
    Column("facts", Integer),
    prefixes=["TEMPORARY"],
)
"""Addresses with the number of their facts: many addresses have the same."""

STAGED_OBSERVATIONS = Table(
    "stage_observations",
    staging_metadata,
    Column("facts", Integer, primary_key=True, autoincrement=False),
    *(
        Column(column.name, column.type, primary_key=column.primary_key)
        for column in ip_observations.columns
        if column.name != "ip_address"
    ),
    prefixes=["TEMPORARY"],
)
STAGED_NEWEST = Table(
    "stage_newest",
    staging_metadata,
    Column("facts", Integer, primary_key=True, autoincrement=False),
    Column("asn", BigInteger),
    Column("country", String(2)),
    Column("ip_type", String(16)),
    Column("asn_at", UtcDateTime),
    Column("country_at", UtcDateTime),
    Column("ip_type_at", UtcDateTime),
    Column("at", UtcDateTime),
    prefixes=["TEMPORARY"],
)


def store_facts(connection: Connection, learned: Collection[LearnedFacts], learned_at: datetime) -> None:
    """
    Upsert the observations of addresses, and update their newest facts and the date of each.

    An existing observation takes the later confirmed_until.
    """
    numbered = list(enumerate(learned))
    rows = ((address.text, number) for number, each in numbered for address in each.addresses)
    fill_staging(connection, STAGED_ADDRESSES, pack_rows(connection, rows))
    count = sum(len(each.addresses) for each in learned)
    with prefer_index_scans(connection):
        if any(each.observations for each in learned):
            _stage(connection, STAGED_OBSERVATIONS, _observation_rows(numbered, learned_at))
            _insert_observations(connection, count)
            _date_addresses(connection, count, learned_at)
        if any(each.newest is not None for each in learned):
            _stage(connection, STAGED_NEWEST, _newest_rows(numbered))
            _show_newest(connection, count, learned_at)


def _stage(connection: Connection, stage: Table, rows: Iterator[Mapping[str, Any]]) -> None:
    fill_staging(connection, stage, pack_rows(connection, driver_rows(connection, stage, rows)))


def _observation_rows(
    numbered: Sequence[tuple[int, LearnedFacts]], learned_at: datetime
) -> Iterator[Mapping[str, Any]]:
    for number, each in numbered:
        for observation in each.observations:
            yield {
                "facts": number,
                "source": observation.source,
                "observed_at": observation.observed_at,
                "confirmed_until": observation.confirmed_until,
                "learned_at": learned_at,
                "asn": observation.facts.asn,
                "country": observation.facts.country,
                "ip_types": " ".join(sorted(kind.value for kind in observation.facts.ip_types)),
            }


def _newest_rows(numbered: Sequence[tuple[int, LearnedFacts]]) -> Iterator[Mapping[str, Any]]:
    for number, each in numbered:
        if each.newest is None:
            continue
        snapshot, answered_at = each.newest
        yield {
            "facts": number,
            "asn": snapshot.asn,
            "country": snapshot.country,
            "ip_type": snapshot.ip_type.value if snapshot.ip_type is not None else None,
            **{f"{fact}_at": at for fact, at in answered_at.items()},
            "at": snapshot.enrichment_at,
        }


def _insert_observations(connection: Connection, count: int) -> None:
    addresses, staged = staged_rows(STAGED_ADDRESSES, count), STAGED_OBSERVATIONS.c
    names = ip_observations.columns.keys()
    columns = [addresses.c.ip_address, *(staged[name] for name in names if name != "ip_address")]
    rows = (
        select(*columns)
        .join_from(addresses, STAGED_OBSERVATIONS, staged.facts == addresses.c.facts)
        .where(true())
        .order_by(addresses.c.ip_address, staged.source)
    )
    statement = insert(connection, ip_observations).from_select(names, rows)
    held, offered = ip_observations.c.confirmed_until, statement.excluded.confirmed_until
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(ip_observations.primary_key.columns),
            set_={"confirmed_until": case((offered > held, offered), else_=held)},
        )
    )


def _date_addresses(connection: Connection, count: int, learned_at: datetime) -> None:
    """Update learned_at of the addresses that have new observations."""
    row, staged = known_addresses.c, staged_rows(STAGED_ADDRESSES, count).c
    is_learned = staged.facts.in_(select(STAGED_OBSERVATIONS.c.facts))
    dating = update(known_addresses).where(row.ip_address == staged.ip_address, is_learned)
    connection.execute(dating.values(learned_at=learned_at))


def _show_newest(connection: Connection, count: int, now: datetime) -> None:
    row, addresses, staged = known_addresses.c, staged_rows(STAGED_ADDRESSES, count).c, STAGED_NEWEST.c
    showing = (
        update(known_addresses)
        .where(row.ip_address == addresses.ip_address, staged.facts == addresses.facts)
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
    connection.execute(showing)
