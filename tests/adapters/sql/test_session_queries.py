"""Queries over stored sessions give the same results as counting them in Python."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.inventory_reports import SqlInventoryReports
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
from snapshots.app.errors import InvalidQuery
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.app.queries.paging import every_address, every_line
from snapshots.app.queries.reports import COUNTED_FACTS
from snapshots.app.queries.session_queries import FOUND_BY, Dimension, Group, NetworkTime, SessionFilter, SessionRow
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.composition.wiring import Container
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_name import NetworkName
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.concentration import Concentration
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.freshness import FreshnessPolicy
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_spans import MIN_TIME
from tests.adapters.sql.test_query_plans import plans
from tests.cowrieprocessor import AdoptableSchema, put_session
from tests.fakes import FixedClock
from tests.strategies import DAY, HOME, NOON, OTHER, current, observed, snapshot

SELECTS = re.compile(r"SELECT (?!known_networks|adoptions|alembic)")
HOURS = [0, 1, 13, 24 * 6, 24 * 7, 24 * 40]
COMMANDS = ["id", "uname -a", "=1+1", "\x1b[31m"]
FIELDS = {
    Dimension.ASN: "asn",
    Dimension.COUNTRY: "country",
    Dimension.IP_TYPE: "ip_type",
    Dimension.ADDRESS: "source_ip",
    Dimension.SENSOR: "sensor",
    Dimension.ASN_METHOD: "asn_method",
    Dimension.COUNTRY_METHOD: "country_method",
    Dimension.TYPE_METHOD: "type_method",
    Dimension.TYPE_BY: "type_by",
    Dimension.PROTOCOL: "protocol",
    Dimension.CLIENT: "client",
    Dimension.HASSH: "hassh",
    Dimension.COMMANDS: "command_signature",
    Dimension.METHOD: "method",
    Dimension.GAP: "gap",
}
GROUPED = tuple(key for key in FOUND_BY if not key.only_filters and not key.is_repeated)
KEPT = (
    Dimension.ASN,
    Dimension.COUNTRY,
    Dimension.IP_TYPE,
    Dimension.METHOD,
    Dimension.ASN_METHOD,
    Dimension.COUNTRY_METHOD,
    Dimension.TYPE_METHOD,
    Dimension.TYPE_BY,
)
"""Keys without which a session is in a group of its own; of the others it is in none."""

sessions = st.lists(
    st.tuples(
        st.sampled_from(HOURS),
        st.sampled_from([HOME, OTHER]),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from(
            [
                Gap.NOTHING_KNOWN,
                snapshot(asn=1, country="DE"),
                snapshot(asn=2, country=None),
                replace(snapshot(asn=1, country="FR"), ip_type=IpType.VPN),
                replace(snapshot(asn=1, country="DE"), method=Method.INFERRED),
                replace(snapshot(asn=1, country="DE"), method=Method.CORRECTED),
            ]
        ),
        st.lists(st.sampled_from(COMMANDS), max_size=2, unique=True),
        st.sampled_from([None, "h" * 32]),
    ),
    max_size=9,
)
Made = tuple[int, IpAddress, str | None, IpSnapshot | Gap, list[str], str | None]


def put(database: SqlDatabase, found: Sequence[Made]) -> None:
    """Store sessions, and the current facts of their addresses."""
    summaries = []
    for n, (hour, address, sensor, verdict, commands, hassh) in enumerate(found):
        at = NOON + timedelta(hours=hour)
        traits = [((Trait.COMMAND, text),) for text in commands] + ([((Trait.HASSH, hassh),)] if hassh else [])
        events = [SessionEvent(n, at, EventKind.CONNECT, address, sensor=sensor)]
        events += [
            SessionEvent(
                100 + m, at + timedelta(seconds=m + 1), EventKind.COMMAND, address, sensor=sensor, traits=traits_
            )
            for m, traits_ in enumerate(traits)
        ]
        summaries.append(SessionAggregate.of(f"s{n}", events).summary().judged(verdict))
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in summaries if s.sighting], registered_at=NOON)
        if any(summary.source_ip == HOME for summary in summaries):
            observation, now = observed("a", NOON, asn=9, country="NL"), snapshot(asn=9, country="NL")
            learned = LearnedFacts([HOME], [observation], current(now))
            stores.inventory.learn([learned], {9: NetworkName("Nine", NOON)}, learned_at=NOON)
        stores.sessions.save(summaries, run="r", saved_at=NOON)


@pytest.fixture
def database(sql_database: SqlDatabase) -> SqlDatabase:
    return sql_database


def clear(database: SqlDatabase) -> None:
    with database.transaction() as stores:
        stores.audit.prune(NOON + 1000 * DAY, run="r", made_at=NOON)


def counted(lines: Sequence[SessionRow], keys: Sequence[Dimension]) -> Counter[tuple[str | None, ...]]:
    """Count sessions by keys, one after the other."""
    found: Counter[tuple[str | None, ...]] = Counter()
    for line in lines:
        values = tuple(getattr(line, FIELDS[key]) for key in keys)
        if not any(value is None and key not in KEPT for key, value in zip(keys, values, strict=True)):
            found[tuple(None if value is None else str(value) for value in values)] += 1
    return found


def assert_times_can_be_left_out(
    session_queries: SqlSessionQueries, session_filter: SessionFilter, keys: Sequence[Dimension]
) -> None:
    """Without times, groups are counted in the same way."""
    for with_addresses in (False, True):
        groups = session_queries.groups(session_filter, keys, top=99, with_addresses=with_addresses)
        found = session_queries.groups(session_filter, keys, top=99, with_times=False, with_addresses=with_addresses)
        assert found == [replace(group, first_seen=None, last_seen=None) for group in groups]


def test_groups_and_rows_equal_a_count_in_python(database: SqlDatabase) -> None:
    """For any key, time bucket and filter."""
    session_queries = SqlSessionQueries(database, FixedClock())

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(
        found=sessions,
        keys=st.lists(st.sampled_from(GROUPED), min_size=1, max_size=2, unique=True),
        span=st.tuples(st.none() | st.sampled_from(HOURS[:3]), st.none() | st.sampled_from(HOURS[3:])),
        page=st.integers(1, 4),
    )
    def check(found: list[Made], keys: list[Dimension], span: tuple[int | None, int | None], page: int) -> None:
        clear(database)
        put(database, found)
        since, until = (None if hour is None else NOON + timedelta(hours=hour) for hour in span)
        every = list(every_line(session_queries, SessionFilter(), page=page))
        assert [line.session_id for line in every] == [
            name for _, name in sorted(((made[0], f"s{n}") for n, made in enumerate(found)), reverse=True)
        ]
        within = [line for line in every if is_within(line, since, until)]
        session_filter = SessionFilter(since=since, until=until)
        assert list(every_line(session_queries, session_filter, page=page)) == within

        groups = session_queries.groups(session_filter, keys, top=99, with_addresses=True)
        expected = counted(within, keys)
        assert {group.values: group.sessions for group in groups} == expected
        assert [group.sessions for group in groups] == sorted(expected.values(), reverse=True)
        assert session_queries.groups(session_filter, keys, top=1, with_addresses=True) == groups[:1]
        assert_times_can_be_left_out(session_queries, session_filter, keys)
        for group in groups:
            values = dict(zip(keys, group.values, strict=True))
            only = SessionFilter(since=since, until=until, values={key: [value] for key, value in values.items()})
            own = list(every_line(session_queries, only))
            assert len(own) == group.sessions
            assert group.addresses == len({line.source_ip for line in own})
            methods = Counter(line.method for line in own)
            is_split = any(values.get(key) is not None for key in (Dimension.ASN, Dimension.COUNTRY, Dimension.IP_TYPE))
            assert (group.asof, group.inferred) == (
                (methods["asof"], methods["inferred"]) if is_split else (None, None)
            )
            times = [line.first_event_at for line in own if line.first_event_at is not None]
            assert (group.first_seen, group.last_seen) == (min(times), max(times))
        sizes = Counter(counted(within, keys[:1]).values())
        assert session_queries.concentration(session_filter, keys[0]) == Concentration.of(sizes)

    check()


def test_repeated_values_combine_with_every_key(database: SqlDatabase) -> None:
    """Commands and URLs with a key, with each other and with a time in any place: each session counts once."""
    session_queries = SqlSessionQueries(database, FixedClock())

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(
        found=sessions,
        keys=st.permutations([Dimension.COMMAND, Dimension.ASN, Dimension.SENSOR, TimeBucket.DAY]).flatmap(
            lambda keys: st.sampled_from([keys[:1], keys[:2], keys[:3]])
        ),
    )
    def check(found: list[Made], keys: list[Dimension | TimeBucket]) -> None:
        clear(database)
        put(database, found)
        expected: Counter[tuple[str | None, ...]] = Counter()
        for hour, _, sensor, verdict, commands, _ in found:
            asn = verdict.asn if isinstance(verdict, IpSnapshot) else None
            for command in commands if Dimension.COMMAND in keys else [""]:
                values = {
                    Dimension.COMMAND: command,
                    Dimension.ASN: None if asn is None else str(asn),
                    Dimension.SENSOR: sensor,
                    TimeBucket.DAY: f"{NOON + timedelta(hours=hour):%Y-%m-%d}",
                }
                if Dimension.SENSOR not in keys or sensor is not None:
                    expected[tuple(values[key] for key in keys)] += 1

        groups = session_queries.groups(SessionFilter(), keys, top=99)

        assert {group.values: group.sessions for group in groups} == expected
        assert session_queries.count_groups(SessionFilter(), keys) == len(expected)
        if keys[0] is TimeBucket.DAY:
            days = [group.values[0] or "" for group in groups]
            assert days == sorted(days, reverse=True)
        else:
            assert [group.sessions for group in groups] == sorted(expected.values(), reverse=True)

    check()


def test_every_file_of_a_session_counts(database: SqlDatabase) -> None:
    """Not only the first one: by each of them a session is grouped, found and completed; also by its keys."""
    traits = [
        ((Trait.DOWNLOAD, "aa1"), (Trait.KEY, "k1")),
        ((Trait.DOWNLOAD, "bb1"), (Trait.KEY, "k2")),
        ((Trait.DOWNLOAD, "aa1"),),
    ]
    events = [
        SessionEvent(n, NOON + timedelta(seconds=n), EventKind.DOWNLOAD, HOME, traits=each)
        for n, each in enumerate(traits)
    ]
    one, two = SessionAggregate.of("s1", events).summary(), SessionAggregate.of("s2", events[1:2]).summary()
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in (one, two) if s.sighting], registered_at=NOON)
        stores.sessions.save([each.judged(snapshot(asn=1)) for each in (one, two)], run="r", saved_at=NOON)
    session_queries = SqlSessionQueries(database, FixedClock())

    def found(key: Dimension, value: str) -> list[str]:
        lines = session_queries.lines(SessionFilter(values={key: [value]}), limit=9).lines
        return sorted(line.session_id for line in lines)

    assert {g.values: g.sessions for g in session_queries.groups(SessionFilter(), [Dimension.DOWNLOAD], top=9)} == {
        ("aa1",): 1,
        ("bb1",): 2,
    }
    assert (found(Dimension.DOWNLOAD, "aa1"), found(Dimension.DOWNLOAD, "bb1")) == (["s1"], ["s1", "s2"])
    assert found(Dimension.SSH_KEY, "k2") == ["s1", "s2"]
    assert session_queries.stored_values(Dimension.DOWNLOAD, beginning="b", limit=9) == ["bb1"]
    without = SessionFilter(excluded={Dimension.DOWNLOAD: ["aa1"]})
    assert [line.session_id for line in session_queries.lines(without, limit=9).lines] == ["s2"]


def test_a_change_of_network_is_found_between_consecutive_attacks(database: SqlDatabase) -> None:
    """Sessions without an ASN are passed over; the latest change of each address counts, as in Python."""
    session_queries = SqlSessionQueries(database, FixedClock())

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(found=sessions, since=st.sampled_from(HOURS))
    def check(found: list[Made], since: int) -> None:
        clear(database)
        put(database, found)
        expected = {}
        last: dict[IpAddress, tuple[int, int]] = {}
        for hour, address, _, verdict, _, _ in sorted(found, key=lambda made: made[0]):
            if not isinstance(verdict, IpSnapshot) or verdict.asn is None:
                continue
            if address in last and last[address][1] != verdict.asn and hour >= since:
                expected[address.text] = (last[address], (hour, verdict.asn))
            last[address] = (hour, verdict.asn)

        moves = session_queries.address_moves(SessionFilter(since=NOON + timedelta(hours=since)))

        times = {move.address: ((move.before_at, move.before), (move.at, move.asn)) for move in moves}
        assert times == {
            address: tuple((NOON + timedelta(hours=hour), asn) for hour, asn in pair)
            for address, pair in expected.items()
        }
        assert [move.at for move in moves] == sorted((move.at for move in moves), reverse=True)

    check()


def is_within(line: SessionRow, since: datetime | None, until: datetime | None) -> bool:
    at = line.first_event_at
    return at is not None and (since is None or at >= since) and (until is None or at < until)


def test_time_buckets_begin_at_calendar_boundaries_in_utc(database: SqlDatabase) -> None:
    """1 March 2026 is a Sunday, so it belongs to the week before 2 March."""
    put(database, [(hour, HOME, None, snapshot(), [], None) for hour in (0, 0, 13)])
    session_queries = SqlSessionQueries(database, FixedClock())

    weeks = {
        span: [(g.values[0], g.sessions) for g in session_queries.groups(SessionFilter(), [span], top=9)]
        for span in TimeBucket
    }

    assert weeks == {
        TimeBucket.HOUR: [("2026-03-02 01:00", 1), ("2026-03-01 12:00", 2)],
        TimeBucket.DAY: [("2026-03-02", 1), ("2026-03-01", 2)],
        TimeBucket.WEEK: [("2026-03-02", 1), ("2026-02-23", 2)],
        TimeBucket.MONTH: [("2026-03-01", 3)],
    }


def test_what_was_done_is_read_only_on_request(database: SqlDatabase) -> None:
    """Lists do not show it, and need not read it."""
    put(database, [(0, HOME, None, snapshot(), COMMANDS[:2], None), (1, HOME, None, snapshot(), [], None)])
    session_queries = SqlSessionQueries(database, FixedClock())

    lines = list(every_line(session_queries, SessionFilter(), page=1, with_activity=True))

    assert [line.activity for line in lines] == [Activity(), Activity(commands=tuple(COMMANDS[:2]))]
    assert [line.activity for line in every_line(session_queries, SessionFilter())] == [None, None]


def test_the_network_at_the_attack_and_todays_are_separate(database: SqlDatabase) -> None:
    """The snapshot has one network, the inventory a newer one."""
    put(database, [(-1, HOME, None, snapshot(asn=1, country="DE"), [], None)])
    session_queries = SqlSessionQueries(database, FixedClock())

    then, now = (
        session_queries.groups(SessionFilter(network_time=network_time), [Dimension.ASN], top=9)[0]
        for network_time in NetworkTime
    )

    assert (then.values, then.name) == (("1",), None)
    assert (now.values, now.name) == (("9",), "Nine")
    was_german = SessionFilter(network_time=NetworkTime.NOW, values={Dimension.COUNTRY: ["de"]})
    (line,) = session_queries.lines(was_german, limit=9).lines
    assert (line.asn, line.country, line.method, line.enrichment_at) == (9, "NL", None, None)
    assert [group.values for group in session_queries.groups(was_german, [Dimension.ASN], top=9)] == [("9",)]
    assert (
        session_queries.lines(
            SessionFilter(network_time=NetworkTime.NOW, values={Dimension.COUNTRY: ["nl"]}), limit=9
        ).lines
        == []
    )


def test_only_a_table_newer_than_the_attack_gives_current_facts(database: SqlDatabase) -> None:
    """The facts of the inventory are of NOON: there are no current facts for an attack at that time or later."""
    attacks: list[Made] = [(hour, HOME, None, snapshot(asn=1, country="DE"), [], None) for hour in (-1, 0, 5)]
    put(database, [*attacks, (0, OTHER, None, snapshot(asn=3, country="FR"), [], None)])
    session_queries = SqlSessionQueries(database, FixedClock())
    now = SessionFilter(network_time=NetworkTime.NOW)

    assert [(group.values, group.sessions) for group in session_queries.groups(now, [Dimension.ASN], top=9)] == [
        (("9",), 1)
    ]
    assert session_queries.concentration(now, Dimension.COUNTRY).total == 1
    assert [line.asn for line in session_queries.lines(now, limit=9).lines] == [9], "the others are left out"
    assert [group.sessions for group in session_queries.groups(now, [TimeBucket.MONTH], top=9)] == [1]
    assert session_queries.count_not_current(now, [Dimension.ASN]) == (3, 0)
    assert session_queries.count_circular(now, [Dimension.ASN]) == 1, "its snapshot is of NOON, too"
    assert session_queries.count_circular(replace(now, values={Dimension.ASN: ["3"]}), []) == 0
    assert session_queries.count_not_current(now, []) == (3, 0)
    assert session_queries.count_not_current(replace(now, until=NOON), [TimeBucket.DAY, Dimension.COUNTRY]) == (0, 0)
    assert session_queries.count_not_current(replace(now, values={Dimension.ASN: ["1"]}), [TimeBucket.DAY]) == (2, 0)


@pytest.mark.parametrize(
    ("ip_type", "days"), [(IpType.TOR, 14), (IpType.DATACENTER, 400), (IpType.RESIDENTIAL, 120), (None, 14)]
)
def test_a_type_that_is_too_old_today_is_not_current(database: SqlDatabase, ip_type: IpType | None, days: int) -> None:
    """Until it expires it is current; later the session is excluded and counted as expired, also in `drift`."""
    sealed = replace(snapshot(asn=1, enrichment_at=NOON - DAY), ip_type=IpType.VPN)
    put(database, [(-1, HOME, None, sealed, [], None)])
    with database.transaction() as stores:
        observation = observed("b", NOON, asn=9, types=frozenset({ip_type} if ip_type is not None else ()))
        facts = current(replace(snapshot(asn=9), ip_type=ip_type))
        stores.inventory.learn([LearnedFacts([HOME], [observation], facts)], {}, learned_at=NOON)
    now = SessionFilter(network_time=NetworkTime.NOW)
    found = {}
    for age in (timedelta(days=days), timedelta(days=days, microseconds=1)):
        clock = FixedClock(NOON + age)
        session_queries = SqlSessionQueries(database, clock)
        groups = session_queries.groups(now, [Dimension.IP_TYPE], top=9)
        drift = SqlInventoryReports(database, FreshnessPolicy()).drift(now=clock.now(), top=9)
        counts = drift.compared["ip_type"], drift.changed["ip_type"], drift.expired["ip_type"]
        found[age] = (
            [group.values for group in groups],
            session_queries.count_not_current(now, [Dimension.IP_TYPE]),
            counts,
        )

    value = ip_type.value if ip_type is not None else None
    assert list(found.values()) == [([(value,)], (0, 0), (1, 1, 0)), ([], (0, 1), (0, 0, 1))]


def test_growth_is_compared_with_the_period_before(database: SqlDatabase) -> None:
    """The network that grew most comes first, also if it is new."""
    made = {1: [-30, -20, 1], 2: [-10, 2, 3, 4], 3: [5]}
    hours = [(asn, hour) for asn, found in made.items() for hour in found]
    put(database, [(h, HOME if h > 0 else OTHER, None, snapshot(asn=asn), [], None) for asn, h in hours])

    session_filter = SessionFilter(since=NOON, until=NOON + 2 * DAY)
    groups = SqlSessionQueries(database, FixedClock()).groups(
        session_filter, [Dimension.ASN], top=9, with_before=True, with_addresses=True
    )

    assert [(g.values[0], g.sessions, g.before) for g in groups] == [("2", 3, 1), ("1", 1, 2), ("3", 1, 0)]
    assert {group.addresses for group in groups} == {1}
    assert groups[0].first_seen == NOON + timedelta(hours=2)
    assert [group.asof for group in groups] == [3, 1, 1], "only of the period itself"


def test_commands_are_counted_once_a_session(database: SqlDatabase) -> None:
    """Repeated commands count once; sessions without commands are in no group."""
    typed: list[list[str]] = [["id", "=1+1"], ["id"], []]
    put(database, [(0, HOME, None, snapshot(), commands, None) for commands in typed])
    session_queries = SqlSessionQueries(database, FixedClock())

    groups = session_queries.groups(SessionFilter(), [Dimension.COMMAND], top=9)

    assert [(group.values[0], group.sessions) for group in groups] == [("id", 2), ("=1+1", 1)]
    assert session_queries.groups(SessionFilter(), [Dimension.URL], top=9) == []


@pytest.mark.parametrize(
    ("by", "session_filter", "with_before"),
    [
        ([], SessionFilter(), False),
        ([Dimension.ASN, Dimension.ASN], SessionFilter(), False),
        ([TimeBucket.WEEK, TimeBucket.DAY], SessionFilter(), False),
        ([Dimension.ASN], SessionFilter(values={Dimension.COMMAND: ["id"]}), False),
        ([Dimension.ASN], SessionFilter(since=NOON), True),
        ([Dimension.ASN], SessionFilter(since=NOON, until=NOON), True),
        ([TimeBucket.DAY], SessionFilter(since=NOON, until=NOON + DAY), True),
        ([Dimension.ASN], SessionFilter(values={Dimension.ASN: ["x"]}), False),
        ([Dimension.ASN], SessionFilter(values={Dimension.ASN: ["0"]}), False),
        ([Dimension.ASN], SessionFilter(values={Dimension.ASN: ["99999999999"]}), False),
        ([Dimension.ASN], SessionFilter(values={Dimension.COUNTRY: ["Nowhere"]}), False),
        ([Dimension.ASN], SessionFilter(values={Dimension.IP_TYPE: ["BOTNET"]}), False),
        ([Dimension.ASN], SessionFilter(values={Dimension.ADDRESS: ["999.1.1.1"]}), False),
        ([Dimension.ASN], SessionFilter(values={Dimension.GAP: ["foo"]}), False),
        ([Dimension.ASN], SessionFilter(since=NOON, until=NOON - DAY), False),
        ([Dimension.ASN], SessionFilter(since=MIN_TIME, until=NOON), True),
    ],
)
def test_contradictory_queries_are_refused(
    database: SqlDatabase, by: list[Dimension | TimeBucket], session_filter: SessionFilter, *, with_before: bool
) -> None:
    """With a message, not with the result of another query."""
    with pytest.raises(InvalidQuery):
        SqlSessionQueries(database, FixedClock()).groups(session_filter, by, top=9, with_before=with_before)


@pytest.mark.parametrize("after", ["nowhere", "x~s", "2026-03-01~s", "@"])
def test_an_invalid_cursor_is_refused(database: SqlDatabase, after: str) -> None:
    """It was not returned by a page."""
    with pytest.raises(InvalidQuery):
        SqlSessionQueries(database, FixedClock()).lines(SessionFilter(), limit=1, after=after)


@pytest.fixture
def adopted(unmigrated_url: str) -> Iterator[SqlDatabase]:
    """A database of another loader, with codes for nowhere, an empty type and sessions without a time."""
    engine = create_engine(unmigrated_url)
    with engine.begin() as connection:
        AdoptableSchema(dialect=connection.dialect.name).make(connection)
        facts = {"snapshot_asn": 1, "source_ip": HOME.text, "enrichment_at": "2026-03-01 12:00:00"}
        for n, (country, ip_type) in enumerate(zip(["XX", "DE", "xx", "DE", "EU"], ["[]", *4 * ["VPN"]], strict=True)):
            put_session(connection, f"s{n}", snapshot_country=country, snapshot_ip_type=ip_type, **facts)
        for n in range(3):
            put_session(connection, f"t{n}", first_event_at=None, last_event_at=None)
    engine.dispose()
    container = Container(settings=Settings.of(db=unmigrated_url))
    container.adoption().adopt(widen=False)
    yield container.database()
    container.database().close()


def test_placeholder_countries_count_as_unknown(adopted: SqlDatabase) -> None:
    """In groups, in filters, in lists and in reports."""
    session_queries = SqlSessionQueries(adopted, FixedClock())

    countries = {
        group.values[0]: group.sessions for group in session_queries.groups(SessionFilter(), [Dimension.COUNTRY], top=9)
    }

    assert countries == {None: 6, "DE": 2}
    assert len(session_queries.lines(SessionFilter(values={Dimension.COUNTRY: [None]}), limit=99).lines) == 6
    assert len(session_queries.lines(SessionFilter(values={Dimension.COUNTRY: ["de"]}), limit=99).lines) == 2
    assert {line.country for line in every_line(session_queries, SessionFilter())} == {None, "DE"}
    methods = session_queries.groups(SessionFilter(), [Dimension.METHOD], top=9)
    assert {group.values[0]: group.sessions for group in methods} == {"adopted": 5, None: 3}
    facts = SqlReports(adopted, AsOfReader(), clock=FixedClock()).report(top=1).facts
    counted = session_queries.groups(SessionFilter(), COUNTED_FACTS, top=9)
    assert [(group.values, group.sessions) for group in facts.groups(*COUNTED_FACTS)] == [
        (group.values, group.sessions) for group in counted
    ]
    assert facts.addresses[Dimension.COUNTRY] == {None: 1, "DE": 1}


def test_sessions_without_a_time_are_listed_last(adopted: SqlDatabase) -> None:
    """None is omitted, whatever the page size; a filter by time excludes them."""
    session_queries = SqlSessionQueries(adopted, FixedClock())

    for page in (1, 2, 5, 99):
        names = [line.session_id for line in every_line(session_queries, SessionFilter(), page=page)]
        assert names == ["s4", "s3", "s2", "s1", "s0", "t2", "t1", "t0"]
    assert len(list(every_line(session_queries, SessionFilter(since=NOON - 999 * DAY)))) == 5
    groups: Sequence[Group] = session_queries.groups(SessionFilter(), [TimeBucket.DAY], top=9)
    assert sum(group.sessions for group in groups) == 5


def test_an_address_is_found_in_any_of_its_forms(database: SqlDatabase) -> None:
    """It is stored in canonical form."""
    put(database, [(0, HOME, None, snapshot(), [], None)])

    for form in ("8.8.8.8", "::ffff:8.8.8.8", " 8.8.8.8"):
        assert (
            len(
                SqlSessionQueries(database, FixedClock())
                .lines(SessionFilter(values={Dimension.ADDRESS: [form]}), limit=9)
                .lines
            )
            == 1
        )


def test_the_concentration_can_exclude_unknown_networks(database: SqlDatabase) -> None:
    """Unknown networks are excluded; commands have no distribution."""
    put(database, [(0, HOME, None, verdict, [], None) for verdict in (snapshot(asn=1), Gap.NOTHING_KNOWN)])
    session_queries = SqlSessionQueries(database, FixedClock())

    assert session_queries.concentration(SessionFilter(), Dimension.ASN).groups == 2
    assert session_queries.concentration(SessionFilter(), Dimension.ASN, known_only=True).groups == 1
    with pytest.raises(InvalidQuery):
        session_queries.concentration(SessionFilter(), Dimension.COMMAND)


@pytest.mark.parametrize("unmigrated_url", ["sqlite"], indirect=True)
def test_invalid_times_of_another_loader_lose_no_session(adopted: SqlDatabase) -> None:
    """SQLite stores any text: every session is listed once, and those without a valid day are in no group."""
    with adopted.engine.begin() as connection:
        for n, text_ in enumerate(["yesterday", "", "2026-03-01 12:00:00", "2026-03-02T12:00:00.000000", "a~b%"]):
            put_session(connection, f"u{n}", first_event_at=text_)
    session_queries = SqlSessionQueries(adopted, FixedClock())

    for page in (1, 2, 3, 99):
        names = [line.session_id for line in every_line(session_queries, SessionFilter(), page=page)]
        assert sorted(names) == [
            f"{letter}{n}" for letter, count in (("s", 5), ("t", 3), ("u", 5)) for n in range(count)
        ]
    for span in TimeBucket:
        assert sum(group.sessions for group in session_queries.groups(SessionFilter(), [span], top=99)) == 7


def test_every_key_is_tested_here() -> None:
    """A new key needs its column in these tests."""
    assert set(FIELDS) == set(GROUPED)


QUESTIONS = [
    ("asn", SessionFilter(since=NOON, values={Dimension.ASN: ["7"]})),
    (
        "country_type|country_alone",
        SessionFilter(since=NOON, values={Dimension.COUNTRY: ["DE"], Dimension.IP_TYPE: ["VPN"]}),
    ),
    ("hassh", SessionFilter(values={Dimension.HASSH: ["h7"]})),
    ("command_signature", SessionFilter(values={Dimension.COMMANDS: ["c7"]})),
    ("ssh_key_fingerprint", SessionFilter(values={Dimension.SSH_KEY: ["k7"]})),
    ("download_hash", SessionFilter(values={Dimension.DOWNLOAD: ["d7"]})),
    ("first_event_at|asn", SessionFilter(since=NOON + timedelta(minutes=2990))),
]


def put_many(database: SqlDatabase) -> None:
    """Store many sessions of many networks, and analyze the table."""
    verdicts = [
        replace(
            snapshot(asn=1 + n % 50, country="DE" if n % 40 == 7 else "FR"),
            ip_type=[None, IpType.VPN, IpType.TOR][n % 3],
        )
        for n in range(600)
    ]
    database.migrate()
    with database.transaction() as stores:
        found = [
            SessionAggregate.sighted(f"s{n}", HOME.text, NOON + n * timedelta(minutes=1))
            .summary()
            .judged(verdicts[n % 600])
            for n in range(3000)
        ]
        stores.inventory.register_addresses([s.sighting for s in found if s.sighting], registered_at=NOON)
        stores.sessions.save(found, run="r", saved_at=NOON)
    columns = {"hassh": "h", "command_signature": "c", "ssh_key_fingerprint": "k", "download_hash": "d"}
    number = "substr(session_id, 2)"
    sets = ", ".join(f"{column} = '{letter}' || {number}" for column, letter in columns.items())
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"UPDATE session_summaries SET {sets}")
        connection.exec_driver_sql("ANALYZE" if connection.dialect.name == "sqlite" else "VACUUM ANALYZE")


def test_a_filtered_query_reads_only_an_index(sql_database: SqlDatabase) -> None:
    """Grouped, counted or listed; a page of the newest sessions reads only its own rows."""
    put_many(sql_database)
    session_queries = SqlSessionQueries(sql_database, FixedClock())
    for end, session_filter in QUESTIONS:
        with plans(sql_database, SELECTS) as found:
            session_queries.groups(session_filter, [Dimension.ASN], top=9)
            session_queries.lines(session_filter, limit=9)

        # PostgreSQL knows that no session is without a time, and reads nothing.
        named = [plan for plan in found if "session_summaries" in plan and "One-Time Filter: false" not in plan]
        assert len(named) >= 2
        assert [plan for plan in named if not re.search(f"ix_session_summaries_by_({end})", plan)] == [], end
    with plans(sql_database, SELECTS) as found:
        session_queries.lines(SessionFilter(), limit=9)
    plan = next(plan for plan in found if "session_summaries" in plan)
    assert "ix_session_summaries_by_first_event_at" in plan
    assert not re.search(r"Sort|TEMP B-TREE", plan)


@pytest.mark.parametrize(("key", "index"), [(Dimension.ASN, "asn"), (Dimension.COUNTRY, "country")])
def test_grouping_all_sessions_by_a_fact_reads_its_index_alone(
    sql_database: SqlDatabase, key: Dimension, index: str
) -> None:
    """The table is ten times as large."""
    put_many(sql_database)
    with plans(sql_database, SELECTS) as found:
        SqlSessionQueries(sql_database, FixedClock()).groups(SessionFilter(), [key], top=9)

    counted, *_ = named = [plan for plan in found if "session_summaries" in plan]
    assert len(named) == 2
    assert re.search(rf"(COVERING INDEX|Index Only Scan using) ix_session_summaries_by_{index}", counted)
    assert not re.search("Seq Scan on session|SCAN session_summaries$", "".join(named), re.MULTILINE)


def test_addresses_are_listed_once_and_in_order_for_any_page_size(database: SqlDatabase) -> None:
    """Only routable ones, and of enough sessions."""
    made = [OTHER, HOME, IpAddress("10.0.0.1"), HOME, IpAddress("9.9.9.9")]
    put(database, [(0, address, None, snapshot(), [], None) for address in made])
    session_queries = SqlSessionQueries(database, FixedClock())

    for page in (1, 2, 99):
        assert list(every_address(session_queries, SessionFilter(), page=page)) == ["1.1.1.1", "8.8.8.8", "9.9.9.9"]
        assert list(every_address(session_queries, SessionFilter(), at_least=2, page=page)) == ["8.8.8.8"]
