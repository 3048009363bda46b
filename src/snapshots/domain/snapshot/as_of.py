"""Which facts are chosen for one address at one sighting, each from its source."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Generic, TypeVar

from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.facts.ip_type import IpType, IpTypePriority
from snapshots.domain.facts.observation import IpObservation, label_of
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
"""How long a type is still believed after it was last stated: Tor exits come and go, buildings stay."""

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
"""How long an ASN or a country is still believed after it was last stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpReading:
    """
    What reading an address's history gave.

    Attributes:
        snapshot: The facts chosen, ready to be written; None if there are none.
        was_looked_up: Whether any source was ever asked.
        has_expired: Whether there is no snapshot, but a fact was stated too long before the sighting.
        is_too_late: Whether there is no snapshot, but a fact was stated too long after the sighting.
    """

    snapshot: IpSnapshot | None
    was_looked_up: bool
    has_expired: bool = False
    is_too_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOfReader:
    """
    Reads an address's history as of a moment.

    For each fact, every source answers once: with its newest observation at or before the moment if the
    fact is not older than its greatest age ("as of"), else with its oldest observation after it, if that
    is near enough ("inferred"). An answer as of the moment beats every inferred one; among equals the
    first source in the order of precedence wins.

    Of several types that one source states together only the highest-ranked one counts. If that is out of its limits, a
    lower-ranked one is not used instead, or an expired VPN would be read as RESIDENTIAL. The types of all sources are
    merged before they are ranked. An observation without a type excludes a later type of the same source for as long as
    that type would be valid.

    Attributes:
        precedence: Names of sources, the most trusted first; sources not named follow in alphabetical order.
        fallbacks: Names of sources that come after all others, the most trusted first.
        asn_precedence: Names of sources that come before all others for the ASN.
        country_precedence: Names of sources that come before all others for the country.
        network_max_age: The greatest age of an ASN or a country.
        type_max_age: The greatest age of each type.
        max_lag: How long after the moment a fact may have been stated; None for no bound.
        type_max_lag: The same for each type; a type that is not in it is only limited by max_lag.
        ranking: Which type is said of an address that has several.

    Raises:
        InvalidPolicy: A type has no greatest age, or a time span is negative.
    """

    precedence: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    asn_precedence: tuple[str, ...] = ()
    country_precedence: tuple[str, ...] = ()
    network_max_age: timedelta = NETWORK_MAX_AGE
    type_max_age: Mapping[IpType, timedelta] = field(default_factory=lambda: TYPE_MAX_AGE)
    max_lag: timedelta | None = None
    type_max_lag: Mapping[IpType, timedelta] = field(default_factory=lambda: TYPE_MAX_LAG)
    ranking: IpTypePriority = field(default_factory=IpTypePriority)

    def __post_init__(self) -> None:
        if set(self.type_max_age) != set(IpType):
            raise InvalidPolicy("every IP type needs a greatest age")
        spans = (self.network_max_age, self.max_lag, *self.type_max_lag.values(), *self.type_max_age.values())
        if any(span is not None and span < timedelta(0) for span in spans):
            raise InvalidPolicy("ages and lags are not negative")

    def read(self, history: Collection[IpObservation], *, at: datetime) -> IpReading:
        """
        Choose what was known at a moment.

        Args:
            history: Every observation of ONE address, in any order, of any sources.
            at: The time of the sighting, in UTC.

        Returns:
            The reading; its snapshot is "inferred" if any chosen fact is.
        """
        sources = self._sources(history, at)
        of_asn, of_country = _first_of(sources, self.asn_precedence), _first_of(sources, self.country_precedence)
        asn = self._first_stated(of_asn, _asn)
        country = self._first_stated(of_country, _country)
        ip_type = self._most_telling(sources) if any(said.facts.ip_types for said in history) else None
        snapshot = None
        if asn is not None or country is not None or ip_type is not None:
            parts = [answer for answer in (asn, country, ip_type) if answer is not None]
            inferred = [part.said for part in parts if part.is_inferred]
            snapshot = IpSnapshot(
                asn=asn.fact if asn is not None else None,
                country=country.fact if country is not None else None,
                ip_type=ip_type.fact if ip_type is not None else None,
                enrichment_at=(
                    max(said.observed_at for said in inferred)
                    if inferred
                    else max(s.before.heard_at(at) for s in sources if s.before is not None)
                ),
                method=Method.INFERRED if inferred else Method.ASOF,
                source=" ".join(dict.fromkeys(_label(part.said, at) for part in parts)),
            )
        return IpReading(
            snapshot=snapshot,
            was_looked_up=bool(history),
            has_expired=snapshot is None and any(_states_a_fact(source.before) for source in sources),
            is_too_late=snapshot is None and any(_states_a_fact(source.after) for source in sources),
        )

    def types_left_out(self, history: Collection[IpObservation], *, at: datetime) -> list["TypeLeftOut"]:
        """Return the types that were stated too long before or after a moment to be used."""
        left_out = []
        for source in self._sources(history, at):
            before, after = self._type_in(source.before), self._type_in(source.after)
            if source.before is not None and before is not None:
                if source.age <= self.type_max_age[before]:
                    continue
                age, bound = source.age, self.type_max_age[before]
                left_out.append(self._left_out(source.before, before, age, bound, is_after=False))
            if source.after is not None and after is not None and not self._is_silent(source, after):
                lag_bound = self._lag_of(after)
                if lag_bound is not None and source.lag > lag_bound:
                    left_out.append(self._left_out(source.after, after, source.lag, lag_bound, is_after=True))
        return left_out

    def ages_of(self, said: IpObservation, later: IpObservation | None) -> Iterable[timedelta]:
        """
        Return the ages of an observation at which its reading changes.

        Args:
            said: The observation before the moment.
            later: The first observation of the same source after the moment, used when *said* is too old.
        """
        yield self.network_max_age
        ip_type = self._type_in(said) or self._type_in(later)
        if ip_type is not None:
            yield self.type_max_age[ip_type]

    def lags_of(self, said: IpObservation) -> Iterable[timedelta]:
        """Return the times before an observation at which its reading changes."""
        if self.max_lag is not None:
            yield self.max_lag
        ip_type = self._type_in(said)
        if ip_type is not None and ip_type in self.type_max_lag:
            yield self.type_max_lag[ip_type]

    def _sources(self, history: Collection[IpObservation], at: datetime) -> list["_Source"]:
        """Return what stands next to a moment, of each source, the most trusted first."""
        sources: dict[str, _Source] = {}
        for said in history:
            if said.source not in sources:
                sources[said.source] = _Source(said.source, at)
            sources[said.source].hear(said)
        if len(sources) == 1:
            return list(sources.values())
        trusted = [sources.pop(name) for name in self.precedence if name in sources]
        fallbacks = [sources.pop(name) for name in self.fallbacks if name in sources]
        return [*trusted, *(sources[name] for name in sorted(sources)), *fallbacks]

    def _type_in(self, said: IpObservation | None) -> IpType | None:
        """Return the highest-ranked type of an observation."""
        return self.ranking.most_telling(said.facts.ip_types) if said is not None else None

    def _lag_of(self, ip_type: IpType) -> timedelta | None:
        """Return how long after the moment a type may have been stated."""
        lags = (self.max_lag, self.type_max_lag.get(ip_type))
        return min((lag for lag in lags if lag is not None), default=None)

    def _is_silent(self, source: "_Source", ip_type: IpType) -> bool:
        """Whether an observation without a type before the moment still excludes this type."""
        if source.before is None or source.before.facts.ip_types:
            return False
        return source.age <= self.type_max_age[ip_type]

    def _left_out(
        self, said: IpObservation, ip_type: IpType, distance: timedelta, bound: timedelta, *, is_after: bool
    ) -> "TypeLeftOut":
        others = said.facts.ip_types - {ip_type}
        return TypeLeftOut(
            source=said.source,
            ip_type=ip_type,
            others=tuple(kind for kind in self.ranking.ranking if kind in others),
            distance=distance,
            bound=bound,
            is_after=is_after,
        )

    def _first_stated(
        self, sources: Iterable["_Source"], fact_in: Callable[[IpObservation], Fact | None]
    ) -> "_Answer[Fact] | None":
        """Choose an ASN or a country: of the first source that states one as of the moment, else of the first other."""
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

    def _most_telling(self, sources: Iterable["_Source"]) -> "_Answer[IpType] | None":
        """Choose a type: of all that sources state as of the moment, else of all others."""
        stated: dict[IpType, IpObservation] = {}
        inferred: dict[IpType, IpObservation] = {}
        for source in sources:
            before, after = self._type_in(source.before), self._type_in(source.after)
            if source.before is not None and before is not None and source.age <= self.type_max_age[before]:
                stated.setdefault(before, source.before)
            elif (
                source.after is not None
                and after is not None
                and _is_within(source.lag, self._lag_of(after))
                and not self._is_silent(source, after)
            ):
                inferred.setdefault(after, source.after)
        for pile, is_inferred in ((stated, False), (inferred, True)):
            best = self.ranking.most_telling(pile)
            if best is not None:
                return _Answer(best, pile[best], is_inferred)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeLeftOut:
    """
    A type that was stated too long before or after a moment to be used.

    Attributes:
        source: The name of the source.
        ip_type: The highest-ranked of the types that it stated together.
        others: The lower-ranked ones, which are not used instead.
        distance: How long before or after the moment it was stated.
        bound: The limit for this.
        is_after: Whether it was stated after the moment.
    """

    source: str
    ip_type: IpType
    others: tuple[IpType, ...]
    distance: timedelta
    bound: timedelta
    is_after: bool


