"""What each build of a source said of an address, told from runs of builds that said the same."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild

FEW_BUILDS = 12
"""So many builds of all sources together: what is read of an address changes with each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredBuild:
    """
    A build that addresses are looked up in.

    Attributes:
        number: In which order it was registered, from 1.
        build: Which one.
        is_retracted: Whether it was withdrawn, as if it had never been made.
    """

    number: int
    build: SourceBuild
    is_retracted: bool = False


@dataclass(frozen=True, slots=True)
class BuildCalendar:
    """
    The dates of the builds of every source.

    An observation is a run of builds: it was said from its first build to its last, but not by builds that
    another observation begins at. A source without dates here states each observation by itself.

    Attributes:
        dates: The builds of each source that count, ascending.
        retracted: The builds that do not.
    """

    dates: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    retracted: frozenset[tuple[str, datetime]] = frozenset()

    @classmethod
    def of(cls, builds: Iterable[RegisteredBuild]) -> "BuildCalendar":
        """Return the calendar of *builds*, in any order."""
        dates: dict[str, list[datetime]] = {}
        retracted = set()
        for registered in builds:
            name, at = registered.build.name, registered.build.built_at
            own = dates.setdefault(name, [])
            if registered.is_retracted:
                retracted.add((name, at))
            else:
                own.append(at)
        return cls({name: sorted(own) for name, own in dates.items()}, frozenset(retracted))

    @property
    def is_short(self) -> bool:
        """Whether there are so few builds that all of an address's time can be judged at once."""
        return sum(map(len, self.dates.values())) <= FEW_BUILDS

    def nearest(
        self, history: Collection[IpObservation], at: datetime, *, known_by_then: bool = False
    ) -> list[IpObservation]:
        """
        Return what each source said next to a moment.

        Args:
            history: Observations of one address, of any sources, in any order; of each source at least
                the last that begins at or before the moment, and the first that begins after it.
            at: The moment, in UTC.
            known_by_then: Leave out what was learned only after the moment.

        Returns:
            Of each source its newest build at or before the moment, and its oldest after it, each as an
            observation of that one build.
        """
        if known_by_then:
            history = [said for said in history if said.learned_at is not None and said.learned_at <= at]
        return self.told(history).nearest(at)

    def told(self, history: Iterable[IpObservation]) -> "AddressHistory":
        """Return what the builds of every source tell of one address, to be asked for many moments."""
        runs: dict[str, list[IpObservation]] = {}
        for said in history:
            if (said.source, said.observed_at) not in self.retracted:
                runs.setdefault(said.source, []).append(said)
        for own in runs.values():
            own.sort(key=lambda said: said.observed_at)
        return AddressHistory([(self.dates.get(source, ()), own) for source, own in runs.items()])

    def answers(
        self,
        sightings: Collection[Sighting],
        runs: Mapping[IpAddress, Collection[IpObservation]],
        *,
        known_by_then: bool = False,
    ) -> "Answers":
        """Return what was said next to each sighting, as `nearest` tells it from the runs of its address."""
        return Answers(self, [s for s in sightings if s.address in runs], runs, known_by_then=known_by_then)

    def extended(
        self, history: Collection[IpObservation], address: IpAddress, facts: IpFacts, *, build: SourceBuild
    ) -> list[IpObservation]:
        """
        Return the observations that add to *history* what a build says.

        Args:
            history: What is held of this address from the build's source.
            address: The address that was looked up.
            facts: What the build says of it.
            build: The build, older or newer than what is held.

        Returns:
            Nothing, if that is held already; the observation before it, confirmed until the build; or a
            new one, and another that says again after it what the run said into which it was made.
        """
        at = build.built_at
        live = [said for said in history if (said.source, said.observed_at) not in self.retracted]
        before = max((said for said in live if said.observed_at <= at), key=lambda said: said.observed_at, default=None)
        says_the_same = before is not None and before.facts.equal(facts)
        if before is not None and says_the_same:
            return [] if before.confirmed_until >= at else [replace(before, confirmed_until=at)]
        new = IpObservation(address=address, source=build.name, observed_at=at, confirmed_until=at, facts=facts)
        if before is None or before.confirmed_until <= at:
            return [new]
        dates = self.dates.get(build.name, ())
        following = bisect_right(dates, at)
        if following == len(dates) or dates[following] > before.confirmed_until:
            return [new]
        again = dates[following]
        if any(at < said.observed_at <= again for said in live):
            return [new]
        return [new, replace(before, observed_at=again)]


@dataclass(frozen=True, slots=True)
class AddressHistory:
    """
    What the builds of every source tell of one address.

    Attributes:
        sources: Of each its dates, ascending, and the runs of builds that said the same, in their order.
    """

    sources: Sequence[tuple[Sequence[datetime], Sequence[IpObservation]]]

    def nearest(self, at: datetime) -> list[IpObservation]:
        """Return what each source said next to a moment, as `BuildCalendar.nearest` does."""
        return [said for dates, runs in self.sources for said in _neighbours(dates, runs, at)]


def _neighbours(dates: Sequence[datetime], runs: Sequence[IpObservation], at: datetime) -> Iterator[IpObservation]:
    begun = bisect_right(runs, at, key=attrgetter("observed_at"))
    before = runs[begun - 1] if begun else None
    after = runs[begun] if begun < len(runs) else None
    if before is not None:
        dates = dates or sorted({before.observed_at, before.confirmed_until})
        heard = bisect_right(dates, min(at, before.confirmed_until))
        newest = max(before.observed_at, dates[heard - 1]) if heard else before.observed_at
        yield _of_build(before, newest)
        next_ = bisect_right(dates, at)
        if next_ < len(dates) and dates[next_] <= before.confirmed_until:
            again = dates[next_]
            if after is None or again < after.observed_at:
                yield _of_build(before, again)
                return
    if after is not None:
        yield _of_build(after, after.observed_at)


def _of_build(run: IpObservation, at: datetime) -> IpObservation:
    """Return what one build of a run said."""
    if run.observed_at == run.confirmed_until == at:
        return run
    return replace(run, observed_at=at, confirmed_until=at)


class Answers(Mapping[Sighting, Sequence[IpObservation]]):
    """What was said next to each of many sightings, told when it is asked for: few of them are."""

    def __init__(
        self,
        calendar: BuildCalendar,
        sightings: Sequence[Sighting],
        runs: Mapping[IpAddress, Collection[IpObservation]],
        *,
        known_by_then: bool,
    ) -> None:
        self._calendar = calendar
        self._sightings = dict.fromkeys(sightings)
        self._runs = runs
        self._known_by_then = known_by_then

    def __getitem__(self, sighting: Sighting) -> Sequence[IpObservation]:
        if sighting not in self._sightings:
            raise KeyError(sighting)
        runs = self._runs[sighting.address]
        return self._calendar.nearest(runs, sighting.seen_at, known_by_then=self._known_by_then)

    def __iter__(self) -> Iterator[Sighting]:
        return iter(self._sightings)

    def __len__(self) -> int:
        return len(self._sightings)
