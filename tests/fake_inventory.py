"""Addresses, observations and builds in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from snapshots.app.ports.inventory import Document, LearnedFacts
from snapshots.app.ports.key_range import KeyRange
from snapshots.domain.address.source_ip import IpAddress, Sighting, SightingKind
from snapshots.domain.facts.network_name import NetworkName, newest_name
from snapshots.domain.facts.observation import IpObservation, SourceBuild
from snapshots.domain.facts.source_builds import BuildCalendar, RegisteredBuild
from snapshots.domain.snapshot.freshness import Freshness, FreshnessPolicy
from tests.memory import KnownAddress, Memory, is_within


class InMemoryInventory:
    """Addresses and observations in dicts."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.queries = 0

    def as_of(
        self, sightings: Collection[Sighting], *, known_by_then: bool = False
    ) -> Mapping[Sighting, Sequence[IpObservation]]:
        self.queries += 1
        calendar = BuildCalendar.of(self.memory.sources.values())
        histories = self.history_of({sighting.address for sighting in sightings})
        return {
            s: calendar.nearest(histories[s.address], s.seen_at, known_by_then=known_by_then)
            for s in sightings
            if s.address in histories
        }

    def learned_last(self) -> datetime | None:
        return max((a.learned_at for a in self.memory.addresses.values() if a.learned_at is not None), default=None)

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        found: dict[IpAddress, list[IpObservation]] = {}
        for (address, *_), observation in self.memory.observations.items():
            if address in addresses:
                found.setdefault(address, []).append(observation)
        return found

    def register_addresses(
        self, sightings: Collection[Sighting], *, registered_at: datetime
    ) -> Mapping[IpAddress, int]:
        new: dict[IpAddress, list[datetime]] = {}
        for sighting in sightings:
            new.setdefault(sighting.address, []).append(sighting.seen_at)
        for address, moments in new.items():
            self.memory.addresses.setdefault(address, KnownAddress(min(moments), max(moments), registered_at))
        return {address: number for address, number in self._behind().items() if address in new}

    def page_addresses(self, *, after: str, limit: int) -> Sequence[IpAddress]:
        return sorted(address for address in self.memory.addresses if address.text > after)[:limit]

    def page_looked_up(self, within: KeyRange, *, limit: int) -> Sequence[IpAddress]:
        behind = self._behind()
        return sorted(a for a in self.memory.addresses if is_within([within], a.text) and a not in behind)[:limit]

    def page_outdated(self, *, after: str, limit: int) -> Mapping[IpAddress, int]:
        behind = self._behind()
        return {a: behind[a] for a in sorted(a for a in behind if a.text > after)[:limit]}

    def address_ranges(self, count: int) -> Sequence[KeyRange]:
        texts = sorted(address.text for address in self.memory.addresses)
        size = len(texts) // count + 1
        return [KeyRange(after, until) for after, until in pairwise(["", *texts[size - 1 :: size], ""])]

    def count_addresses(self) -> int:
        return len(self.memory.addresses)

    def take_over(self, *, registered_at: datetime) -> None:
        for document in self.memory.documents:
            at = Sighting(address=document.address, seen_at=document.written_at, kind=SightingKind.OTHER)
            self.register_addresses([at], registered_at=registered_at)

    def documents(self, *, after: str, limit: int) -> Sequence[Document]:
        found = [d for d in self.memory.documents if d.address.text > after]
        return sorted(found, key=lambda document: document.address.text)[:limit]

    def documents_of(self, addresses: Collection[IpAddress]) -> Sequence[Document]:
        return [document for document in self.memory.documents if document.address in addresses]

    def most_urgent(self, freshness: FreshnessPolicy, *, now: datetime, limit: int) -> Mapping[IpAddress, int]:
        def urgency(item: tuple[IpAddress, int]) -> tuple[int, float, str]:
            address, number = item
            known = self.memory.addresses[address]
            age = now - known.newest.enrichment_at if known.newest is not None else None
            is_fresh = (
                freshness.freshness_of(age, known.newest.ip_type if known.newest is not None else None)
                is Freshness.FRESH
            )
            return (1 + is_fresh if number else 0), -known.last_seen.timestamp(), address.text

        return dict(sorted(self._behind().items(), key=urgency)[:limit])

    def _behind(self) -> Mapping[IpAddress, int]:
        newest = max(self.memory.sources, default=0)
        known = self.memory.addresses.items()
        return {a: one.looked_up_until for a, one in known if one.looked_up_until < newest}

    def learn(
        self,
        learned: Collection[LearnedFacts],
        organizations: Mapping[int, NetworkName],
        *,
        learned_at: datetime,
        looked_up: Collection[IpAddress] = (),
        since: int = 0,
        until: int = 0,
    ) -> None:
        last = self.learned_last()
        if last is not None:
            learned_at = max(learned_at, last + timedelta(microseconds=1))
        observed = [(a, o) for each in learned for a in each.addresses for o in each.observations]
        for address, observation in observed:
            key = (address, observation.source, observation.observed_at)
            held = self.memory.observations.get(key, replace(observation, learned_at=learned_at))
            until_then = max(held.confirmed_until, observation.confirmed_until)
            self.memory.observations[key] = replace(
                held, confirmed_until=until_then, facts=replace(held.facts, organization=None)
            )
            self.memory.addresses[address].learned_at = learned_at
        for address in looked_up:
            known = self.memory.addresses[address]
            if known.looked_up_until >= since:
                known.looked_up_until = max(known.looked_up_until, until)
        for number, name in organizations.items():
            self.memory.names[number] = newest_name(self.memory.names.get(number, name), name)
        for each in learned:
            if each.newest is not None:
                for address in each.addresses:
                    self.memory.addresses[address].newest = each.newest.snapshot

    def forget_newest(self, addresses: Collection[IpAddress]) -> None:
        for address in addresses:
            self.memory.addresses[address].newest = None


class InMemorySources:
    """Builds in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def registered(self) -> Sequence[RegisteredBuild]:
        return [self.memory.sources[number] for number in sorted(self.memory.sources)]

    def register_build(self, build: SourceBuild, *, registered_at: datetime) -> RegisteredBuild:
        for known in self.memory.sources.values():
            if (known.build.name, known.build.built_at) == (build.name, build.built_at):
                return known
        number = max(self.memory.sources, default=0) + 1
        self.memory.sources[number] = RegisteredBuild(number=number, build=build)
        return self.memory.sources[number]

    def retract_build(self, number: int, *, retracted_at: datetime) -> int:
        build = self.memory.sources[number].build
        self.memory.sources[number] = replace(self.memory.sources[number], is_retracted=True)
        dates = BuildCalendar.of(self.memory.sources.values()).dates[build.name]
        again = next((at for at in dates if at > build.built_at), None)
        held = self.memory.observations
        begun = [(key[0], o) for key, o in held.items() if key[1:] == (build.name, build.built_at)]
        for address, observation in begun:
            own = [o.observed_at for key, o in held.items() if key[:2] == (address, observation.source)]
            if again is None or observation.confirmed_until < again or any(build.built_at < at <= again for at in own):
                continue
            repeated = replace(observation, observed_at=again, learned_at=retracted_at)
            held[address, observation.source, again] = repeated
        return len(begun)
