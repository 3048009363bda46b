"""Which facts are chosen for one address at one sighting, each from its source."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Generic, TypeVar

from snapshots.domain.errors import InvalidPolicy
from snapshots.domain.ip_type import IpType, IpTypePriority
from snapshots.domain.observation import IpObservation, label_of
from snapshots.domain.snapshot import IpSnapshot, Method

Fact = TypeVar("Fact")

TYPE_MAX_AGE: Mapping[IpType, timedelta] = MappingProxyType(
    {
        IpType.VPN: timedelta(days=14),
        IpType.TOR: timedelta(days=14),
        IpType.PROXY: timedelta(days=14),
        IpType.DATACENTER: timedelta(days=120),
        IpType.RESIDENTIAL: timedelta(days=120),
        IpType.MOBILE: timedelta(days=120),
    }
)
"""How long a type is still believed after it was last stated: Tor exits come and go, buildings stay."""

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
    first source in the order of precedence wins. Types are united over the sources before they are ranked.

    Attributes:
        precedence: Names of sources, the most trusted first; sources not named follow in alphabetical order.
        fallbacks: Names of sources that come after all others, the most trusted first.
        asn_precedence: Names of sources that come before all others for the ASN.
        country_precedence: Names of sources that come before all others for the country.
        network_max_age: The greatest age of an ASN or a country.
        type_max_age: The greatest age of each type.
        max_lag: How long after the moment a fact may have been stated; None for no bound.
        max_type_lag: The same for types; None for no bound but max_lag.
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
    max_type_lag: timedelta | None = None
    ranking: IpTypePriority = field(default_factory=IpTypePriority)

    def __post_init__(self) -> None:
        if set(self.type_max_age) != set(IpType):
            raise InvalidPolicy("every IP type needs a greatest age")
        spans = (self.network_max_age, self.max_lag, self.max_type_lag, *self.type_max_age.values())
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

    def expired_types(self, history: Collection[IpObservation], *, at: datetime) -> list["ExpiredType"]:
        """Return the types that a source stated last by a moment, but too long before it to be believed then."""
        return [
            ExpiredType(ip_type, source.age, self.type_max_age[ip_type])
            for source in self._sources(history, at)
            if source.before is not None
            for ip_type in sorted(source.before.facts.ip_types, key=lambda kind: kind.value)
            if source.age > self.type_max_age[ip_type]
        ]

    def ages_of(self, said: IpObservation, *, has_later: bool) -> Iterable[timedelta]:
        """
        Return the ages at which what is read of an observation becomes another.

        Args:
            said: Made before the moment.
            has_later: Whether its source stated a type after the moment, which is listened to when this is too old.
        """
        yield self.network_max_age
        for ip_type in said.facts.ip_types:
            yield self.type_max_age[ip_type]
        if has_later and not said.facts.ip_types:
            yield self._type_age(None)

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

    def _type_age(self, fact: object) -> timedelta:
        """Return how long a type is believed; for silence about types, as long as any type."""
        return self.type_max_age[fact] if isinstance(fact, IpType) else max(self.type_max_age.values())

    def _type_lag(self) -> timedelta | None:
        return min((lag for lag in (self.max_lag, self.max_type_lag) if lag is not None), default=None)

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
        max_lag = self._type_lag()
        stated: dict[IpType, IpObservation] = {}
        inferred: dict[IpType, IpObservation] = {}
        for source in sources:
            if source.before is not None:
                types, age = source.before.facts.ip_types, source.age
                believed = [ip_type for ip_type in types if age <= self._type_age(ip_type)]
                for ip_type in believed:
                    stated.setdefault(ip_type, source.before)
                if believed or (not types and age <= self._type_age(None)):
                    continue
            if source.after is not None and _is_within(source.lag, max_lag):
                for ip_type in source.after.facts.ip_types:
                    inferred.setdefault(ip_type, source.after)
        for pile, is_inferred in ((stated, False), (inferred, True)):
            best = self.ranking.most_telling(pile)
            if best is not None:
                return _Answer(best, pile[best], is_inferred)
        return None


@dataclass(frozen=True, slots=True)
class ExpiredType:
    """A type that was stated too long before a moment."""

    ip_type: IpType
    age: timedelta
    max_age: timedelta


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
