"""Choose the facts about an address as of the time of a sighting."""

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.facts.asn_allocation import can_have_existed, first_possible_use
from snapshots.domain.facts.ip_type import ANONYMIZERS, NETWORK_KINDS, IpType, IpTypePriority
from snapshots.domain.facts.network_types import NO_NETWORK_TYPES, NetworkTypes
from snapshots.domain.facts.observation import IpObservation, label_of
from snapshots.domain.snapshot.fact_methods import source_text
from snapshots.domain.snapshot.nearest_statements import AsnLeftOut, NearestStatements, TypeLeftOut
from snapshots.domain.snapshot.provenance import FACTS
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

Fact = TypeVar("Fact")

TYPE_MAX_AGE: Mapping[IpType, timedelta] = MappingProxyType(
    {
        IpType.VPN: timedelta(days=14),
        IpType.TOR: timedelta(days=14),
        IpType.PROXY: timedelta(days=14),
        IpType.DATACENTER: timedelta(days=400),
        IpType.RESIDENTIAL: timedelta(days=120),
        IpType.MOBILE: timedelta(days=120),
    }
)
"""Maximum age of each type, from its last statement to the sighting: Tor exits change daily, data centers seldom."""

TYPE_MAX_LAG: Mapping[IpType, timedelta] = MappingProxyType(
    {
        IpType.VPN: timedelta(days=45),
        IpType.TOR: timedelta(days=14),
        IpType.PROXY: timedelta(days=14),
        IpType.DATACENTER: timedelta(days=400),
    }
)
"""
Maximum time from an attack to the first statement from which a type is inferred; other types have no limit.

After 14 days 88 % of Tor exits are still listed, after a year 46 %; of VPN ranges 87 %, of data-center ranges 98 %.
RESIDENTIAL and MOBILE follow the network, and an ASN is also inferred from any table after the attack.
"""

