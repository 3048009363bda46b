"""Drift equals a comparison of each session in Python."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.inventory_reports import SqlInventoryReports
from snapshots.adapters.sql.schema.tables import known_addresses
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_AGE
from snapshots.domain.snapshot.freshness import FreshnessPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_spans import MAX_TIME
from tests.strategies import DAY, HOME, NOON, OTHER

Facts = tuple[int | None, str | None, str | None]
FACTS = ("asn", "country", "ip_type")
NOW = NOON + NETWORK_MAX_AGE
"""Makes tables from before NOON too old."""

MOST_MOVES = 1_000


class Made(NamedTuple):
    """A sealed session."""

    address: IpAddress
    seen_at: datetime
    facts: Facts
    enrichment_at: datetime
    source: str


days = st.integers(-2, 2).map(lambda n: NOON + n * DAY)
facts = st.tuples(
    st.sampled_from([None, 1, 2]), st.sampled_from([None, "DE", "FR"]), st.sampled_from([None, "TOR", "DATACENTER"])
)
attacks = st.builds(
    lambda seen, address, held, made_at, source: [Made(address, at, held, made_at, source) for at in seen],
    st.lists(days, min_size=1, max_size=4),
    st.sampled_from([HOME, OTHER]),
    facts.filter(any),
    days,
    st.sampled_from(["a@2026-03-01", "b@2026-03-01"]),
)
"""Attacks of one address at several times, with the same facts from the same tables."""

newest = st.tuples(facts, st.tuples(*(st.none() | days,) * 3))


def put(
    database: SqlDatabase, made: Sequence[Made], current: Mapping[IpAddress, tuple[Facts, Sequence[datetime | None]]]
) -> None:
    """Store sessions, and the newest facts of their addresses with their dates."""
    found = []
    for n, each in enumerate(made):
        asn, country, ip_type = each.facts
        verdict = IpSnapshot(
            asn=asn,
            country=country,
            ip_type=IpType(ip_type) if ip_type is not None else None,
            enrichment_at=each.enrichment_at,
            method=Method.ASOF,
            source=each.source,
        )
        found.append(SessionAggregate.sighted(f"s{n}", each.address.text, each.seen_at).summary().judged(verdict))
    with database.transaction() as stores:
        stores.audit.prune(MAX_TIME, run="r", made_at=NOON)
        stores.inventory.register_addresses([s.sighting for s in found if s.sighting], registered_at=NOON)
        stores.sessions.save(found, run="r", saved_at=NOON)
    with database.engine.begin() as connection:
        for address, (values, dates) in current.items():
            columns: dict[str, object] = {f"current_{name}": value for name, value in zip(FACTS, values, strict=True)}
            columns |= {f"current_{name}_at": at for name, at in zip(FACTS, dates, strict=True)}
            connection.execute(update(known_addresses).where(known_addresses.c.ip_address == address.text), columns)


def test_drift_equals_a_comparison_of_each_session(sql_database: SqlDatabase) -> None:
    """Also if an address was attacked from both before and after its newest fact, and if tables are too old."""
    sql_database.migrate()
    reports = SqlInventoryReports(sql_database, FreshnessPolicy())

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.lists(attacks, max_size=4), newest, newest)
    def check(
        of_addresses: list[list[Made]],
        of_home: tuple[Facts, Sequence[datetime | None]],
        of_other: tuple[Facts, Sequence[datetime | None]],
    ) -> None:
        made, current = [each for group in of_addresses for each in group], {HOME: of_home, OTHER: of_other}
        put(sql_database, made, current)
        compared, expired = Counter[str](), Counter[str]()
        moves = {name: Counter[tuple[str | None, str | None]]() for name in FACTS}
        moved_addresses = {name: set[tuple[IpAddress, str | None, str | None]]() for name in FACTS}
        sessions, addresses = set[int](), set[IpAddress]()
        for n, each in enumerate(made):
            values, dates = current[each.address]
            for name, then, now, at in zip(FACTS, each.facts, values, dates, strict=True):
                if then is None or at is None or at <= max(each.seen_at, each.enrichment_at):
                    continue
                longest = NETWORK_MAX_AGE
                if name == "ip_type":
                    longest = TYPE_MAX_AGE[IpType(values[2])] if values[2] is not None else min(TYPE_MAX_AGE.values())
                if NOW - at > longest:
                    expired[name] += 1
                    continue
                compared[name] += 1
                sessions.add(n)
                addresses.add(each.address)
                if then != now:
                    move = str(then), None if now is None else str(now)
                    moves[name][move] += 1
                    moved_addresses[name].add((each.address, *move))

        drift = reports.drift(now=NOW, top=MOST_MOVES)

        assert (drift.sealed, drift.sessions, drift.addresses) == (len(made), len(sessions), len(addresses))
        assert (Counter(drift.compared), Counter(drift.expired)) == (compared, expired)
        for name in FACTS:
            assert drift.changed[name] == moves[name].total()
            assert {(move.then, move.now): move.sessions for move in drift.moves[name]} == moves[name]
            of_moves = Counter((then, now) for _, then, now in moved_addresses[name])
            assert {(move.then, move.now): move.addresses for move in drift.moves[name]} == of_moves

    check()
