"""The service that computes snapshots."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from snapshots.app.enrich.service import SnapshotService
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.errors import InvalidAddress, InvalidEvent
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent, SessionId
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from tests.fakes import DictSource, FakeSourceRegistry, InMemoryDatabase, snapshot_service
from tests.strategies import DAY, HOME, NOON, OTHER

FACTS = {HOME.text: IpFacts(asn=15169, organization="Google", country="US")}


def service(database: InMemoryDatabase, *sources: DictSource) -> SnapshotService:
    return snapshot_service(database, FakeSourceRegistry(*sources))


def table(facts: Mapping[str, IpFacts] = FACTS, name: str = "a", at: datetime = NOON - DAY) -> DictSource:
    return DictSource(name, at, facts)


def sighted(name: str, address: str = HOME.text, at: datetime = NOON) -> SessionAggregate:
    return SessionAggregate.sighted(name, address, at)


def test_a_session_gets_the_facts_of_its_address_at_the_time() -> None:
    """This is the purpose of the program."""
    (summary,) = service(InMemoryDatabase(), table()).enrich([sighted("s")])

    assert summary.snapshot is not None
    assert (summary.snapshot.asn, summary.snapshot.country) == (15169, "US")
    assert (summary.snapshot.method, summary.snapshot.source) == (Method.ASOF, "a@2026-02-28T12:00")


def test_missing_and_unknown_addresses_are_gaps() -> None:
    """Each gap has its reason."""
    no_address = SessionAggregate.of("n", [SessionEvent(1, NOON, EventKind.OTHER)])
    aggregates = [no_address, sighted("p", "10.0.0.1"), sighted("u", OTHER.text)]

    summaries = service(InMemoryDatabase(), table()).enrich(aggregates)

    assert [s.gap for s in summaries] == [Gap.NO_SOURCE_IP, Gap.NOT_ROUTABLE, Gap.NOTHING_KNOWN]
    assert [s.snapshot for s in summaries] == [None, None, None]


def test_without_any_source_the_address_was_never_looked_up() -> None:
    """That is another gap than being unknown."""
    (summary,) = service(InMemoryDatabase()).enrich([sighted("s")])

    assert summary.gap is Gap.NEVER_LOOKED_UP


def test_no_source_is_asked_about_an_address_that_is_not_routable() -> None:
    """Private and shared addresses, also IPv4-mapped ones."""
    source = table()

    service(InMemoryDatabase(), source).enrich([sighted("a", "100.64.0.1"), sighted("b", "::ffff:192.168.0.1")])

    assert source.asked == []


def test_one_batch_is_one_query_and_each_address_is_looked_up_once() -> None:
    """Never one query for a session."""
    database, source = InMemoryDatabase(), table()
    sessions = [sighted(f"s{n}", at=NOON + timedelta(seconds=n)) for n in range(50)]

    learned = service(database, source).enrich(sessions)
    assert database.stores.inventory.queries == 0, "what was just learned is in memory"
    read = service(database, source).enrich(sessions)

    assert database.stores.inventory.queries == 1
    assert source.asked == [HOME]
    assert read == learned


def test_a_stored_observation_is_not_looked_up_again() -> None:
    """That a source has no entry is stored too."""
    database, source = InMemoryDatabase(), table()
    service(database, source).enrich([sighted("s"), sighted("t", OTHER.text)])
    source.asked.clear()

    (one, other) = service(database, source).enrich([sighted("u"), sighted("v", OTHER.text)])

    assert source.asked == []
    assert (one.is_sealed, other.gap) == (True, Gap.NOTHING_KNOWN)


def test_known_addresses_are_looked_up_in_a_newer_build() -> None:
    """Here its facts differ."""
    database = InMemoryDatabase()
    service(database, table()).enrich([sighted("s")])
    moved = table({HOME.text: IpFacts(asn=64500, country="DE")}, at=NOON + DAY)

    (before, after) = service(database, moved).enrich([sighted("t"), sighted("u", at=NOON + 2 * DAY)])

    assert before.snapshot is not None
    assert after.snapshot is not None
    assert (before.snapshot.asn, after.snapshot.asn) == (15169, 64500)


def test_the_inventory_shows_the_newest_facts_and_names_the_network() -> None:
    """Then and now, side by side."""
    database = InMemoryDatabase()
    tor = table({HOME.text: IpFacts(ip_types=frozenset({IpType.TOR}))}, name="b", at=NOON)

    service(database, table(), tor, table({}, name="c")).enrich([sighted("s")])

    newest = database.memory.addresses[HOME].newest
    assert newest is not None
    assert (newest.asn, newest.country, newest.ip_type) == (15169, "US", IpType.TOR)
    assert database.memory.organizations == {15169: "Google"}


def test_summaries_have_the_order_of_the_aggregates() -> None:
    """So a loader can zip them."""
    names = [f"s{n}" for n in range(20)]

    summaries = service(InMemoryDatabase(), table()).enrich([sighted(name) for name in names])

    assert [s.session_id for s in summaries] == names


def test_a_stored_snapshot_is_not_evaluated_again() -> None:
    """A sealed summary is returned unchanged."""
    database = InMemoryDatabase()
    (sealed,) = service(database, table()).enrich([sighted("s")])
    gone = service(database, table({}, at=NOON + DAY))

    with database.transaction() as stores:
        assert gone.offer([sealed], stores) == [sealed]


@pytest.mark.parametrize(
    "wrong", [sighted("s"), ["8.8.8.8"], [None], None, 7, "8.8.8.8", {"s": sighted("s")}, iter([sighted("s"), 1])]
)
def test_enrich_refuses_anything_but_an_iterable_of_aggregates(wrong: object) -> None:
    """The most common mistakes in a new loader."""
    with pytest.raises(InvalidEvent, match="enrich takes SessionAggregates"):
        service(InMemoryDatabase()).enrich(wrong)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("form", [tuple, iter, lambda given: (each for each in given), lambda given: map(id_, given)])
def test_enrich_accepts_any_iterable(form: Callable[[list[SessionAggregate]], Iterable[SessionAggregate]]) -> None:
    """A generator is read once, and returns one summary per aggregate."""
    aggregate = sighted("s")

    (summary,) = service(InMemoryDatabase(), table()).enrich(form([aggregate]))

    assert summary.is_sealed


def id_(aggregate: SessionAggregate) -> SessionAggregate:
    return aggregate


EVENT = SessionEvent(1, NOON, EventKind.CONNECT, HOME)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "event",
        {"at": "2026-03-01"},
        {"at": None},
        {"at": NOON.date()},
        {"at": NOON.replace(tzinfo=None)},
        {"kind": "connect"},
        {"port": "22"},
        {"port": 70_000},
        {"address": "8.8.8.8"},
        {"address": IpAddress("nowhere")},
        {"address": IpAddress("::ffff:8.8.8.8")},
    ],
)
def test_an_impossible_event_is_refused_before_any_write(wrong: Any) -> None:
    """However the loader built it, on any database."""
    database = InMemoryDatabase()
    event = EVENT._replace(**wrong) if isinstance(wrong, dict) else wrong
    aggregate = SessionAggregate(SessionId("s"), {1: event})

    with pytest.raises((InvalidEvent, InvalidAddress)):
        service(database, table()).enrich([sighted("good"), aggregate])

    assert database.memory.addresses == {}


@pytest.mark.parametrize("at", [None, 1772366400, 1772366400.5, "2026-03-01T12:00:00Z", NOON.date()])
def test_a_time_that_is_not_a_datetime_is_refused(at: object) -> None:
    """Texts and numbers are not times of events."""
    with pytest.raises(InvalidEvent, match="is not a datetime"):
        SessionAggregate.sighted("s", "8.8.8.8", at)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("name", ["", None, 7, b"s"])
def test_a_session_id_that_is_not_text_is_refused(name: object) -> None:
    """As an empty one is."""
    with pytest.raises(InvalidEvent, match="session_id must be a non-empty string"):
        SessionAggregate.sighted(name, "8.8.8.8", NOON)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("address", [7, 8.8, b"8.8.8.8", ["8.8.8.8"]])
def test_an_address_that_is_not_text_is_refused(address: object) -> None:
    """Also a number that could be an address."""
    with pytest.raises(InvalidAddress, match="is not a string with an IP address"):
        SessionAggregate.sighted("s", address, NOON)  # type: ignore[arg-type]  # that is the point


def test_very_many_sessions_are_enriched_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So memory does not grow with the facts of all of them."""
    monkeypatch.setattr("snapshots.app.enrich.service.CHUNK", 20)
    database, source = InMemoryDatabase(), table()

    summaries = service(database, source).enrich(sighted(f"s{n}") for n in range(50))

    assert [summary.session_id for summary in summaries] == [f"s{n}" for n in range(50)]
    assert all(summary.is_sealed for summary in summaries)
    assert (database.stores.inventory.queries, source.asked) == (0, [HOME])