class _Source:
    """The two observations of one source that stand next to a moment."""

    __slots__ = ("_at", "after", "before", "name")

    def __init__(self, name: str, at: datetime) -> None:
        self.name = name
        self._at = at
        self.before: IpObservation | None = None
        self.after: IpObservation | None = None

    def hear(self, said: IpObservation) -> None:
        """Take an observation that stands nearer."""
        if said.observed_at > self._at:
            if self.after is None or said.observed_at < self.after.observed_at:
                self.after = said
        elif self.before is None or said.observed_at > self.before.observed_at:
            self.before = said

    @property
    def age(self) -> timedelta:
        """Return how long before the moment the source last said what it said before it."""
        if self.before is None or self.before.confirmed_until >= self._at:
            return timedelta(0)
        return self._at - self.before.confirmed_until

    @property
    def lag(self) -> timedelta:
        """Return how long after the moment the source first said what it said after it."""
        return self.after.observed_at - self._at if self.after is not None else timedelta(0)


@dataclass(frozen=True, slots=True)
class _Answer(Generic[Fact]):
    fact: Fact
    said: IpObservation
    is_inferred: bool


def _first_of(sources: list[_Source], names: tuple[str, ...]) -> list[_Source]:
    """Return sources with the named ones first, in the order of the names."""
    return sorted(sources, key=lambda s: names.index(s.name) if s.name in names else len(names)) if names else sources


def _asn(said: IpObservation) -> int | None:
    return said.facts.asn


def _country(said: IpObservation) -> str | None:
    return said.facts.country


def _is_within(lag: timedelta, max_lag: timedelta | None) -> bool:
    return max_lag is None or lag <= max_lag


def _label(said: IpObservation, at: datetime) -> str:
    return label_of(said.source, said.heard_at(at))


def _states_a_fact(said: IpObservation | None) -> bool:
    return said is not None and bool(said.facts.asn or said.facts.country or said.facts.ip_types)
