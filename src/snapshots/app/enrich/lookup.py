"""Look addresses up in registered builds, and store the observations."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.app.errors import SourceUnreadable
from snapshots.app.ports.database import Stores
from snapshots.app.ports.inventory import Document, FactSource, LearnedFacts, SourceRegistry
from snapshots.app.ports.runtime import Clock
from snapshots.app.retry import ignore
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.build_moment import known_by
from snapshots.domain.facts.network_name import NetworkName, newest_name
from snapshots.domain.facts.observation import NO_FACTS, IpFacts, IpObservation, SourceBuild
from snapshots.domain.facts.source_builds import BuildCalendar, RegisteredBuild, overwritten, registered_as
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.provenance import CurrentFacts, current_facts

ENRICHMENT = "cowrieprocessor"
"""Source name of facts from enrichment documents of another loader; each address has its own date."""

MOST_HISTORIES = 20_000
"""Histories whose newest facts are cached; about ten megabytes."""


class _Readable(Protocol):
    """A source of facts, of which a part may be damaged."""

    @property
    def versions(self) -> frozenset[int]: ...

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts | None]: ...


class Learned(NamedTuple):
    """
    Result of looking addresses up.

    Attributes:
        observation_count: The number of observations that were added or extended.
        histories: All observations of the addresses that were looked up, as they are stored now; those of an address
            can be missing.
    """

    observation_count: int
    histories: Mapping[IpAddress, Sequence[IpObservation]]


NOTHING_LEARNED = Learned(0, {})


class Lookups:
    """
    Looks addresses up in every build that was registered since their last lookup.

    An address that a build does not contain is stored too, as an observation without facts.

    Args:
        source_registry: Opens the data of builds.
        reader: Chooses the newest facts of an address.
        clock: Provides the time of stored rows.
        facts_in: Extracts facts from an enrichment document of another loader; None if there are no documents.
        warn: Called with one sentence, once for each build whose data is damaged.
    """

    def __init__(
        self,
        source_registry: SourceRegistry,
        reader: AsOfReader,
        clock: Clock,
        facts_in: Callable[[object], IpFacts] | None = None,
        warn: Callable[[str], None] = ignore,
    ) -> None:
        self._source_registry = source_registry
        self._facts_in = facts_in or (lambda _: NO_FACTS)
        self._reader = reader
        self._clock = clock
        self._warn = warn
        self._warned: set[str] = set()
        self._calendar = BuildCalendar()
        self._known_newest: dict[tuple[IpObservation, ...], CurrentFacts | None] = {}

    def register_sources(self, stores: Stores) -> Sequence[RegisteredBuild]:
        """Register the bundled builds and those of the settings, and return them."""
        now = self._clock.now()
        registered = stores.sources.registered()
        builds = [source.build for source in self._source_registry.current()]
        return [
            registered_as(build, registered)
            or stores.sources.register_build(replace(build, built_at=known_by(build.built_at, now)), registered_at=now)
            for build in builds
        ]

    def catch_up(self, outdated: Mapping[IpAddress, int], stores: Stores) -> Learned:
        """
        Look addresses up in the builds that were registered since their last lookup.

        Enrichment documents about addresses that were never looked up are read too.

        Args:
            outdated: Addresses, each with the number of the last build in which it was looked up.
            stores: The transaction.

        Returns:
            What was learned. Where the data of a build is damaged, addresses are not looked up in it, with a warning.
        """
        if not outdated:
            return NOTHING_LEARNED
        registered = stores.sources.registered()
        routable = {address: number for address, number in outdated.items() if address.is_routable}
        lacking = [b for b in registered if not b.is_retracted and b.number > min(routable.values(), default=b.number)]
        gone = overwritten(registered)
        sources = [(b, self._source_registry.open(b.build, is_overwritten=b.number in gone)) for b in lacking]
        wanted = [
            (
                b.build,
                _ReadableParts(source, self._warn_once),
                [a for a, number in routable.items() if number < b.number],
            )
            for b, source in sources
            if source is not None
        ]
        until = registered[-1].number if registered else 0
        new = frozenset(address for address, number in outdated.items() if not number)
        learned = self._learn(wanted, BuildCalendar.of(registered), stores, looked_up=outdated, until=until)
        documents = stores.inventory.documents_of(new)
        if not documents:
            return learned
        documented = {document.address for document in documents}
        histories = {address: own for address, own in learned.histories.items() if address not in documented}
        return Learned(learned.observation_count + self.read_documents(documents, stores), histories)

    def look_up(
        self, addresses: Collection[IpAddress], source: FactSource, registered: RegisteredBuild, stores: Stores
    ) -> int:
        """
        Look addresses up in one build; return the number of observations that were added or extended.

        Args:
            addresses: The addresses.
            source: The data of the build.
            registered: The build; it dates the observations.
            stores: The transaction.
        """
        routable = [address for address in addresses if address.is_routable]
        calendar = BuildCalendar.of(stores.sources.registered())
        wanted, number = [(registered.build, source, routable)], registered.number
        return self._learn(
            wanted, calendar, stores, looked_up=addresses, since=number - 1, until=number
        ).observation_count

    def read_documents(self, documents: Sequence[Document], stores: Stores) -> int:
        """Store facts from enrichment documents, and return the number of observations that were added."""
        calendar = BuildCalendar.of(stores.sources.registered())
        observations = [
            (
                document.address,
                IpObservation(
                    source=ENRICHMENT,
                    observed_at=document.written_at,
                    confirmed_until=document.written_at,
                    facts=self._facts_in(document.content),
                ),
            )
            for document in documents
            if document.address.is_routable
        ]
        held = stores.inventory.history_of({address for address, _ in observations})
        known = {(address, o.source, o.observed_at) for address, history in held.items() for o in history}
        learned: dict[IpAddress, list[IpObservation]] = {}
        organizations: dict[int, NetworkName] = {}
        for address, each in observations:
            if each.facts != NO_FACTS and (address, each.source, each.observed_at) not in known:
                learned.setdefault(address, []).append(each)
                _add_name(organizations, each.facts, each.observed_at)
        stores.inventory.learn(
            [
                LearnedFacts([address], own, self._newest((*held.get(address, ()), *own), calendar))
                for address, own in learned.items()
            ],
            organizations,
            learned_at=self._clock.now(),
        )
        return sum(map(len, learned.values()))

    def show_again(self, addresses: Collection[IpAddress], stores: Stores) -> None:
        """Recompute the newest facts of addresses after a build was retracted."""
        calendar = BuildCalendar.of(stores.sources.registered())
        histories = stores.inventory.history_of(addresses)
        stores.inventory.forget_newest(addresses)
        learned = [
            LearnedFacts([address], newest=self._newest(tuple(history), calendar))
            for address, history in histories.items()
        ]
        stores.inventory.learn(learned, {}, learned_at=self._clock.now())

    def _learn(
        self,
        wanted: Sequence[tuple[SourceBuild, _Readable, Sequence[IpAddress]]],
        calendar: BuildCalendar,
        stores: Stores,
        *,
        looked_up: Collection[IpAddress] = (),
        since: int = 0,
        until: int = 0,
    ) -> Learned:
        """
        Query each source and store the observations.

        An address that was not looked up yet may have a history, too: an import looks up every registered address.
        """
        answers = _answers(wanted)
        held = stores.inventory.history_of(answers.keys()) if answers else {}
        # A build of types by network has no facts about addresses, but can change their newest type.
        of_networks = {address for _, source, addresses in wanted if not source.versions for address in addresses}
        equal: dict[tuple[object, object, bool], list[IpAddress]] = {}
        for address, own in answers.items():
            key = tuple(held.get(address, ())), tuple(own), address in of_networks
            equal.setdefault(key, []).append(address)
        histories: dict[IpAddress, Sequence[IpObservation]] = {}
        learned: list[LearnedFacts] = []
        organizations: dict[int, NetworkName] = {}
        builds = [build for build, _, _ in wanted]
        for (*_, is_of_network), addresses in equal.items():
            history = list(held.get(addresses[0], ()))
            observations: dict[tuple[str, datetime], IpObservation] = {}
            for number, facts in answers[addresses[0]]:
                _add_name(organizations, facts, builds[number].built_at)
                _extend(history, observations, facts, builds[number], calendar)
            histories |= dict.fromkeys(addresses, history)
            if observations or (is_of_network and history):
                newest = self._newest(tuple(history), calendar)
                learned.append(LearnedFacts(addresses, list(observations.values()), newest))
        stores.inventory.learn(
            learned, organizations, learned_at=self._clock.now(), looked_up=looked_up, since=since, until=until
        )
        return Learned(sum(len(each.addresses) * len(each.observations) for each in learned), histories)

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._warn(message)

    def _newest(self, history: tuple[IpObservation, ...], calendar: BuildCalendar) -> CurrentFacts | None:
        """Return the newest facts in a history, computed once for equal histories."""
        if calendar != self._calendar or len(self._known_newest) >= MOST_HISTORIES:
            self._known_newest.clear()
            self._calendar = calendar
        if history not in self._known_newest:
            self._known_newest[history] = self._newest_in(history, calendar)
        return self._known_newest[history]

    def _newest_in(self, history: Sequence[IpObservation], calendar: BuildCalendar) -> CurrentFacts | None:
        at = max(each.confirmed_until for each in history)
        considered = calendar.nearest(history, at)
        snapshot = self._reader.read(considered, at=at).snapshot
        if snapshot is None:
            return None
        of_network = self._reader.network_types.about(snapshot.asn)
        return current_facts(snapshot, [*considered, *of_network], history, at)


class _ReadableParts:
    """
    The readable parts of a source: what is damaged is skipped, with a warning.

    Args:
        source: The source.
        warn: Called with the damage.
    """

    def __init__(self, source: FactSource, warn: Callable[[str], None]) -> None:
        self._source = source
        self._warn = warn
        self.versions = source.versions

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts | None]:
        """Return the facts of each address; None for those whose facts cannot be read."""
        try:
            return self._source.look_up(addresses)
        except SourceUnreadable as exc:
            self._warn(f"{exc}; addresses in the damaged parts are not looked up in {self._source.build.label}")
        found: dict[IpAddress, IpFacts | None] = {}
        for address in addresses:
            try:
                found.update(self._source.look_up([address]))
            except SourceUnreadable:
                found[address] = None
        return found


def _answers(
    wanted: Sequence[tuple[SourceBuild, _Readable, Sequence[IpAddress]]],
) -> Mapping[IpAddress, Sequence[tuple[int, IpFacts]]]:
    """Return for each address what the builds state about it, with the positions of the builds."""
    answers: dict[IpAddress, list[tuple[int, IpFacts]]] = {a: [] for _, _, addresses in wanted for a in addresses}
    for number, (_, source, addresses) in enumerate(wanted):
        supported = [address for address in addresses if address.version in source.versions]
        found = source.look_up(supported) if supported else {}
        for address in supported:
            facts = found.get(address, NO_FACTS)
            if facts is not None:
                answers[address].append((number, facts))
    return answers


def _extend(
    history: list[IpObservation],
    changed: dict[tuple[str, datetime], IpObservation],
    facts: IpFacts,
    build: SourceBuild,
    calendar: BuildCalendar,
) -> None:
    """Add what a build states to a history, and to the observations that are to be stored."""
    own = [o for o in history if o.source == build.name]
    for each in calendar.extended(own, facts, build=build):
        key = (each.source, each.observed_at)
        changed[key] = each
        history[:] = [o for o in history if (o.source, o.observed_at) != key]
        history.append(each)


def _add_name(organizations: dict[int, NetworkName], facts: IpFacts, stated_at: datetime) -> None:
    """Add the name of a network, unless a newer name is there."""
    if facts.asn is None or facts.organization is None:
        return
    stated = NetworkName(facts.organization, stated_at)
    organizations[facts.asn] = newest_name(organizations.get(facts.asn, stated), stated)
