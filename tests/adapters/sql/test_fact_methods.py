"""How near each fact is to the attack, in SQL."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import repeat

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
from snapshots.app.queries.paging import every_line
from snapshots.app.queries.reports import COUNTED_FACTS
from snapshots.app.queries.session_queries import Dimension, SessionFilter
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.fact_methods import FactMethod, fact_methods
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME
from tests.fakes import FixedClock
from tests.strategies import DAY, HOME, NOON, OTHER

STAMPS = ["2026-03-01", "2026-02-28", "2026-03-02", "2026-03-01T12:00", "2026-03-01T11:59:59", "2026-03-01T12:00:01"]
STAMPS += [str((NOON + days * DAY).date()) for days in (-91, -90, 180, 181, 730, 731)] + ["", "no-date"]
labels = st.builds("{}@{}".format, st.just("a"), st.sampled_from(STAMPS))
of_networks = st.builds("{}@{}".format, st.sampled_from(["network-types", "network-types-b"]), st.sampled_from(STAMPS))
times = st.sampled_from([NOON, NOON, NOON + timedelta(microseconds=1), MIN_TIME + DAY, MAX_TIME - DAY])
facts = st.sampled_from([(1, "DE", IpType.TOR), (1, None, IpType.TOR), (1, "DE", None), (None, "DE", IpType.TOR)])
sealed = st.builds(
    lambda facts, method, named, of_type: IpSnapshot(
        asn=facts[0],
        country=facts[1],
        ip_type=facts[2],
        enrichment_at=NOON,
        method=method,
        source=" ".join([*named, of_type] if facts[2] is not None else named) or "a@2026-03-01",
    ),
    facts,
    st.sampled_from([Method.ASOF, Method.INFERRED, Method.INFERRED, Method.CORRECTED]),
    st.lists(labels, max_size=2),
    labels | of_networks,
)


def put(
    database: SqlDatabase, made: list[tuple[datetime, IpSnapshot]], addresses: Iterable[IpAddress] = repeat(HOME)
) -> None:
    found = [
        SessionAggregate.sighted(f"s{n}", address.text, at).summary().judged(snapshot)
        for n, ((at, snapshot), address) in enumerate(zip(made, addresses, strict=False))
    ]
    with database.transaction() as stores:
        stores.audit.prune(MAX_TIME, run="r", made_at=NOON)
        stores.inventory.register_addresses([s.sighting for s in found if s.sighting], registered_at=NOON)
        stores.sessions.save(found, run="r", saved_at=NOON)


def assert_is_weakest(address: Coverage, sessions: list[Mapping[str, FactMethod]]) -> None:
    """An address has the facts that all of its sessions have, by the weakest method and at the greatest distance."""
    assert address.total == 1
    for fact in ("asn", "country", "ip_type"):
        of_fact = [near[fact] for near in sessions if fact in near]
        is_known = len(of_fact) == len(sessions)
        inferred = [each.method is Method.INFERRED for each in of_fact]
        corrected = [each.method is Method.CORRECTED for each in of_fact]
        assert address.by_field[fact] == is_known
        assert address.inferred[fact] == (is_known and any(inferred))
        assert address.asof[fact] == (is_known and not any(inferred) and not any(corrected))
        distances = [each.distance for each in of_fact if each.distance is not None]
        assert address.distances[fact] == Counter([max(distances)] if is_known and distances else [])


def rule(near: list[Mapping[str, FactMethod]], snapshots: list[IpSnapshot]) -> Coverage:
    """Return the coverage of sessions that are counted one by one."""
    pairs = zip(near, snapshots, strict=True)
    return Coverage.of(CoverageCase(count=1, facts=facts, method=snapshot.method) for facts, snapshot in pairs)


def test_methods_and_distances_of_facts_equal_those_of_the_rule(sql_database: SqlDatabase) -> None:
    """For builds named once or once for each fact, with a day or a moment, and for damaged labels."""
    sql_database.migrate()
    session_queries = SqlSessionQueries(sql_database, FixedClock())
    reports = SqlReports(sql_database, AsOfReader(), clock=FixedClock())

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(times, sealed), min_size=1, max_size=6))
    def check(made: list[tuple[datetime, IpSnapshot]]) -> None:
        put(sql_database, made)
        expected = [fact_methods(snapshot, at) for at, snapshot in made]
        lines = {line.session_id: line for line in every_line(session_queries, SessionFilter())}
        for line in every_line(session_queries, SessionFilter(), with_activity=True):
            assert line._replace(activity=None) == lines[line.session_id], "what was done changes nothing else"
        for n, near in enumerate(expected):
            line = lines[f"s{n}"]
            found = {"asn": line.asn_method, "country": line.country_method, "ip_type": line.type_method}
            assert {fact: method for fact, method in found.items() if method is not None} == {
                fact: each.method.value for fact, each in near.items()
            }
        coverage = reports.coverage()
        assert_is_weakest(coverage.addresses, expected)
        assert coverage.sessions == rule(expected, [snapshot for _, snapshot in made])

    check()


def test_an_address_with_the_same_builds_at_many_times_is_as_far_from_them_as_its_farthest_session(
    sql_database: SqlDatabase,
) -> None:
    """Only the first and the last of these times are read."""
    sql_database.migrate()
    reports = SqlReports(sql_database, AsOfReader(), clock=FixedClock())
    days = st.sampled_from([-800, -731, -181, -91, -1, 0, 1, 90, 91, 180, 200, 730, 800]) | st.integers(-900, 900)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.lists(days.map(lambda day: NOON + day * DAY) | times, min_size=1, max_size=5), sealed)
    def check(seen: list[datetime], snapshot: IpSnapshot) -> None:
        put(sql_database, [(at, snapshot) for at in seen])
        coverage, expected = reports.coverage(), [fact_methods(snapshot, at) for at in seen]
        assert_is_weakest(coverage.addresses, expected)
        assert coverage.sessions == rule(expected, [snapshot] * len(seen)) == reports.database_status().sessions

    check()


def test_a_report_counts_sessions_by_all_facts_as_groups_do(sql_database: SqlDatabase) -> None:
    """The page shows both: equal groups are in the same order, and an address counts once for a network or country."""
    sql_database.migrate()
    session_queries = SqlSessionQueries(sql_database, FixedClock())
    reports = SqlReports(sql_database, AsOfReader(), clock=FixedClock())
    days = st.sampled_from([-800, -91, -90, 0, 1, 180, 731]).map(lambda day: NOON + day * DAY) | times
    snapshots = st.builds(
        lambda snapshot, asn: replace(snapshot, asn=asn) if snapshot.asn is not None else snapshot,
        sealed,
        st.sampled_from([9, 10]),
    )

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.tuples(st.lists(days, min_size=1, max_size=3), snapshots), min_size=1, max_size=5),
        st.permutations(COUNTED_FACTS),
        st.integers(1, len(COUNTED_FACTS)),
        st.lists(st.sampled_from([HOME, OTHER]), min_size=15, max_size=15),
        st.sampled_from([None, NOON]),
    )
    def check(
        made: list[tuple[list[datetime], IpSnapshot]],
        keys: list[Dimension],
        length: int,
        addresses: list[IpAddress],
        since: datetime | None,
    ) -> None:
        put(sql_database, [(at, snapshot) for seen, snapshot in made for at in seen], addresses)
        session_filter = SessionFilter(since=since)

        facts = reports.report(top=1, session_filter=session_filter).facts

        by = keys[:length]
        expected = session_queries.groups(session_filter, by, top=999)
        assert [(group.values, group.sessions) for group in facts.groups(*by)] == [
            (group.values, group.sessions) for group in expected
        ]
        for key in (Dimension.ASN, Dimension.COUNTRY):
            counted = session_queries.groups(session_filter, [key], top=999, with_addresses=True)
            assert facts.addresses[key] == {group.values[0]: group.addresses for group in counted}

    check()


def test_sessions_are_filtered_by_the_method_of_a_fact_and_by_the_precision_of_the_type(
    sql_database: SqlDatabase,
) -> None:
    """Correct history of countries is found, although the ASN is inferred."""
    sql_database.migrate()
    held = IpSnapshot(
        asn=1, country="DE", ip_type=IpType.DATACENTER, enrichment_at=NOON, method=Method.INFERRED, source=""
    )
    sources = ["a@2026-03-05 b@2026-02-05 network-types@2026-02-05", "a@2026-02-05 b@2026-03-05 c@2026-03-05"]
    put(sql_database, [(NOON, replace(held, source=source)) for source in sources])
    session_queries = SqlSessionQueries(sql_database, FixedClock())

    def names(**values: str) -> list[str]:
        wanted = {Dimension(name.replace("_", "-")): [value] for name, value in values.items()}
        return [line.session_id for line in every_line(session_queries, SessionFilter(values={**wanted}))]

    assert names(country_method="asof") == ["s0"]
    assert names(asn_method="asof") == ["s1"]
    assert names(asn_method="inferred", type_method="inferred") == ["s0"]
    assert (names(type_by="network"), names(type_by="address")) == (["s0"], ["s1"])
    (group, _) = session_queries.groups(SessionFilter(), [Dimension.TYPE_BY], top=9)
    assert (group.values, group.sessions) == (("address",), 1)
