"""Contract of the stores of builds and of their observations."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.app.enrich.lookup import ENRICHMENT, Lookups
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts, SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.freshness import FreshnessPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from tests.domain.facts.test_source_builds import obvious
from tests.fakes import DictSource, FakeSourceRegistry, TickingClock
from tests.strategies import DAY, NOON, current, observed

ADDRESSES = [IpAddress(f"8.8.{n // 250}.{n % 250}") for n in range(20_000)]
EXAMPLES = count(10)
FACTS = [IpFacts(asn=1), IpFacts(asn=2), IpFacts()]


def build(day: int, name: str = "a") -> SourceBuild:
    return SourceBuild(name=name, built_at=NOON + day * DAY, licence="MIT", sha256="00", origin="x", form="mmdb")


def register(database: Database, *builds: SourceBuild) -> list[int]:
    with database.transaction() as stores:
        return [stores.sources.register_build(build, registered_at=NOON).number for build in builds]


def test_builds_are_numbered_in_the_order_of_their_registration(database: Database) -> None:
    """The number shows which builds an address lacks."""
    assert register(database, build(5), build(0), build(5)) == [1, 2, 1]

    with database.transaction() as stores:
        assert [(b.number, b.build, b.is_retracted) for b in stores.sources.registered()] == [
            (1, build(5), False),
            (2, build(0), False),
        ]


def test_addresses_lack_the_builds_that_were_registered_since(database: Database) -> None:
    """New ones lack all; those never looked up and then the newest attackers come first."""
    register(database, build(0))
    seen = [Sighting(address=a, seen_at=NOON + n * DAY) for n, a in enumerate(ADDRESSES[:3])]
    with database.transaction() as stores:
        assert stores.inventory.register_addresses(seen, registered_at=NOON) == dict.fromkeys(ADDRESSES[:3], 0)
        stores.inventory.learn([], {}, learned_at=NOON, looked_up=ADDRESSES[:1], until=1)
        assert stores.inventory.register_addresses(seen, registered_at=NOON) == dict.fromkeys(ADDRESSES[1:3], 0)
    register(database, build(1))

    with database.transaction() as stores:
        assert list(behind(stores, limit=9).items()) == [
            (ADDRESSES[2], 0),
            (ADDRESSES[1], 0),
            (ADDRESSES[0], 1),
        ]
        stores.inventory.learn([], {}, learned_at=NOON, looked_up=ADDRESSES[:3], since=1, until=2)
        assert behind(stores, limit=9) == dict.fromkeys(ADDRESSES[1:3], 0)
        assert behind(stores, limit=1) == {ADDRESSES[2]: 0}


def behind(stores: Stores, *, limit: int, now: datetime = NOON) -> Mapping[IpAddress, int]:
    return stores.inventory.most_urgent(FreshnessPolicy(), now=now, limit=limit)


def test_stale_addresses_are_more_urgent_than_fresh_ones(database: Database) -> None:
    """A Tor exit is stale after a week, a network after a month; the newest attacker is first only among its like."""
    register(database, build(0))
    seen = [Sighting(address=a, seen_at=NOON + n * DAY) for n, a in enumerate(ADDRESSES[:4])]
    facts = [IpFacts(asn=1), IpFacts(ip_types=frozenset({IpType.TOR})), IpFacts(asn=1), IpFacts(asn=1)]
    days_old = [31, 8, 30, 8]
    with database.transaction() as stores:
        stores.inventory.register_addresses(seen, registered_at=NOON)
        shown = {
            address: IpSnapshot(
                asn=known.asn,
                country=None,
                ip_type=next(iter(known.ip_types), None),
                enrichment_at=NOON - days * DAY,
                method=Method.ASOF,
                source="a",
            )
            for address, known, days in zip(ADDRESSES, facts, days_old, strict=False)
        }
        stores.inventory.learn(
            [LearnedFacts([at], newest=current(held)) for at, held in shown.items()],
            {},
            learned_at=NOON,
            looked_up=ADDRESSES[:4],
            until=1,
        )
    register(database, build(1))

    with database.transaction() as stores:
        urgent = list(behind(stores, limit=9))

    assert urgent == [ADDRESSES[1], ADDRESSES[0], ADDRESSES[3], ADDRESSES[2]]


def test_addresses_are_read_in_pages(database: Database) -> None:
    """In the order of their texts, each once."""
    with database.transaction() as stores:
        stores.inventory.register_addresses(
            [Sighting(address=a, seen_at=NOON) for a in ADDRESSES[:5]], registered_at=NOON
        )
        first = stores.inventory.page_addresses(after="", limit=3)
        rest = stores.inventory.page_addresses(after=first[-1].text, limit=3)

    assert [*first, *rest] == sorted(ADDRESSES[:5])


worlds = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.integers(0, 6)), st.sampled_from(FACTS), min_size=1, max_size=9
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(world=worlds, order=st.randoms(use_true_random=False), data=st.data())
def test_as_of_agrees_with_a_full_search_in_any_order_of_imports(
    database: Database, world: Mapping[tuple[str, int], IpFacts], order: object, data: st.DataObject
) -> None:
    """Tables before and after the address, older after newer, some of them retracted."""
    keys = list(world)
    order.shuffle(keys)  # type: ignore[attr-defined]  # a random.Random
    number = next(EXAMPLES)  # the database is the same for all examples, so each has an address and sources of its own
    address, tag = ADDRESSES[number], f"{number}-"
    withdrawn = frozenset(data.draw(st.sets(st.sampled_from(keys), max_size=2)))
    source_registry = FakeSourceRegistry()
    lookups = Lookups(source_registry, AsOfReader(), TickingClock())
    sightings = [Sighting(address=address, seen_at=NOON + timedelta(hours=h)) for h in (-9, 12, 36, 60, 96, 130, 190)]

    def import_(source: str, day: int) -> None:
        facts = {address.text: world[source, day]} if world[source, day] != IpFacts() else {}
        source_registry.imported.append(DictSource(f"{tag}{source}", NOON + day * DAY, facts))
        with database.transaction() as stores:
            stores.sources.register_build(source_registry.imported[-1].build, registered_at=NOON)

    half = data.draw(st.integers(0, len(keys)))
    for key in keys[:half]:
        import_(*key)
    with database.transaction() as stores:
        lookups.catch_up(stores.inventory.register_addresses(sightings, registered_at=NOON), stores)
    for key in keys[half:]:
        import_(*key)
        with database.transaction() as stores:
            lookups.catch_up(stores.inventory.register_addresses(sightings, registered_at=NOON), stores)
    with database.transaction() as stores:
        for known in stores.sources.registered():
            if any(known.build == source_registry.imported[keys.index(key)].build for key in withdrawn):
                stores.sources.retract_build(known.number, retracted_at=NOON)

        found = stores.inventory.as_of(sightings)

    for sighting in sightings:
        mine = [o for o in found.get(sighting, ()) if o.source.startswith(tag)]
        nearest = {
            (o.source.removeprefix(tag), o.observed_at <= sighting.seen_at): (o.observed_at, o.facts) for o in mine
        }
        assert nearest == obvious(dict(world), sighting.seen_at, withdrawn)


def test_facts_known_by_then_exclude_facts_learned_later(database: Database) -> None:
    """For an audit of the facts that were available at the time."""
    sighting = Sighting(address=ADDRESSES[0], seen_at=NOON + DAY)
    source_registry = FakeSourceRegistry(DictSource("a", NOON, {ADDRESSES[0].text: IpFacts(asn=1)}))

    class Later(TickingClock):
        def __init__(self) -> None:
            super().__init__()
            self._at = NOON + 9 * DAY

    lookups = Lookups(source_registry, AsOfReader(), Later())
    with database.transaction() as stores:
        lookups.register_sources(stores)
        lookups.catch_up(stores.inventory.register_addresses([sighting], registered_at=NOON), stores)

        assert [o.facts.asn for o in stores.inventory.as_of([sighting])[sighting]] == [1]
        assert list(stores.inventory.as_of([sighting], known_by_then=True).get(sighting, ())) == []


def test_a_nearer_fact_learned_later_does_not_hide_one_known_by_then(database: Database) -> None:
    """Such as a table of the day before the attack that was imported a year later."""
    sighting = Sighting(address=ADDRESSES[0], seen_at=NOON)
    old, near = (observed("a", NOON - days * DAY, asn=days) for days in (5, 1))
    with database.transaction() as stores:
        stores.inventory.register_addresses([sighting], registered_at=NOON - 9 * DAY)
        for days in (5, 1):
            stores.sources.register_build(build(-days), registered_at=NOON)
        for observation, learned_at in ((old, NOON - 5 * DAY), (near, NOON + 300 * DAY)):
            stores.inventory.learn([LearnedFacts([sighting.address], [observation])], {}, learned_at=learned_at)

        assert [o.facts.asn for o in stores.inventory.as_of([sighting])[sighting]] == [1]
        assert [o.facts.asn for o in stores.inventory.as_of([sighting], known_by_then=True)[sighting]] == [5]


def test_enrichment_of_another_loader_is_used_without_a_registered_build(database: Database) -> None:
    """Each address has the date at which its enrichment was written."""
    sighting = Sighting(address=ADDRESSES[0], seen_at=NOON)
    with database.transaction() as stores:
        stores.inventory.register_addresses([sighting], registered_at=NOON)
        observation = observed(ENRICHMENT, NOON - DAY, asn=7)
        stores.inventory.learn([LearnedFacts([sighting.address], [observation])], {}, learned_at=NOON)

        assert [o.facts.asn for o in stores.inventory.as_of([sighting])[sighting]] == [7]


@pytest.mark.parametrize("known_by_then", [False, True])
def test_an_empty_batch_sends_no_query(database: Database, *, known_by_then: bool) -> None:
    """An address that was never looked up is absent from the answer."""
    with database.transaction() as stores:
        assert stores.inventory.as_of([], known_by_then=known_by_then) == {}
        unknown = Sighting(address=IpAddress("9.9.9.9"), seen_at=NOON)
        assert stores.inventory.as_of([unknown], known_by_then=known_by_then) == {}
