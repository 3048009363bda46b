"""What every inventory promises."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import select

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.tables import known_addresses, known_networks
from snapshots.app.ports.database import Database
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.app.ports.key_range import WHOLE, KeyRange
from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_name import NetworkName, newest_name
from snapshots.domain.facts.observation import IpObservation, SourceBuild
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from tests.fakes import InMemoryDatabase
from tests.strategies import DAY, HOME, NOON, OTHER, current, observed, snapshot


def learn(database: Database, *observations: IpObservation) -> None:
    with database.transaction() as stores:
        stores.inventory.register_addresses([Sighting(address=HOME, seen_at=NOON)], registered_at=NOON)
        stores.inventory.learn(
            [LearnedFacts([HOME], observations, current(snapshot()))],
            {64500: NetworkName("Example", NOON)},
            learned_at=NOON,
        )


def history(database: Database, *addresses: IpAddress) -> list[IpObservation]:
    with database.transaction() as stores:
        found = stores.inventory.history_of(addresses or [HOME])
    return sorted((each for observations in found.values() for each in observations), key=lambda each: each.observed_at)


def test_stored_observations_are_returned(database: Database) -> None:
    """With every fact, and also those without any."""
    observations = [
        observed("a", NOON, asn=4_294_967_295, country="DE", types=frozenset({IpType.TOR, IpType.DATACENTER})),
        observed("a", NOON + timedelta(microseconds=1)),
    ]
    learn(database, *observations)

    assert history(database) == observations


def test_addresses_that_were_never_looked_up_are_absent(database: Database) -> None:
    """Also if there are more of them than a statement may have parameters."""
    learn(database, observed("a", NOON, asn=1))
    many = [IpAddress.parse(f"2001:4860::{n // 9999 + 1}:{n % 9999}") for n in range(70_000)]

    assert history(database, HOME, *many) == [observed("a", NOON, asn=1)]
    with database.transaction() as stores:
        assert stores.inventory.history_of([]) == {}


def test_addresses_that_lack_no_build_are_read_in_pages(database: Database) -> None:
    """Also addresses without observations; all are counted."""
    names = [f"198.51.100.{n}" for n in (1, 2, 3, 10)]
    build = SourceBuild(name="a", built_at=NOON, licence="x", sha256="", origin="x")
    with database.transaction() as stores:
        assert stores.inventory.page_looked_up(WHOLE, limit=9) == []
        assert stores.inventory.count_addresses() == 0
        addresses = [IpAddress.parse(name) for name in names]
        stores.inventory.register_addresses([Sighting(a, NOON) for a in addresses], registered_at=NOON)
        assert stores.inventory.page_looked_up(WHOLE, limit=9) == sorted(addresses)
        number = stores.sources.register_build(build, registered_at=NOON).number
        stores.inventory.learn([], {}, learned_at=NOON, looked_up=addresses[1:], until=number)

        found = [stores.inventory.page_looked_up(KeyRange(after, ""), limit=2) for after in ("", names[3], names[2])]
        assert found == [[addresses[3], addresses[1]], [addresses[1], addresses[2]], []]
        assert stores.inventory.page_looked_up(KeyRange("", names[1]), limit=9) == [addresses[3], addresses[1]]
        assert stores.inventory.page_outdated(after="", limit=9) == {addresses[0]: 0}
        assert stores.inventory.page_outdated(after=names[0], limit=9) == {}
        assert stores.inventory.count_addresses() == len(names)


def test_an_observation_can_be_confirmed_but_not_changed(database: Database) -> None:
    """Its facts never change; only its end grows."""
    learn(database, observed("a", NOON, asn=1))

    learn(database, observed("a", NOON, asn=2, until=NOON + 2 * DAY))
    learn(database, observed("a", NOON, asn=1, until=NOON + DAY))

    assert history(database) == [observed("a", NOON, asn=1, until=NOON + 2 * DAY)]


def test_a_source_is_registered_once(database: Database) -> None:
    """The same build under another path is not registered again."""
    build = SourceBuild(name="a", built_at=NOON, licence="MIT", sha256="00", origin="bundled")
    with database.transaction() as stores:
        first = stores.sources.register_build(build, registered_at=NOON)
        again = stores.sources.register_build(replace(build, origin="/elsewhere"), registered_at=NOON)

        assert first == again
        assert list(stores.sources.registered()) == [first]


def session(name: str, address: IpAddress | None, at: datetime, mark: int = 1) -> SessionSummary:
    return SessionAggregate.of(name, [SessionEvent(mark, at, EventKind.OTHER, address)]).summary()


def test_counts_follow_the_sessions(database: Database) -> None:
    """Also when a session turns out to come from another address."""
    one, two = session("one", HOME, NOON), session("two", HOME, NOON + DAY)
    moved = session("two", OTHER, NOON - DAY, mark=2).merge(session("two", None, NOON, mark=3))
    change(database, SessionChange(held=None, kept=one), SessionChange(held=None, kept=two))
    assert counted(database) == {HOME.text: (2, NOON, NOON + DAY)}

    change(database, SessionChange(held=two, kept=moved))

    assert counted(database) == {HOME.text: (1, NOON, NOON), OTHER.text: (1, NOON - DAY, NOON)}


def test_an_address_that_lost_its_last_session_stays(database: Database) -> None:
    """With a count of zero."""
    one = session("one", HOME, NOON)
    change(database, SessionChange(held=None, kept=one))

    change(database, SessionChange(held=one, kept=session("one", OTHER, NOON)))

    assert counted(database) == {HOME.text: (0, NOON, NOON), OTHER.text: (1, NOON, NOON)}


def test_a_session_that_grows_is_not_counted_again(database: Database) -> None:
    """Only its time reaches further."""
    one = session("one", HOME, NOON)
    change(database, SessionChange(held=None, kept=one))

    change(database, SessionChange(held=one, kept=one.merge(session("one", HOME, NOON + DAY, mark=2))))

    assert counted(database) == {HOME.text: (1, NOON, NOON + DAY)}


def test_an_address_without_sessions_gets_its_times_from_its_first_session(database: Database) -> None:
    """Another loader registered it earlier."""
    with database.transaction() as stores:
        stores.inventory.register_addresses([Sighting(address=HOME, seen_at=NOON + 9 * DAY)], registered_at=NOON)

    change(database, SessionChange(held=None, kept=session("one", HOME, NOON)))

    assert counted(database) == {HOME.text: (1, NOON, NOON)}


def change(database: Database, *changes: SessionChange) -> None:
    with database.transaction() as stores:
        sightings = [c.kept.sighting for c in changes if c.kept.sighting]
        stores.inventory.register_addresses(sightings, registered_at=NOON)
        stores.counts.count_sessions(changes, seen_at=NOON)
        stores.sessions.save([c.kept for c in changes], run="run", saved_at=NOON)


def counted(database: Database) -> dict[str, tuple[int, datetime, datetime]]:
    """Read the counts directly: the port has no method for them."""
    if isinstance(database, InMemoryDatabase):
        known = database.memory.addresses.items()
        return {a.text: (k.session_count, k.first_seen, k.last_seen) for a, k in known}
    assert isinstance(database, SqlDatabase)
    with database.reading() as connection:
        rows = connection.execute(known_addresses.select()).all()
    return {row.ip_address: (row.session_count, row.first_seen, row.last_seen) for row in rows}


def names_in(database: Database) -> dict[int, str | None]:
    if isinstance(database, InMemoryDatabase):
        return dict(database.memory.organizations)
    assert isinstance(database, SqlDatabase)
    with database.reading() as connection:
        return {each.asn_number: each.organization_name for each in connection.execute(select(known_networks))}


STATED = [
    {64500: NetworkName("Old", NOON), 64501: NetworkName("Without a date")},
    {64500: NetworkName("b of the newest table", NOON + DAY), 64501: NetworkName("Dated", NOON - 400 * DAY)},
    {64500: NetworkName("a of the newest table", NOON + DAY), 64502: NetworkName("ä", NOON)},
    {64500: NetworkName("Older", NOON - DAY), 64502: NetworkName("Z", NOON)},
]


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_names_of_networks_do_not_depend_on_batches(database: Database, order: tuple[int, ...], size: int) -> None:
    """The newest table names a network; of two names with the same date it is the smaller text, everywhere."""
    for first in range(0, 4, size):
        batch: dict[int, NetworkName] = {}
        for names in (STATED[n] for n in order[first : first + size]):
            batch |= {number: newest_name(batch.get(number, name), name) for number, name in names.items()}
        with database.transaction() as stores:
            stores.inventory.learn([], batch, learned_at=NOON)

    assert names_in(database) == {64500: "a of the newest table", 64501: "Dated", 64502: "Z"}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_ranges_of_addresses_cover_each_address_once(database: Database, count: int) -> None:
    """So several workers can share the addresses."""
    addresses = [IpAddress.parse(f"198.51.100.{n}") for n in range(10)]
    with database.transaction() as stores:
        assert stores.inventory.address_ranges(count) == [WHOLE]
        stores.inventory.register_addresses([Sighting(a, NOON) for a in addresses], registered_at=NOON)

        ranges = stores.inventory.address_ranges(count)
        found = [stores.inventory.page_looked_up(within, limit=99) for within in ranges]
        ends = [stores.counts.addresses_until(within, limit=99) for within in ranges]

    assert sorted(address for page in found for address in page) == sorted(addresses)
    assert ends == [page[-1].text if page else "" for page in found]
    assert min(2, count) <= len(ranges) <= count + 1
