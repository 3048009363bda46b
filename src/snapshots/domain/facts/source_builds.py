"""Find the facts that each build of a source states about an address, from runs of builds with equal facts."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.build_moment import is_whole_day
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredBuild:
    """
    A registered build, in which addresses are looked up.

    Attributes:
        number: Its position in the order of registration, from 1.
        build: The build.
        is_retracted: Whether it was retracted and is ignored.
    """

    number: int
    build: SourceBuild
    is_retracted: bool = False


def registered_as(build: SourceBuild, registered: Iterable[RegisteredBuild]) -> RegisteredBuild | None:
    """
    Return the registered build that a build is; None if it is new.

    It is one with the same source and moment. If only the day of the build is known, it is also one of that day with
    the same data: older versions stored the start of the day, and a build of today is stored with the time of its
    import.
    """
    for each in registered:
        known = each.build
        if known.name != build.name:
            continue
        if known.built_at == build.built_at:
            return each
        if (
            is_whole_day(build.built_at)
            and known.sha256 == build.sha256
            and known.built_at.date() == build.built_at.date()
        ):
            return each
    return None


def overwritten(registered: Sequence[RegisteredBuild]) -> frozenset[int]:
    """
    Return the numbers of the builds whose file was overwritten by a build that was registered later.

    Args:
        registered: All builds, in the order of registration.
    """
    last = {each.build.origin: each.build for each in registered if each.build.form}
    return frozenset(
        each.number for each in registered if each.build.form and last[each.build.origin].sha256 != each.build.sha256
    )


@dataclass(frozen=True, slots=True)
class BuildCalendar:
    """
    The dates of the builds of every source.

    An observation covers the builds from its first to its last one, except those from which another observation of the
    source begins. For a source without dates here, only the first and the last build of each observation are known.

    Attributes:
        dates: The dates of the valid builds of each source, ascending.
        retracted: The source and date of each retracted build.
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
    def size(self) -> int:
        """Return the number of valid builds."""
        return sum(map(len, self.dates.values()))

    def nearest(
        self, history: Collection[IpObservation], at: datetime, *, known_by_then: bool = False
    ) -> list[IpObservation]:
        """
        Return the observations of each source next to a time.

        Args:
            history: Observations of one address, of any sources, in any order; of each source at least
                the last one that begins at or before the time, and the first one that begins after it.
            at: The time, in UTC.
            known_by_then: Ignore observations that were stored after the time.

        Returns:
            Of each source the newest build at or before the time and the oldest build after it, each as an
            observation of that build alone.
        """
        if known_by_then:
            history = [each for each in history if each.learned_at is not None and each.learned_at <= at]
        return self.address_history(history).nearest(at)

    def address_history(self, observations: Iterable[IpObservation]) -> "AddressHistory":
        """Return the history of one address, to be queried for many times."""
        if self.retracted:
            observations = [each for each in observations if (each.source, each.observed_at) not in self.retracted]
        runs: dict[str, list[IpObservation]] = {}
        for each in observations:
            if each.source in runs:
                runs[each.source].append(each)
            else:
                runs[each.source] = [each]
        for own in runs.values():
            if len(own) > 1:
                own.sort(key=attrgetter("observed_at"))
        return AddressHistory([(self.dates.get(source, ()), own) for source, own in runs.items()])

    def answers(
        self,
        sightings: Collection[Sighting],
        runs: Mapping[IpAddress, Collection[IpObservation]],
        *,
        known_by_then: bool = False,
    ) -> "Answers":
        """Return the observations next to each sighting, as `nearest` returns them from the runs of its address."""
        return Answers(self, [s for s in sightings if s.address in runs], runs, known_by_then=known_by_then)

    def extended(
        self, history: Collection[IpObservation], facts: IpFacts, *, build: SourceBuild
    ) -> list[IpObservation]:
        """
        Return the observations to store when a build is added to *history*.

        Args:
            history: The stored observations of an address from the source of the build.
            facts: The facts that the build states about the address.
            build: The build, older or newer than the stored ones.

        Returns:
            Nothing if the facts are stored already; the previous observation, confirmed until the build; or a new
            observation, followed by the rest of the run that it splits, if it splits one.
        """
        at = build.built_at
        valid = [each for each in history if (each.source, each.observed_at) not in self.retracted]
        before = max((e for e in valid if e.observed_at <= at), key=attrgetter("observed_at"), default=None)
        if before is not None and before.facts.equal(facts):
            return [] if before.confirmed_until >= at else [replace(before, confirmed_until=at)]
        new = IpObservation(source=build.name, observed_at=at, confirmed_until=at, facts=facts)
        if before is None or before.confirmed_until <= at:
            return [new]
        dates = self.dates.get(build.name, ())
        following = bisect_right(dates, at)
        if following == len(dates) or dates[following] > before.confirmed_until:
            return [new]
        again = dates[following]
        if any(at < each.observed_at <= again for each in valid):
            return [new]
        return [new, replace(before, observed_at=again)]


@dataclass(frozen=True, slots=True)
class AddressHistory:
    """
    The observations of one address from all sources.

    Attributes:
        sources: For each source the dates of its builds, ascending, and its observations by `observed_at`.
    """

    sources: Sequence[tuple[Sequence[datetime], Sequence[IpObservation]]]

    def nearest(self, at: datetime) -> list[IpObservation]:
        """Return the observations of each source next to a time, as `BuildCalendar.nearest`."""
        return [found for dates, runs in self.sources for found in _neighbors(dates, runs, at)]


def _neighbors(dates: Sequence[datetime], runs: Sequence[IpObservation], at: datetime) -> Iterator[IpObservation]:
    begun = bisect_right(runs, at, key=attrgetter("observed_at"))
    before = runs[begun - 1] if begun else None
    after = runs[begun] if begun < len(runs) else None
    if before is not None:
        dates = dates or sorted({before.observed_at, before.confirmed_until})
        past = bisect_right(dates, min(at, before.confirmed_until))
        newest = max(before.observed_at, dates[past - 1]) if past else before.observed_at
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
    """Return the observation of one build of a run."""
    if run.observed_at == run.confirmed_until == at:
        return run
    return replace(run, observed_at=at, confirmed_until=at)


class Answers(Mapping[Sighting, Sequence[IpObservation]]):
    """The observations next to each of many sightings, computed on access, because few are accessed."""

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
