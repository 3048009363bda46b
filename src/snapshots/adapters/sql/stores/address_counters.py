"""Count sessions by address and network, in SQL."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    String,
    Table,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from snapshots.adapters.sql.connection.datetimes import UtcDateTime
from snapshots.adapters.sql.connection.dialects.expressions import sorts_by_bytes
from snapshots.adapters.sql.connection.dialects.planner import prefer_bitmap_scans, prefer_index_scans
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.dialects.timestamps import timestamp_encoder
from snapshots.adapters.sql.connection.keyset import is_within
from snapshots.adapters.sql.connection.staging import fill_staging, pack_rows, staged_rows, staging_metadata
from snapshots.adapters.sql.schema.tables import known_addresses, known_networks, session_summaries
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.sessions import SessionChange

STAGING = Table(
    "stage_counts",
    staging_metadata,
    Column("ip_address", String(45), primary_key=True),
    Column("first", UtcDateTime),
    Column("last", UtcDateTime),
    Column("more", Integer),
    prefixes=["TEMPORARY"],
)


class SqlInventoryCounts:
    """Counters in `known_addresses` and `known_networks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count_sessions(self, changes: Sequence[SessionChange], *, seen_at: datetime) -> None:
        """Add the changes to the counters; recompute times only for an address that loses a session."""
        spans: dict[str, tuple[datetime, datetime]] = {}
        more: Counter[str] = Counter()
        left: defaultdict[str, list[str]] = defaultdict(list)
        for held, kept in changes:
            before = held.source_ip if held is not None else None
            after = kept.source_ip
            if before is not None and before != after:
                left[before.text].append(kept.session_id)
            if after is None:
                continue
            address = after.text
            more[address] += before != after
            first, last = kept.first_event_at, kept.last_event_at
            begin, end = spans.get(address, (first, last))
            spans[address] = (min(first, begin), max(last, end))
        for address, names in left.items():
            self._subtract(address, names, seen_at)
        self._add(spans, more, seen_at)

    def addresses_until(self, within: KeyRange, *, limit: int) -> str:
        """Return the last address of a page."""
        address = known_addresses.c.ip_address
        page = select(address).where(is_within(address, within)).order_by(address).limit(limit).subquery()
        return self._connection.execute(select(func.max(page.c.ip_address))).scalar() or ""

    def count_found(self, run: str, within: KeyRange, *, seen_at: datetime) -> None:
        """Count the sessions of a range of addresses in one statement."""
        row, own = known_addresses.c, session_summaries.c
        began_at = func.coalesce(own.source_ip_seen_at, own.created_at)
        finding = select(
            own.source_ip,
            func.count().label("sessions"),
            func.min(func.coalesce(own.first_event_at, began_at)).label("first"),
            func.max(func.coalesce(own.last_event_at, began_at)).label("last"),
        ).group_by(own.source_ip)
        if sorts_by_bytes(self._connection, own.source_ip):
            finding = finding.where(is_within(own.source_ip, within), was_found_by(own, run))
        else:  # the ranges are of our addresses, and another loader's column sorts otherwise
            finding = finding.join(known_addresses, row.ip_address == own.source_ip)
            finding = finding.where(is_within(row.ip_address, within), was_found_by(own, run))
        found = finding.subquery()
        is_new = row.session_count == 0
        first, newest = found.c.first, found.c.last
        counting = (
            update(known_addresses)
            .where(row.ip_address == found.c.source_ip, is_within(row.ip_address, within))
            .values(
                session_count=row.session_count + found.c.sessions,
                first_seen=case((is_new | (first < row.first_seen), first), else_=row.first_seen),
                last_seen=case((is_new | (newest > row.last_seen), newest), else_=row.last_seen),
                updated_at=literal(seen_at, row.updated_at.type),
            )
        )
        with prefer_bitmap_scans(self._connection):
            self._connection.execute(counting)

    def recount_networks(self, *, counted_at: datetime) -> None:
        """Recount addresses and sessions by network in one statement, and update rows that differ."""
        own, row = known_addresses.c, known_networks.c
        counts = (
            select(
                own.current_asn.label("asn"),
                func.min(own.first_seen).label("first"),
                func.max(own.last_seen).label("last"),
                func.count().label("addresses"),
                func.sum(own.session_count).label("sessions"),
            )
            .where(own.current_asn.is_not(None))
            .group_by(own.current_asn)
            .subquery()
        )
        differs = or_(
            row.first_seen.is_distinct_from(counts.c.first),
            row.last_seen.is_distinct_from(counts.c.last),
            row.unique_ip_count != counts.c.addresses,
            row.total_session_count != counts.c.sessions,
        )
        self._connection.execute(
            update(known_networks)
            .where(row.asn_number == counts.c.asn, differs)
            .values(
                first_seen=counts.c.first,
                last_seen=counts.c.last,
                unique_ip_count=counts.c.addresses,
                total_session_count=counts.c.sessions,
                updated_at=literal(counted_at, row.updated_at.type),
            )
        )
        empty = row.asn_number.not_in(select(own.current_asn).where(own.current_asn.is_not(None)))
        self._connection.execute(
            update(known_networks)
            .where(empty, row.unique_ip_count > 0)
            .values(unique_ip_count=0, total_session_count=0, updated_at=literal(counted_at, row.updated_at.type))
        )

    def _add(self, spans: Mapping[str, tuple[datetime, datetime]], more: Counter[str], seen_at: datetime) -> None:
        if not spans:
            return
        stored = timestamp_encoder(self._connection)
        rows = ((a, stored(first), stored(last), more[a]) for a, (first, last) in sorted(spans.items()))
        fill_staging(self._connection, STAGING, pack_rows(self._connection, rows))
        row, staged = known_addresses.c, staged_rows(STAGING, len(spans)).c
        is_new = row.session_count == 0
        adding = (
            update(known_addresses)
            .where(row.ip_address == staged.ip_address)
            .values(
                first_seen=case((is_new | (staged.first < row.first_seen), staged.first), else_=row.first_seen),
                last_seen=case((is_new | (staged.last > row.last_seen), staged.last), else_=row.last_seen),
                session_count=row.session_count + staged.more,
                updated_at=literal(seen_at, row.updated_at.type),
            )
        )
        with prefer_index_scans(self._connection):
            self._connection.execute(adding)

    def _subtract(self, address: str, names: Collection[str], seen_at: datetime) -> None:
        sessions = session_summaries.c
        staying = and_(
            sessions.source_ip == address,
            sessions.session_id.not_in(select_texts(self._connection, names)),
        )
        query = select(func.count(), func.min(sessions.first_event_at), func.max(sessions.last_event_at)).where(staying)
        count, first, last = self._connection.execute(query).one()
        # Not a recount: a backfill counts the addresses that it found only at its end.
        fewer = known_addresses.c.session_count - len(names)
        values: dict[str, Any] = {"session_count": case((fewer < 0, 0), else_=fewer), "updated_at": seen_at}
        if count:
            values |= {"first_seen": first, "last_seen": last}
        self._connection.execute(update(known_addresses).where(known_addresses.c.ip_address == address).values(values))


def was_found_by(row: Any, run: str) -> ColumnElement[bool]:
    """Return the condition that a run recovered a session's address; *row* holds the columns."""
    return and_(row.source_ip_run == run, row.source_ip_was.is_distinct_from(row.source_ip))
