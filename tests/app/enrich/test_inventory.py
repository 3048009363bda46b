"""Importing, refreshing and withdrawing what sources say."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from snapshots.app.enrich.apply_verdicts import VerdictApplier
from snapshots.app.enrich.build_checks import BuildChecks
from snapshots.app.enrich.inventory import InventoryService
from snapshots.app.enrich.late_completion import LateCompletion
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import (
    BuildRefused,
    ConfirmationNeeded,
    NoSuchBuild,
    SettingRefused,
    SourceUnreadable,
    StoreBusy,
    StoreGone,
    StoreUnavailable,
    StoreUnusable,
)
from snapshots.app.ports.database import WriteLock
from snapshots.app.ports.inventory import Document
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.retry import CONNECTION_BACKOFF
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.facts.build_checks import SAMPLE
from snapshots.domain.facts.build_moment import end_of_day
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import NetworkTypes
from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.freshness import Freshness, FreshnessPolicy
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from tests.fake_runs import InMemoryRuns
from tests.fakes import DictSource, FakeSourceRegistry, InMemoryDatabase, InMemoryStores, TickingClock, finder, runtime
from tests.strategies import DAY, HOME, NOON, OTHER, network_build


class Unreliable(InMemoryDatabase):
    """A database that fails as many transactions as there are errors, from the n-th transaction on."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.errors: list[BaseException] = []

    @contextmanager
    def transaction(
        self, connection: object | None = None, *, dry_run: bool = False, lock: WriteLock = WriteLock.EXCLUSIVE
    ) -> Iterator[InMemoryStores]:
        self.left -= 1
        if self.left < 0 and self.errors:
            raise self.errors.pop(0)
        with super().transaction(connection, dry_run=dry_run, lock=lock) as stores:
            yield stores


class World:
    """Everything around one in-memory database."""

    def __init__(self, *sources: DictSource) -> None:
        self.database, self.source_registry, clock = Unreliable(), FakeSourceRegistry(*sources), TickingClock()
        reader = AsOfReader()
        self.warnings: list[str] = []
        lookups = self.lookups = Lookups(self.source_registry, reader, clock, warn=self.warnings.append)
        self.service = SnapshotService(self.database, lookups, reader, SnapshotPolicy(), clock)
        self.names = iter(range(99))
        machine = runtime(clock, new_run=self.new_run)
        completion = LateCompletion(self.database, VerdictApplier(self.service, finder()), runtime=machine)
        self.completion = completion
        self.inventory_service = InventoryService(
            self.database,
            lookups,
            BuildChecks(self.source_registry),
            completion,
            FreshnessPolicy(),
            runtime=machine,
        )
        self.progress: list[int] = []

    def new_run(self) -> str:
        return f"run{next(self.names)}"

    def store(self, *addresses: str) -> list[SessionSummary]:
        sessions = [SessionAggregate.sighted(f"s{n}", a, NOON).summary() for n, a in enumerate(addresses)]
        with self.database.transaction() as stores:
            offered = self.service.offer(sessions, stores)
            stores.sessions.save(offered, run="load", saved_at=NOON)
        return offered

    def import_(self, source: DictSource) -> int:
        self.source_registry.imported.append(source)
        return self.inventory_service.import_table(source, self.progress.append).learned

    def register(self, source: DictSource) -> int:
        """Look every address up in a new build, but complete no session."""
        self.source_registry.imported.append(source)
        with self.database.transaction() as stores:
            registered = stores.sources.register_build(source.build, registered_at=NOON)
            self.lookups.look_up(stores.inventory.page_addresses(after="", limit=99), source, registered, stores)
        return registered.number

    def session(self, name: str = "s0") -> SessionSummary:
        return self.database.memory.sessions[name]


HOUR = timedelta(hours=1)
KNOWS = {HOME.text: IpFacts(asn=1, country="DE")}


def source(name: str = "a", day: int = -1, facts: dict[str, IpFacts] | None = None) -> DictSource:
    return DictSource(name, NOON + day * DAY, KNOWS if facts is None else facts)