def test_sources_are_registered_once() -> None:
    """With date, license and hash."""
    database = InMemoryDatabase()
    with database.transaction() as stores:
        service(database, table(), table(name="b")).register_sources(stores)
        service(database, table()).register_sources(stores)

    assert [known.build.label for known in database.memory.sources.values()] == [
        "a@2026-02-28T12:00",
        "b@2026-02-28T12:00",
    ]


def test_a_failing_source_stores_no_facts() -> None:
    """All or nothing, also here."""
    database = InMemoryDatabase()

    class Broken(DictSource):
        def look_up(self, addresses: object) -> Mapping[object, IpFacts]:  # type: ignore[override]  # it always fails
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        service(database, table(), Broken("b", NOON, {})).enrich([sighted("s")])

    assert (database.memory.addresses, database.memory.observations) == ({}, {})


def test_a_new_organization_name_does_not_begin_a_new_observation() -> None:
    """The name of a network is not a fact of an address."""
    database = InMemoryDatabase()
    service(database, table()).enrich([sighted("s")])
    renamed = {HOME.text: replace(FACTS[HOME.text], organization="Alphabet")}

    service(database, table(renamed, at=NOON)).enrich([sighted("t")])

    (observation,) = database.memory.observations.values()
    assert (observation.observed_at, observation.confirmed_until) == (NOON - DAY, NOON)
    assert database.memory.organizations == {15169: "Alphabet"}


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_newest_table_names_a_network(*, newest_first: bool) -> None:
    """In any order in which tables and addresses are looked up."""
    database = InMemoryDatabase()
    renamed = {HOME.text: replace(FACTS[HOME.text], organization="Alphabet")}
    tables = [table(renamed, at=NOON), table()]

    for each in tables if newest_first else reversed(tables):
        service(database, each).enrich([sighted("s")])

    assert database.memory.organizations == {15169: "Alphabet"}


def test_a_session_at_another_time_does_not_get_a_cached_verdict_of_its_address() -> None:
    """Each time span between two builds has its own facts."""
    database = InMemoryDatabase()
    given = service(database, *(table({HOME.text: IpFacts(asn=n + 1)}, at=NOON - n * DAY) for n in range(3)))
    sighting = Sighting(address=HOME, seen_at=NOON + timedelta(hours=1))

    with database.transaction() as stores:
        verdicts = [
            *given.judge_stored([sighting], stores, is_dry_run=False),
            *given.judge_stored([sighting._replace(seen_at=NOON - DAY)], stores, is_dry_run=False),
        ]

    assert [snapshot.asn for snapshot in verdicts if isinstance(snapshot, IpSnapshot)] == [1, 2]


def test_a_stored_session_of_an_address_without_a_history_was_never_looked_up() -> None:
    """There is nothing to judge ahead."""
    database = InMemoryDatabase()
    given = service(database)

    with database.transaction() as stores:
        verdicts = given.judge_stored([Sighting(address=HOME, seen_at=NOON)], stores, is_dry_run=False)

    assert verdicts == [Gap.NEVER_LOOKED_UP]
