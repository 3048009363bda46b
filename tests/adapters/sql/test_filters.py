"""Filters select the sessions that a comparison in Python selects."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.filters.conditions import common_prefix
from snapshots.adapters.sql.queries.filters.values import stored_value
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.action import Action
from snapshots.app.queries.paging import every_line
from snapshots.app.queries.reports import HEAVIEST
from snapshots.app.queries.session_queries import Dimension, SessionFilter
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.network_name import NetworkName
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot.as_of import AsOfReader
from tests.fakes import FixedClock
from tests.strategies import NOON, snapshot

ADDRESSES = [
    IpAddress.parse(text) for text in ("8.8.8.8", "8.8.40.1", "80.8.8.8", "2001:db8::1", "2001:db80::1", "2a00::5")
]
NETWORKS = [
    "8.8.8.0/24",
    "8.8.0.0/16",
    "8.8.8.8/32",
    "0.0.0.0/0",
    "8.0.0.0/6",
    "2001:db8::/32",
    "2000::/4",
    "::/0",
    "2a00::/128",
]
NAMES = {1: "Alpha Hosting 100%", 2: "beta_net", 3: "ALPHA Access"}
ACTS = {
    Action.LOGIN: (EventKind.LOGIN, ((Trait.CREDENTIALS, '["root", null, null]'), (Trait.SUCCESS, ""))),
    Action.COMMAND: (EventKind.COMMAND, ((Trait.COMMAND, "id"),)),
    Action.DOWNLOAD: (EventKind.DOWNLOAD, ()),
    Action.FORWARD: (EventKind.FORWARD, ()),
}
Made = tuple[IpAddress, int | None, str | None, frozenset[Action]]

found_sessions = st.lists(
    st.tuples(
        st.sampled_from(ADDRESSES),
        st.sampled_from([None, 1, 2, 3, 4]),
        st.sampled_from([None, "a", "b"]),
        st.frozensets(st.sampled_from(sorted(ACTS, key=str))),
    ),
    max_size=8,
)


def put(database: SqlDatabase, found: Sequence[Made]) -> None:
    """Store sessions s0, s1 and so on, and the names of networks."""
    summaries = []
    for n, (address, asn, sensor, did) in enumerate(found):
        events = [SessionEvent(n, NOON, EventKind.CONNECT, address, sensor=sensor)]
        events += [
            SessionEvent(100 + m, NOON + timedelta(seconds=m + 1), kind, address, sensor=sensor, traits=traits)
            for m, (kind, traits) in enumerate(ACTS[each] for each in sorted(did, key=str))
        ]
        verdict = snapshot(asn=asn, country="DE")
        summaries.append(SessionAggregate.of(f"s{n}", events).summary().judged(verdict))
    with database.transaction() as stores:
        stores.inventory.register_addresses([*(s.sighting for s in summaries if s.sighting)], registered_at=NOON)
        if summaries:
            names = {asn: NetworkName(name, NOON) for asn, name in NAMES.items()}
            stores.inventory.learn([], names, learned_at=NOON)
        stores.sessions.save(summaries, run="r", saved_at=NOON)


def clear(database: SqlDatabase) -> None:
    with database.transaction() as stores:
        stores.audit.prune(NOON + timedelta(days=99), run="r", made_at=NOON)


def named(part: str) -> Callable[[Made], bool]:
    return lambda made: made[1] is not None and part.lower() in NAMES.get(made[1], "").lower()


def lies_in(network: str) -> Callable[[Made], bool]:
    return lambda made: ip_address(made[0].text) in ip_network(network)


Condition = tuple[Dimension, str | None, Callable[[Made], bool]]

CONDITIONS: Sequence[Condition] = [
    *((Dimension.NETWORK, part, named(part)) for part in ("alpha", "100%", "_", "%", "HOSTING", "nowhere")),
    (Dimension.NETWORK, None, lambda made: made[1] is None),
    *((Dimension.ADDRESS, network, lies_in(network)) for network in NETWORKS),
    (Dimension.ADDRESS, "8.8.40.1", lambda made: made[0].text == "8.8.40.1"),
    (Dimension.SENSOR, "a", lambda made: made[2] == "a"),
    (Dimension.SENSOR, None, lambda made: made[2] is None),
    (Dimension.ASN, "AS2", lambda made: made[1] == 2),
    (Dimension.ASN, None, lambda made: made[1] is None),
]
"""Filters by one value, and the same rule in Python."""


def test_filters_select_what_a_comparison_in_python_selects(sql_database: SqlDatabase) -> None:
    """Values of one key are ORed, keys are ANDed; an inverse selects exactly the other sessions."""
    session_queries = SqlSessionQueries(sql_database, FixedClock())
    reports = SqlReports(sql_database, AsOfReader(), clock=FixedClock())

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(
        found_sessions,
        st.lists(st.sampled_from(CONDITIONS), max_size=3),
        st.lists(st.sampled_from(CONDITIONS), max_size=2),
        st.frozensets(st.sampled_from(sorted(ACTS, key=str)), max_size=2),
        st.frozensets(st.sampled_from(sorted(ACTS, key=str)), max_size=2),
    )
    def check(
        found: list[Made],
        wanted: list[Condition],
        excluded: list[Condition],
        did: frozenset[Action],
        did_not: frozenset[Action],
    ) -> None:
        clear(sql_database)
        put(sql_database, found)

        def values(conditions: list[Condition]) -> dict[Dimension, list[str | None]]:
            keys = [key for key, _, _ in conditions]
            return {key: [value for each, value, _ in conditions if each is key] for key in keys}

        def is_selected(made: Made) -> bool:
            return (
                all(any(rule(made) for each, _, rule in wanted if each is key) for key, _, _ in wanted)
                and not any(rule(made) for _, _, rule in excluded)
                and (not did or bool(did & made[3]))
                and not did_not & made[3]
            )

        session_filter = SessionFilter(values=values(wanted), excluded=values(excluded), did=did, did_not=did_not)
        selected = {line.session_id for line in every_line(session_queries, session_filter)}

        chosen = [made for made in found if is_selected(made)]
        assert selected == {f"s{n}" for n, made in enumerate(found) if is_selected(made)}
        report = reports.report(top=99, session_filter=session_filter)
        assert report.coverage.sessions.total == len(chosen)
        assert {each.value: each.sessions for each in report.networks} == Counter(
            None if made[1] is None else str(made[1]) for made in chosen
        )
        sizes = Counter(made[0] for made in chosen).values()
        assert report.coverage.heaviest == sum(sorted(sizes, reverse=True)[:HEAVIEST])

    check()


@given(st.sampled_from(NETWORKS) | st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32)), st.data())
def test_the_addresses_of_a_network_begin_alike(network: str, data: st.DataObject) -> None:
    """Else some of them would not be found."""
    whole = ip_network(network, strict=False)
    number = data.draw(st.integers(int(whole[0]), int(whole[-1])))

    assert str(type(whole[0])(number)).startswith(common_prefix(whole))


@pytest.mark.parametrize(
    ("key", "text", "stored"),
    [
        (Dimension.COUNTRY, "germany", "DE"),
        (Dimension.COUNTRY, "South Korea", "KR"),
        (Dimension.COUNTRY, "USA", "US"),
        (Dimension.COUNTRY, "cn", "CN"),
        (Dimension.ADDRESS, "192.0.2.77/24", "192.0.2.0/24"),
        (Dimension.ADDRESS, "2001:DB8::/32", "2001:db8::/32"),
        (Dimension.PROTOCOL, "SSH", "ssh"),
        (Dimension.PASSWORD, "123456", "8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92"),
        (Dimension.PASSWORD, "A" * 64, "a" * 64),
    ],
)
def test_values_are_written_as_people_write_them(key: Dimension, text: str, stored: str) -> None:
    """A password is given as text or as its hash."""
    assert stored_value(key, text) == stored


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        (Dimension.COUNTRY, "Germny", "English name); nearest: Germany"),
        (Dimension.COUNTRY, "Nowhereland", "English name)"),
        (Dimension.COUNTRY, "?", "is not a country"),
        (Dimension.PROTOCOL, "ssh2", "use one of ssh, telnet"),
        (Dimension.ADDRESS, "192.0.2.0/99", "192.0.2.0/24"),
        (Dimension.ASN, "DigitalOcean", "--network finds networks by name"),
    ],
)
def test_a_value_that_cannot_exist_is_refused(key: Dimension, text: str, message: str) -> None:
    """The message lists what can, or the nearest."""
    with pytest.raises(InvalidQuery) as raised:
        stored_value(key, text)

    assert message in str(raised.value)


def test_groups_are_counted_without_a_limit(sql_database: SqlDatabase) -> None:
    """As many as there are groups, also of two keys and of two periods."""
    put(
        sql_database,
        [(ADDRESSES[0], asn, sensor, frozenset()) for asn, sensor in ((1, "a"), (1, "b"), (2, "a"), (2, "a"))],
    )
    session_queries = SqlSessionQueries(sql_database, FixedClock())
    within = SessionFilter(since=NOON + timedelta(days=1), until=NOON + timedelta(days=2))

    assert session_queries.count_groups(SessionFilter(), [Dimension.ASN]) == 2
    assert session_queries.count_groups(SessionFilter(), [TimeBucket.DAY, Dimension.ASN, Dimension.SENSOR]) == 3
    assert session_queries.count_groups(within, [Dimension.ASN]) == 0
    assert session_queries.count_groups(within, [Dimension.ASN], with_before=True) == 2
    with pytest.raises(InvalidQuery, match="group by asn"):
        session_queries.count_groups(SessionFilter(), [Dimension.NETWORK])


def test_stored_values_are_listed_by_how_they_begin(sql_database: SqlDatabase) -> None:
    """In the order of their bytes; session ids likewise."""
    put(sql_database, [(ADDRESSES[0], None, sensor, frozenset()) for sensor in ("ab", "B", "aa", "aa", None, "é")])
    session_queries = SqlSessionQueries(sql_database, FixedClock())

    assert session_queries.stored_values(Dimension.SENSOR, limit=9) == ["B", "aa", "ab", "é"]
    assert session_queries.stored_values(Dimension.SENSOR, beginning="a", limit=9) == ["aa", "ab"]
    assert session_queries.stored_values(Dimension.SENSOR, beginning="a", limit=1) == ["aa"]
    assert session_queries.stored_values(Dimension.NETWORK, limit=9) == sorted(NAMES.values())
    assert session_queries.session_ids("s", limit=3) == ["s0", "s1", "s2"]
    assert session_queries.session_ids("t", limit=3) == []