def test_a_table_imported_after_the_logs_completes_open_sessions() -> None:
    """Once, by the same rules, in a run of its own."""
    world = World(source("empty", facts={}))
    world.store(HOME.text, OTHER.text)
    assert [world.session(n).gap for n in ("s0", "s1")] == [Gap.NOTHING_KNOWN] * 2

    assert world.import_(source()) == 2

    snapshot = world.session().snapshot
    assert snapshot is not None
    assert (snapshot.asn, snapshot.source) == (1, "a@2026-02-28T12:00")
    assert world.session("s1").gap is Gap.NOTHING_KNOWN
    assert set(world.database.memory.runs.values()) == {RunState.DONE}
    assert world.completion.complete().judged == 0


def test_a_failed_completion_evicts_its_cached_verdicts() -> None:
    """Its transaction was rolled back, and the next one evaluates the sessions again."""
    world = World(source("empty", facts={}))
    world.store(HOME.text)
    begin = InMemoryRuns.begin

    def refuse(runs: InMemoryRuns, run: str, kind: RunKind, **rest: Any) -> None:
        if kind is RunKind.LATE:
            raise StoreUnavailable("no")
        begin(runs, run, kind, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InMemoryRuns, "begin", refuse)
        with pytest.raises(StoreUnavailable):
            world.import_(source())

    assert world.completion.complete().sealed == 1


@pytest.mark.parametrize("transaction", range(8))
@pytest.mark.parametrize("error", [StoreGone("gone"), StoreBusy("busy")])
def test_an_import_survives_a_lost_connection(transaction: int, error: StoreUnavailable) -> None:
    """Each transaction is retried, and the result is that of an undisturbed import."""
    world = World(source("empty", facts={}))
    world.store(HOME.text, OTHER.text)
    world.database.left, world.database.errors = transaction, [error] * 2

    world.import_(source())

    snapshot = world.session().snapshot
    assert snapshot is not None
    assert snapshot.source == "a@2026-02-28T12:00"
    kinds = {record.kind: record.state for record in world.database.memory.records.values()}
    assert kinds[RunKind.IMPORT] is RunState.DONE


def refresh(world: World) -> None:
    world.inventory_service.refresh(world.progress.append)


def retract(world: World) -> None:
    world.inventory_service.retract("bundled@2026-02-27T12:00")


@pytest.mark.parametrize(
    ("act", "kind"),
    [(lambda world: world.import_(source()), RunKind.IMPORT), (refresh, RunKind.REFRESH), (retract, RunKind.RETRACT)],
)
@pytest.mark.parametrize(
    ("error", "state"), [(StoreUnusable("disk full"), RunState.FAILED), (KeyboardInterrupt(), RunState.INTERRUPTED)]
)
def test_a_run_that_fails_is_recorded_as_failed_at_once(
    act: Callable[[World], object], kind: RunKind, error: BaseException, state: RunState
) -> None:
    """Other processes and `snapshots runs` need not wait for its heartbeat to time out."""
    world = World(source("bundled", day=-2))
    world.store(HOME.text)
    world.database.left, world.database.errors = 1, [error]

    with pytest.raises(type(error)):
        act(world)

    assert [(r.kind, r.state) for r in world.database.memory.records.values()] == [(kind, state)]


def test_a_run_whose_database_stays_lost_ends_by_its_heartbeat() -> None:
    """Nothing can be recorded, and the original error is raised."""
    world = World()
    world.store(HOME.text)
    world.database.left, world.database.errors = 1, [StoreGone(str(n)) for n in range(20)]

    with pytest.raises(StoreGone, match=str(len(CONNECTION_BACKOFF))):
        world.import_(source())

    assert set(world.database.memory.runs.values()) == {RunState.RUNNING}