NETWORK_MAX_AGE = timedelta(days=400)
"""Maximum age of an ASN, a country or a type by network, from its last statement to the sighting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpReading:
    """
    The result of reading the history of an address.

    Attributes:
        snapshot: The chosen facts; None if there are none.
        was_looked_up: Whether the address was ever looked up in a source.
        has_expired: Whether there is no snapshot, but a fact was stated too long before the sighting.
        is_too_late: Whether there is no snapshot, but a fact was stated too long after the sighting.
        has_later_asn: Whether there is no snapshot, but a later table states an ASN that did not exist yet.
    """

    snapshot: IpSnapshot | None
    was_looked_up: bool
    has_expired: bool = False
    is_too_late: bool = False
    has_later_asn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOfReader:
    """
    Reads the history of an address as of a time.

    For each fact, every source gives one answer: from its newest observation at or before the time if that is not older
    than the maximum age of the fact ("as of"), else from its oldest observation after the time, within the maximum lag
    ("inferred"). An answer as of the time takes precedence over inferred ones; among equals, the source that is first
    in the order of precedence.

    A type answers one of two questions: whether the address serves an anonymizer, and what kind of network it is in.
    Each is answered alone, as of the time before inferred, and the higher-ranked answer is the type: that an address is
    in a data center does not contradict a list of Tor exits that was made an hour after the time.

    Of several types that one source states together only the highest-ranked one counts. If that is out of its limits, a
    lower-ranked one is not used instead, or an expired VPN would be read as RESIDENTIAL. The types of all sources are
    merged before they are ranked. An observation that states no type, or no anonymizer, excludes a later one of the
    same source for as long as that would be valid.

    The kind of network is known by address or by network: the type that a source of `network_types` states about the
    chosen ASN. The order is: as of the time by address, as of the time by network, inferred by address, inferred by
    network. A type by network is never merged with others. It is chosen like an ASN, and is inferred if the ASN is.

    Attributes:
        precedence: Names of sources, the most trusted first; other sources follow in alphabetical order.
        fallbacks: Names of sources that come after all others, the most trusted first.
        asn_precedence: Names of sources that come before all others for the ASN.
        country_precedence: Names of sources that come before all others for the country.
        network_types: Types by network; asked only where no source states the kind of network of the address.
        network_max_age: Maximum age of an ASN, a country or a type by network.
        type_max_age: Maximum age of each type.
        max_lag: Maximum time from the sighting to the first statement of an inferred fact; None for no limit.
        type_max_lag: The same for each type; a type without an entry is only limited by max_lag.
        ranking: Chooses the type of an address that has several.

    Raises:
        InvalidPolicy: A type has no maximum age, or a duration is negative.
    """

    precedence: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    asn_precedence: tuple[str, ...] = ()
    country_precedence: tuple[str, ...] = ()
    network_types: NetworkTypes = NO_NETWORK_TYPES
    network_max_age: timedelta = NETWORK_MAX_AGE
    type_max_age: Mapping[IpType, timedelta] = field(default_factory=lambda: TYPE_MAX_AGE)
    max_lag: timedelta | None = None
    type_max_lag: Mapping[IpType, timedelta] = field(default_factory=lambda: TYPE_MAX_LAG)
    ranking: IpTypePriority = field(default_factory=IpTypePriority)

    def __post_init__(self) -> None:
        if set(self.type_max_age) != set(IpType):
            raise InvalidPolicy("every IP type needs a maximum age")
        spans = (self.network_max_age, self.max_lag, *self.type_max_lag.values(), *self.type_max_age.values())
        if any(span is not None and span < timedelta(0) for span in spans):
            raise InvalidPolicy("ages and lags must not be negative")

    def read(self, history: Collection[IpObservation], *, at: datetime) -> IpReading:
        """
        Choose the facts as of a time.

        Args:
            history: The observations of one address, in any order, from any sources.
            at: The time of the sighting, in UTC.

        Returns:
            The reading; its snapshot is "inferred" if at least one of its facts is.
        """
        sources = self._sources(history, at)
        of_asn, of_country = _first_of(sources, self.asn_precedence), _first_of(sources, self.country_precedence)
        asn = self._first_stated(of_asn, partial(_asn_at, at))
        country = self._first_stated(of_country, _country)
        anonymizer = kind = None
        if any(observation.facts.ip_types for observation in history):
            anonymizer, kind = self._highest_ranked(sources, ANONYMIZERS), self._highest_ranked(sources, NETWORK_KINDS)
        if asn is not None and (kind is None or kind.is_inferred) and self.network_types.knows(asn.fact):
            kind = self._earlier(kind, self._type_of_network(asn, at))
        ip_type = self._best({each.fact: each for each in (anonymizer, kind) if each is not None})
        answers = {fact: each for fact, each in zip(FACTS, (asn, country, ip_type), strict=True) if each is not None}
        if not answers:
            return IpReading(
                snapshot=None,
                was_looked_up=bool(history),
                has_expired=any(_states_a_fact(source.before) for source in sources),
                is_too_late=any(_states_a_fact(source.after) for source in sources),
                has_later_asn=bool(self.asns_left_out(history, at=at)),
            )
        chosen = [each.observation for each in answers.values()]
        inferred = [each.observation.observed_at for each in answers.values() if each.is_inferred]
        before = [source.before for source in sources if source.before is not None]
        snapshot = IpSnapshot(
            asn=asn.fact if asn is not None else None,
            country=country.fact if country is not None else None,
            ip_type=ip_type.fact if ip_type is not None else None,
            enrichment_at=max(inferred or [each.confirmed_at(at) for each in (*chosen, *before)]),
            method=Method.INFERRED if inferred else Method.ASOF,
            source=source_text({fact: _label(each.observation, at) for fact, each in answers.items()}),
        )
        return IpReading(snapshot=snapshot, was_looked_up=True)

    def asns_left_out(self, history: Collection[IpObservation], *, at: datetime) -> list[AsnLeftOut]:
        """Return the ASNs of later tables that cannot have been in use at a time yet."""
        found = []
        for source in self._sources(history, at):
            asn = source.after.facts.asn if source.after is not None else None
            since = first_possible_use(asn) if asn is not None else None
            if asn is not None and since is not None and at < since:
                found.append(AsnLeftOut(source=source.name, asn=asn, in_use_since=since))
        return found

    def about_network(self, asn: int | None, *, at: datetime) -> list[IpObservation]:
        """Return what the builds next to a time state about the type of a network; nothing without an ASN."""
        sources = self._sources(self.network_types.about(asn), at)
        return [each for source in sources for each in (source.before, source.after) if each is not None]

    def types_left_out(self, history: Collection[IpObservation], *, at: datetime) -> list[TypeLeftOut]:
        """Return the types that were stated too long before or after a time to be used."""
        left_out = []
        for source in self._sources(history, at):
            before, after = self._type_in(source.before), self._type_in(source.after)
            if source.before is not None and before is not None:
                age, bound = source.age, self.type_max_age[before]
                if age > bound:
                    left_out.append(self._left_out(source.before, before, age, bound, is_after=False))
                elif before in ANONYMIZERS or after in NETWORK_KINDS:
                    continue  # the later type is not needed
            if source.after is not None and after is not None and not self._is_silent(source, after):
                lag_bound = self._lag_of(after)
                if lag_bound is not None and source.lag > lag_bound:
                    left_out.append(self._left_out(source.after, after, source.lag, lag_bound, is_after=True))
        return left_out

    def ages_of(self, observation: IpObservation, later: IpObservation | None) -> Collection[timedelta]:
        """
        Return the ages of an observation at which a reading can change.

        Args:
            observation: The observation before the time.
            later: The first observation of the same source after the time, which *observation* may exclude.
        """
        types = (self._type_in(observation), self._type_in(later))
        return [self.network_max_age, *(self.type_max_age[ip_type] for ip_type in types if ip_type is not None)]

    def lags_of(self, observation: IpObservation) -> Collection[timedelta]:
        """Return the times before an observation at which a reading can change, as lags."""
        ip_type = self._type_in(observation)
        lags = (self.max_lag, self.type_max_lag.get(ip_type) if ip_type is not None else None)
        return [lag for lag in lags if lag is not None]

    def disagreements(self, history: Collection[IpObservation], *, at: datetime) -> Mapping[str, Mapping[str, str]]:
        """
        Return the sources that state different ASNs or countries as of a time.

        Args:
            history: As for `read`.
            at: The time, in UTC.

        Returns:
            By "asn" and "country", the answers of the sources by their names, the most trusted first; a fact on which
            all sources agree, or that only one states, is absent.
        """
        answers: dict[str, dict[str, str]] = {"asn": {}, "country": {}}
        for source in self._sources(history, at):
            for name, fact_in in (("asn", partial(_asn_at, at)), ("country", _country)):
                if (answer := self._first_stated([source], fact_in)) is not None:
                    answers[name][source.name] = str(answer.fact)
        return {name: stated for name, stated in answers.items() if len(set(stated.values())) > 1}

    def moments_of(self, observation: IpObservation) -> Collection[datetime]:
        """Return the times before a later observation at which a reading can change, whatever its date."""
        since = first_possible_use(observation.facts.asn) if observation.facts.asn is not None else None
        return (since,) if since is not None else ()

    def _sources(self, history: Collection[IpObservation], at: datetime) -> list[NearestStatements]:
        """Return the observations of each source next to a time, the most trusted source first."""
        sources = _by_source(history, at)
        if len(sources) == 1:
            return list(sources.values())
        trusted = [sources.pop(name) for name in self.precedence if name in sources]
        fallbacks = [sources.pop(name) for name in self.fallbacks if name in sources]
        return [*trusted, *(sources[name] for name in sorted(sources)), *fallbacks]

    def _type_in(self, observation: IpObservation | None) -> IpType | None:
        """Return the highest-ranked type of an observation."""
        if observation is None or not observation.facts.ip_types:
            return None
        return self.ranking.highest_ranked(observation.facts.ip_types)

    def _lag_of(self, ip_type: IpType) -> timedelta | None:
        """Return the maximum lag of a type; None for no limit."""
        lags = (self.max_lag, self.type_max_lag.get(ip_type))
        return min((lag for lag in lags if lag is not None), default=None)

    def _is_silent(self, source: NearestStatements, ip_type: IpType) -> bool:
        """Whether an observation without a type, or without an anonymizer, before the time still excludes this type."""
        before = self._type_in(source.before)
        if source.before is None or before in ANONYMIZERS or (before is not None and ip_type in NETWORK_KINDS):
            return False
        return source.age <= self.type_max_age[ip_type]

    def _can_be_inferred(self, source: NearestStatements, ip_type: IpType) -> bool:
        return _is_within(source.lag, self._lag_of(ip_type)) and not self._is_silent(source, ip_type)

    def _left_out(
        self, observation: IpObservation, ip_type: IpType, distance: timedelta, bound: timedelta, *, is_after: bool
    ) -> TypeLeftOut:
        others = observation.facts.ip_types - {ip_type}
        return TypeLeftOut(
            source=observation.source,
            ip_type=ip_type,
            others=tuple(kind for kind in self.ranking.ranking if kind in others),
            distance=distance,
            bound=bound,
            is_after=is_after,
        )

    def _first_stated(
        self, sources: Iterable[NearestStatements], fact_in: Callable[[IpObservation], Fact | None]
    ) -> "_Answer[Fact] | None":
        """Choose the ASN or the country of the first source that states it as of the time, else of the first other."""
        inferred = None
        for source in sources:
            if source.before is not None and source.age <= self.network_max_age:
                fact = fact_in(source.before)
                if fact is not None:
                    return _Answer(fact, source.before, is_inferred=False)
            elif inferred is None and source.after is not None and _is_within(source.lag, self.max_lag):
                fact = fact_in(source.after)
                if fact is not None:
                    inferred = _Answer(fact, source.after, is_inferred=True)
        return inferred

    def _type_of_network(self, asn: "_Answer[int]", at: datetime) -> "_Answer[IpType] | None":
        """Choose the type that a source states about the network that an ASN names."""
        stated = self.network_types.about(asn.fact)
        found = self._first_stated(_by_source(stated, at).values(), self._type_in)
        return _Answer(found.fact, found.observation, found.is_inferred or asn.is_inferred) if found else None

    @staticmethod
    def _earlier(
        by_address: "_Answer[IpType] | None", by_network: "_Answer[IpType] | None"
    ) -> "_Answer[IpType] | None":
        """Choose a type by network only if there is no other, or if it alone was stated by the time."""
        if by_network is None or (by_address is not None and by_network.is_inferred):
            return by_address
        return by_network

    def _highest_ranked(
        self, sources: Iterable[NearestStatements], kinds: AbstractSet[IpType]
    ) -> "_Answer[IpType] | None":
        """Choose the highest-ranked type of these kinds that is stated as of the time, else of all later ones."""
        stated: dict[IpType, _Answer[IpType]] = {}
        inferred: dict[IpType, _Answer[IpType]] = {}
        for source in sources:
            before, after = self._type_in(source.before), self._type_in(source.after)
            if source.before and before and before in kinds and source.age <= self.type_max_age[before]:
                stated.setdefault(before, _Answer(before, source.before, is_inferred=False))
            if source.after and after and after in kinds and self._can_be_inferred(source, after):
                inferred.setdefault(after, _Answer(after, source.after, is_inferred=True))
        return self._best(stated or inferred)

    def _best(self, answers: Mapping[IpType, "_Answer[IpType]"]) -> "_Answer[IpType] | None":
        best = self.ranking.highest_ranked(answers)
        return answers[best] if best is not None else None


class _Answer(NamedTuple, Generic[Fact]):
    fact: Fact
    observation: IpObservation
    is_inferred: bool


def _by_source(history: Iterable[IpObservation], at: datetime) -> dict[str, NearestStatements]:
    """Return the observations of each source next to a time, in the order of their first observations."""
    sources: dict[str, NearestStatements] = {}
    for observation in history:
        if observation.source not in sources:
            sources[observation.source] = NearestStatements(observation.source, at)
        sources[observation.source].add(observation)
    return sources


def _first_of(sources: list[NearestStatements], names: tuple[str, ...]) -> list[NearestStatements]:
    """Return the sources with the named ones first, in the order of the names."""
    return sorted(sources, key=lambda s: names.index(s.name) if s.name in names else len(names)) if names else sources


def _asn_at(at: datetime, observation: IpObservation) -> int | None:
    """Return the ASN of an observation; None if a later one states a number that was not in use at the time."""
    asn = observation.facts.asn
    if asn is None or observation.observed_at <= at or can_have_existed(asn, at):
        return asn
    return None


def _country(observation: IpObservation) -> str | None:
    return observation.facts.country


def _is_within(lag: timedelta, max_lag: timedelta | None) -> bool:
    return max_lag is None or lag <= max_lag


def _label(observation: IpObservation, at: datetime) -> str:
    return label_of(observation.source, observation.confirmed_at(at))


def _states_a_fact(observation: IpObservation | None) -> bool:
    return observation is not None and bool(
        observation.facts.asn or observation.facts.country or observation.facts.ip_types
    )
