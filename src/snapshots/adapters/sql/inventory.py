"""The inventory of addresses, in SQL."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, literal, or_, select, update

from snapshots.adapters.sql.dialects import each_of, insert
from snapshots.adapters.sql.rows import observation_in
from snapshots.adapters.sql.shape import OURS, Shape
from snapshots.adapters.sql.tables import (
    asn_inventory,
    fact_sources,
    ip_inventory,
    ip_observations,
    session_summaries,
)
from snapshots.app.ports import SessionChange
from snapshots.domain.observation import IpObservation, SourceBuild
from snapshots.domain.snapshot import IpSnapshot
from snapshots.domain.source_ip import IpAddress, Sighting


class SqlIpInventory:
    """Addresses as rows of `ip_inventory`, what was said of them as rows of `ip_observations`."""

    def __init__(self, connection: Connection, shape: Shape = OURS) -> None:
        self._connection = connection
        self._addresses = shape.into(ip_inventory)
        self._networks = shape.into(asn_inventory)
        self._largest_asn = min(shape.largest_asn(ip_inventory), shape.largest_asn(asn_inventory))

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """Return all observations of each address, in one query."""
        wanted = each_of(self._connection, [address.text for address in addresses]).cte("wanted")
        query = select(ip_observations).join(wanted, ip_observations.c.ip_address == wanted.c.value)
        histories: defaultdict[IpAddress, list[IpObservation]] = defaultdict(list)
        for row in self._connection.execute(query).mappings():
            observation = observation_in(row)
            histories[observation.address].append(observation)
        return dict(histories)

    def register(self, sightings: Collection[Sighting], *, registered_at: datetime) -> None:
        """Insert the addresses that are not there, without sessions."""
        spans: dict[str, tuple[datetime, datetime]] = {}
        for sighting in sightings:
            at = sighting.seen_at
            first, last = spans.get(sighting.address.text, (at, at))
            spans[sighting.address.text] = (min(first, at), max(last, at))
        rows = [
            {
                "ip_address": address,
                "first_seen": first,
                "last_seen": last,
                "session_count": 0,
                "created_at": registered_at,
                "updated_at": registered_at,
            }
            for address, (first, last) in sorted(spans.items())
        ]
        if rows:
            self._connection.execute(insert(self._connection, self._addresses).on_conflict_do_nothing(), rows)

    def learn(
        self,
        observations: Collection[IpObservation],
        organizations: Mapping[int, str],
        newest: Mapping[IpAddress, IpSnapshot],
        *,
        learned_at: datetime,
    ) -> None:
        """Insert observations, or let their confirmed_until grow; show the newest facts on the address."""
        networks = {said.asn: None for said in newest.values() if said.asn is not None} | dict(organizations)
        self._name_networks(networks, learned_at)
        if observations:
            self._insert(observations, learned_at)
        if newest:
            self._show(newest, learned_at)

    def register_source(self, build: SourceBuild, *, registered_at: datetime) -> None:
        """Insert the build, unless it is there."""
        self._connection.execute(
            insert(self._connection, fact_sources).on_conflict_do_nothing(),
            {
                "source": build.name,
                "built_at": build.built_at,
                "licence": build.licence,
                "sha256": build.sha256,
                "origin": build.origin,
                "registered_at": registered_at,
            },
        )

    def count_sessions(self, changes: Sequence[SessionChange], *, seen_at: datetime) -> None:
        """Add what the changes add; only an address that loses a session is counted anew."""
        spans: dict[str, tuple[datetime, datetime]] = {}
        more: Counter[str] = Counter()
        left: defaultdict[str, list[str]] = defaultdict(list)
        for change in changes:
            before = change.held.source_ip if change.held is not None else None
            after = change.kept.source_ip
            if before is not None and before != after:
                left[before.text].append(change.kept.session_id)
            if after is None:
                continue
            more[after.text] += before != after
            first, last = spans.get(after.text, (change.kept.first_event_at, change.kept.last_event_at))
            spans[after.text] = (min(first, change.kept.first_event_at), max(last, change.kept.last_event_at))
        for address, names in left.items():
            self._take_away(address, names, seen_at)
        self._add(spans, more, seen_at)

    def recount_networks(self, *, counted_at: datetime) -> None:
        """Count the addresses by network in one statement, and write what differs."""
        own, row = ip_inventory.c, asn_inventory.c
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
            update(asn_inventory)
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
            update(asn_inventory)
            .where(empty, row.unique_ip_count > 0)
            .values(unique_ip_count=0, total_session_count=0, updated_at=literal(counted_at, row.updated_at.type))
        )

    def _add(self, spans: Mapping[str, tuple[datetime, datetime]], more: Counter[str], seen_at: datetime) -> None:
        if not spans:
            return
        row = ip_inventory.c
        first, last = bindparam("first", type_=row.first_seen.type), bindparam("last", type_=row.last_seen.type)
        is_new = row.session_count == 0
        statement = (
            update(ip_inventory)
            .where(row.ip_address == bindparam("address"))
            .values(
                first_seen=case((is_new | (first < row.first_seen), first), else_=row.first_seen),
                last_seen=case((is_new | (last > row.last_seen), last), else_=row.last_seen),
                session_count=row.session_count + bindparam("more"),
                updated_at=bindparam("now", type_=row.updated_at.type),
            )
        )
        self._connection.execute(
            statement,
            [
                {"address": address, "first": first, "last": last, "more": more[address], "now": seen_at}
                for address, (first, last) in sorted(spans.items())
            ],
        )

    def _take_away(self, address: str, names: Collection[str], seen_at: datetime) -> None:
        sessions = session_summaries.c
        staying = and_(
            sessions.source_ip == address,
            sessions.session_id.not_in(each_of(self._connection, names)),
        )
        query = select(func.count(), func.min(sessions.first_event_at), func.max(sessions.last_event_at)).where(staying)
        count, first, last = self._connection.execute(query).one()
        values: dict[str, Any] = {"session_count": count, "updated_at": seen_at}
        if count:
            values |= {"first_seen": first, "last_seen": last}
        self._connection.execute(update(ip_inventory).where(ip_inventory.c.ip_address == address).values(values))

    def _name_networks(self, organizations: Mapping[int, str | None], now: datetime) -> None:
        """Insert the networks that are not there, with their names; another loader's row may point to any of them."""
        rows = [
            {"asn_number": number, "organization_name": text, "first_seen": now, "last_seen": now}
            | {"created_at": now, "updated_at": now}
            for number, text in sorted(organizations.items())
            if number <= self._largest_asn
        ]
        if not rows:
            return
        statement = insert(self._connection, self._networks)
        name = statement.excluded.organization_name
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[asn_inventory.c.asn_number],
                set_={
                    "organization_name": func.coalesce(name, asn_inventory.c.organization_name),
                    "updated_at": statement.excluded.updated_at,
                },
            ),
            rows,
        )

    def _insert(self, observations: Collection[IpObservation], learned_at: datetime) -> None:
        statement = insert(self._connection, ip_observations)
        held, offered = ip_observations.c.confirmed_until, statement.excluded.confirmed_until
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(ip_observations.primary_key.columns),
                set_={"confirmed_until": case((offered > held, offered), else_=held)},
            ),
            [
                {
                    "ip_address": said.address.text,
                    "source": said.source,
                    "observed_at": said.observed_at,
                    "confirmed_until": said.confirmed_until,
                    "learned_at": learned_at,
                    "asn": said.facts.asn,
                    "country": said.facts.country,
                    "ip_types": " ".join(sorted(kind.value for kind in said.facts.ip_types)),
                }
                for said in observations
            ],
        )

    def _show(self, newest: Mapping[IpAddress, IpSnapshot], now: datetime) -> None:
        row = ip_inventory.c
        self._connection.execute(
            update(ip_inventory)
            .where(row.ip_address == bindparam("address"))
            .values(
                current_asn=bindparam("asn"),
                current_country=bindparam("country"),
                current_ip_type=bindparam("type"),
                enrichment_updated_at=bindparam("at", type_=row.enrichment_updated_at.type),
                updated_at=bindparam("now", type_=row.updated_at.type),
            ),
            [
                {
                    "address": address.text,
                    "asn": snapshot.asn if (snapshot.asn or 0) <= self._largest_asn else None,
                    "country": snapshot.country,
                    "type": snapshot.ip_type.value if snapshot.ip_type is not None else None,
                    "at": snapshot.enrichment_at,
                    "now": now,
                }
                for address, snapshot in newest.items()
            ],
        )