def test_a_completion_that_fails_halfway_is_recorded_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its completed pages are stored."""
    monkeypatch.setattr("snapshots.app.enrich.late_completion.PAGE", 1)
    world = World(source("empty", facts={}))
    world.store(HOME.text, HOME.text, HOME.text)
    number = world.register(source())
    world.database.left, world.database.errors = 1, [StoreUnusable("disk full")]

    with pytest.raises(StoreUnusable):
        world.completion.complete()

    assert number == 2
    assert [(r.kind, r.state) for r in world.database.memory.records.values()] == [(RunKind.LATE, RunState.FAILED)]
    assert sum(world.session(f"s{n}").is_sealed for n in range(3)) == 1


def test_a_table_imported_before_the_logs_is_used_by_the_load() -> None:
    """New addresses are looked up in every registered build."""
    world = World()
    world.import_(source())

    (session,) = world.store(HOME.text)

    assert session.snapshot is not None
    assert session.snapshot.source == "a@2026-02-28T12:00"


def test_an_address_that_was_only_looked_up_by_an_import_has_its_facts_too() -> None:
    """As in an adopted database: the address is registered, the file is deleted, and the sessions are judged later."""
    world = World(source("bundled", facts={HOME.text: IpFacts(asn=2)}))
    world.store(OTHER.text)  # registers the bundled build, in which HOME is not looked up
    sighting = SessionAggregate.sighted("s", HOME.text, NOON).summary().sighting
    assert sighting is not None
    with world.database.transaction() as stores:
        stores.inventory.register_addresses([sighting], registered_at=NOON)
    world.register(source("imported", day=-2, facts={HOME.text: IpFacts(asn=1, country="DE")}))
    world.source_registry.imported.clear()  # its file was deleted

    (offered,) = world.store(HOME.text)

    assert offered.snapshot is not None
    assert {label.partition("@")[0] for label in offered.snapshot.builds} == {"bundled", "imported"}
    assert offered.snapshot.country == "DE"


def test_a_repeated_import_adds_no_observation() -> None:
    """The first may have been interrupted; each address is looked up again."""
    world = World()
    world.store(HOME.text)
    assert [world.import_(source()), world.import_(source())] == [1, 0]
    assert world.progress == [1, 1]


def dated(built_at: datetime, sha256: str = "00") -> DictSource:
    """Return a list of HOME with a moment and data."""
    found = source()
    found.build = replace(found.build, built_at=built_at, sha256=sha256)
    return found


def test_a_list_of_today_has_the_time_of_its_import() -> None:
    """It was known then, and an attack of this evening comes after it; another content of today is another build."""
    world = World()
    world.store(HOME.text)
    today = end_of_day(NOON.date())

    labels = [
        world.inventory_service.import_table(dated(today, sha256), world.progress.append).label
        for sha256 in ("00", "11", "00")
    ]

    first, second, again = labels
    assert first.startswith("a@2026-03-01T12:00:")
    assert second > first
    assert again == first


def test_a_build_of_an_older_version_keeps_its_moment() -> None:
    """It stored the start of the day; importing the file again does not register a second build."""
    world = World()
    world.store(HOME.text)
    yesterday = (NOON - DAY).replace(hour=0)
    world.register(dated(yesterday))

    done = world.inventory_service.import_table(dated(end_of_day(yesterday.date())), world.progress.append)

    assert (done.label, done.learned) == ("a@2026-02-28", 0)
    assert [each.build.built_at for each in world.database.memory.sources.values()] == [yesterday]
    with pytest.raises(BuildRefused, match="registered with other data"):
        world.import_(dated(end_of_day(yesterday.date()), "11"))


@pytest.mark.parametrize("built_at", [NOON.replace(year=2099), end_of_day(date(2099, 1, 1)), NOON.replace(year=1999)])
def test_a_build_from_the_future_or_the_last_century_is_refused(built_at: datetime) -> None:
    """Its clock is wrong, or the date is a typing error."""
    world = World()

    with pytest.raises(BuildRefused, match="from before 2000 or from the future; give the date with --as-of"):
        world.import_(dated(built_at))

    assert world.database.memory.sources == {}


def test_one_of_several_builds_of_a_day_is_retracted() -> None:
    """By its moment; the day alone is ambiguous."""
    world = World()
    world.store(HOME.text)
    for hours in (1, 2):
        world.import_(dated(NOON - hours * HOUR))

    with pytest.raises(NoSuchBuild, match="there are several builds a@2026-03-01 to retract"):
        world.inventory_service.retract("a@2026-03-01")
    build, _ = world.inventory_service.retract("a@2026-03-01T10:00")

    assert build.build.built_at == NOON - 2 * HOUR
    assert world.inventory_service.retract("a@2026-03-01")[0].build.built_at == NOON - HOUR


def test_other_data_under_the_same_name_and_date_is_refused() -> None:
    """And so is a retracted build."""
    world = World()
    world.import_(source())
    other = source()
    other.build = type(other.build)(
        name="a", built_at=other.build.built_at, licence="MIT", sha256="11", origin="bundled"
    )
    with pytest.raises(BuildRefused, match="registered with other data"):
        world.import_(other)

    world.inventory_service.retract("a@2026-02-28T12:00")
    with pytest.raises(BuildRefused, match="was retracted"):
        world.import_(source())


def test_a_retracted_build_is_no_longer_used_and_snapshots_stay() -> None:
    """Nor does it provide the newest facts of an address."""
    world = World()
    world.store(HOME.text)
    world.import_(source())
    held = world.session().snapshot
    assert world.database.memory.addresses[HOME].newest is not None

    registered, count = world.inventory_service.retract("a@2026-02-28T12:00")

    assert (registered.build.label, count) == ("a@2026-02-28T12:00", 1)
    assert world.database.memory.addresses[HOME].newest is None
    assert world.session().snapshot == held
    with world.database.transaction() as stores:
        (judged,) = world.service.offer([SessionAggregate.sighted("new", HOME.text, NOON).summary()], stores)
    assert not judged.is_sealed
    with pytest.raises(NoSuchBuild, match="there is no build"):
        world.inventory_service.retract("a@2026-02-27T12:00")


def test_types_by_network_are_neither_imported_nor_retracted() -> None:
    """They belong to files that every process opens; a table of addresses under their name would be taken for one."""
    world = World()

    with pytest.raises(SettingRefused, match="give another --name"):
        world.import_(DictSource("network-types", NOON, {}))
    with pytest.raises(SettingRefused, match="there is nothing to retract: leave its file out"):
        world.inventory_service.retract("network-types@2026-03-01")


def test_a_new_build_of_types_by_network_renews_the_newest_type_of_known_addresses() -> None:
    """Although it contains no address."""
    world = World(source())
    world.store(HOME.text)
    assert newest_type(world) is None
    reader = AsOfReader(network_types=NetworkTypes((network_build(NOON, {1: IpType.MOBILE}),)))
    lookups = Lookups(world.source_registry, reader, TickingClock())
    networks = DictSource("network-types", NOON, {})
    networks.versions = frozenset()
    world.source_registry.sources.append(networks)

    with world.database.transaction() as stores:
        lookups.register_sources(stores)
        assert lookups.catch_up({HOME: 1}, stores).observation_count == 0

    assert newest_type(world) is IpType.MOBILE


def newest_type(world: World) -> IpType | None:
    newest = world.database.memory.addresses[HOME].newest
    assert newest is not None
    return newest.ip_type


def test_a_second_retraction_completes_an_interrupted_one() -> None:
    """The first one may have been killed before the current facts of all addresses were computed again."""
    world = World()
    world.store(HOME.text)
    world.import_(source())
    with world.database.transaction() as stores:
        (registered,) = stores.sources.registered()
        stores.sources.retract_build(registered.number, retracted_at=NOON)
    assert world.database.memory.addresses[HOME].newest is not None

    again, count = world.inventory_service.retract("a@2026-02-28T12:00")

    assert (again.build.label, again.is_retracted, count) == ("a@2026-02-28T12:00", True, None)
    assert world.database.memory.addresses[HOME].newest is None


def test_a_refresh_looks_up_addresses_that_lack_a_build_up_to_its_limit() -> None:
    """Addresses that were never looked up come first."""
    world = World(source("old"))
    world.store(HOME.text, OTHER.text)
    world.source_registry.sources.append(source("new", day=0))

    assert world.inventory_service.refresh(world.progress.append, limit=1).addresses == 1
    assert world.inventory_service.refresh(world.progress.append).addresses == 1
    assert world.inventory_service.refresh(world.progress.append).addresses == 0
    assert world.progress == [1, 1]
    assert world.source_registry.sources[1].asked == [OTHER, HOME]


def test_a_build_with_missing_data_is_skipped() -> None:
    """New addresses are looked up in the others."""
    world = World(source("b"))
    world.import_(source())
    world.source_registry.imported.clear()

    (session,) = world.store(HOME.text)

    assert session.snapshot is not None
    assert session.snapshot.source == "b@2026-02-28T12:00"


def test_an_ipv4_source_is_not_asked_about_ipv6_addresses() -> None:
    """A missing answer would have no meaning."""
    four = source()
    four.versions = frozenset({4})
    world = World(four)

    world.store("2001:4860:4860::8888")

    assert four.asked == []
    assert world.session().gap is Gap.NEVER_LOOKED_UP


@pytest.mark.parametrize(
    ("days", "ip_type", "state"),
    [
        (None, None, Freshness.UNKNOWN),
        (30, None, Freshness.FRESH),
        (31, None, Freshness.AGEING),
        (401, None, Freshness.EXPIRED),
        (7, IpType.TOR, Freshness.FRESH),
        (8, IpType.TOR, Freshness.AGEING),
        (15, IpType.TOR, Freshness.EXPIRED),
        (30, IpType.MOBILE, Freshness.FRESH),
        (121, IpType.MOBILE, Freshness.EXPIRED),
    ],
)
def test_freshness_depends_on_the_type_of_the_address(
    days: int | None, ip_type: IpType | None, state: Freshness
) -> None:
    """Tor exits come and go, networks stay."""
    assert FreshnessPolicy().freshness_of(None if days is None else timedelta(days=days), ip_type) is state


def test_no_age_is_negative() -> None:
    """It would make everything stale, or nothing."""
    with pytest.raises(InvalidPolicy):
        FreshnessPolicy(fresh_for_fast=-DAY)


def test_enrichment_of_another_loader_is_imported_once() -> None:
    """Each address has its own date; empty documents are omitted."""
    world = World()
    world.store(HOME.text, OTHER.text, "10.0.0.1")
    world.database.memory.documents += [
        Document(address=address, content=content, written_at=NOON)
        for address, content in ((HOME, "known"), (OTHER, "empty"), (IpAddress("10.0.0.1"), "known"))
    ]
    facts = {"known": IpFacts(asn=1, organization="Example"), "empty": IpFacts()}
    lookups = Lookups(world.source_registry, AsOfReader(), TickingClock(), lambda content: facts[str(content)])
    inventory_service = InventoryService(
        world.database,
        lookups,
        BuildChecks(world.source_registry),
        world.completion,
        FreshnessPolicy(),
        runtime=runtime(TickingClock(), new_run=world.new_run),
    )

    assert [inventory_service.refresh(world.progress.append).learned for _ in range(2)] == [1, 0]
    assert world.database.memory.organizations == {1: "Example"}


def test_a_new_address_has_the_facts_of_its_document_at_once() -> None:
    """Documents of another loader are read when an address is looked up for the first time."""
    world = World(source("z", day=-9))
    world.database.memory.documents.append(Document(address=HOME, content="", written_at=NOON))
    reader, clock = AsOfReader(), TickingClock()
    lookups = Lookups(world.source_registry, reader, clock, lambda _: IpFacts(asn=2))
    service = SnapshotService(world.database, lookups, reader, SnapshotPolicy(), clock)

    with world.database.transaction() as stores:
        (sealed,) = service.offer([SessionAggregate.sighted("s", HOME.text, NOON).summary()], stores)

    assert sealed.snapshot is not None
    assert (sealed.snapshot.asn, sealed.snapshot.source) == (2, "cowrieprocessor@2026-03-01T12:00 z@2026-02-20T12:00")


MANY = [f"9.9.{n // 250}.{n % 250}" for n in range(100)]
FORMER = {address: IpFacts(asn=1, country="DE") for address in MANY}


def test_a_build_that_changes_most_facts_is_refused() -> None:
    """Nothing is stored, and the build before it stays in use; if it is forced, it is imported."""
    world = World()
    world.store(*MANY)
    world.import_(source(facts=FORMER))
    changed = source(day=0, facts={address: IpFacts(asn=2) for address in MANY})

    with pytest.raises(BuildRefused, match=r"a@2026-03-01T12:00 is refused: it changes the facts of 100 of 100"):
        world.import_(changed)

    with world.database.view() as stores:
        assert [b.build.label for b in stores.sources.registered()] == ["a@2026-02-28T12:00"]
    done = world.inventory_service.import_table(changed, world.progress.append, is_forced=True)
    assert (done.addresses, done.label) == (100, "a@2026-03-01T12:00")
    assert world.import_(changed) == 0  # it is registered now


def test_an_older_build_is_compared_with_the_one_after_it() -> None:
    """History may be imported in any order; another source is not compared."""
    world = World()
    world.store(*MANY)
    world.import_(source(day=0, facts=FORMER))
    world.import_(source("b", facts={address: IpFacts(asn=2) for address in MANY}))

    with pytest.raises(BuildRefused, match="100 of 100"):
        world.import_(source(day=-9, facts={address: IpFacts(asn=2) for address in MANY}))
    assert world.import_(source(day=-9, facts=FORMER)) == 100


def test_a_build_between_two_others_is_compared_with_the_nearer_one() -> None:
    """The facts may have changed after it."""
    world = World()
    world.store(*MANY)
    world.import_(source(day=-9, facts=FORMER))
    later = source(day=0, facts={address: IpFacts(asn=2) for address in MANY})
    world.inventory_service.import_table(later, world.progress.append, is_forced=True)

    assert world.import_(source(day=-8, facts=FORMER)) == 100
    with pytest.raises(BuildRefused, match="100 of 100"):
        world.import_(source(day=-1, facts=FORMER))


def test_a_build_of_another_size_is_refused() -> None:
    """If the file of the build before it is still there."""
    world = World()
    for day, size in ((-2, 500_000), (-1, 510_000)):
        built = source(day=day)
        built.size = size
        world.import_(built)
    truncated = source(day=0)
    truncated.size = 400_000

    with pytest.raises(BuildRefused, match="it has 400,000 ranges, and the build before it has 510,000"):
        world.import_(truncated)
    world.source_registry.imported.clear()
    world.inventory_service.import_table(truncated, world.progress.append)


def test_a_shifted_table_is_refused() -> None:
    """It states other networks for well-known addresses."""
    everything = {address.text: IpFacts(asn=1) for address in SAMPLE}

    with pytest.raises(BuildRefused, match=r"8\.8\.8\.8 is AS- and not AS15169"):
        World().import_(source(facts=everything))


def test_a_list_of_very_many_addresses_needs_a_confirmation() -> None:
    """Also if it is forced."""
    world, wide = World(), source()
    wide.typed_shares = {IpType.TOR: 0.5}

    with pytest.raises(ConfirmationNeeded, match=r"types 50.0% of all addresses as TOR"):
        world.inventory_service.import_table(wide, world.progress.append, is_forced=True)
    world.inventory_service.import_table(wide, world.progress.append, is_confirmed=True)


class Damaged(DictSource):
    """A source in which the facts of some addresses cannot be read."""

    def __init__(self, name: str, *broken: str) -> None:
        super().__init__(name, NOON - DAY, {HOME.text: IpFacts(asn=1), OTHER.text: IpFacts(asn=2)})
        self.broken = broken

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        if any(address.text in self.broken for address in addresses):
            raise SourceUnreadable(f"{self.build.name} is damaged")
        return super().look_up(addresses)


def test_a_damaged_source_does_not_end_a_load() -> None:
    """Its readable parts are used, with one warning; an unreadable address has no entry and no "no entry"."""
    world = World(Damaged("a", OTHER.text, "9.9.9.8"))

    world.store(HOME.text, OTHER.text)
    world.store("9.9.9.9", "9.9.9.8", OTHER.text)

    memory = world.database.memory
    assert {address: o.facts for (address, *_), o in memory.observations.items()} == {
        HOME: IpFacts(asn=1),
        IpAddress("9.9.9.9"): IpFacts(),
    }
    assert world.warnings == ["a is damaged; addresses in the damaged parts are not looked up in a@2026-02-28T12:00"]


def test_an_import_reports_the_build_that_its_file_held_before() -> None:
    """Once: a repeated import has overwritten nothing."""
    world = World()
    first, second = source(), source(day=0)
    first.build, second.build = (
        replace(each.build, origin="/tables/exits.txt", form="list TOR", sha256=str(n))
        for n, each in enumerate((first, second))
    )

    done = [world.inventory_service.import_table(each, world.progress.append) for each in (first, second, second)]

    assert [each.overwritten for each in done] == ["", "a@2026-02-28T12:00", ""]
