"""Facts of builds, stored as observations, whatever the order of imports."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.facts.build_moment import end_of_day
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild
from snapshots.domain.facts.source_builds import BuildCalendar, RegisteredBuild, registered_as
from tests.strategies import DAY, HOME, NOON, observed


def build(day: int, source: str = "a") -> SourceBuild:
    return SourceBuild(name=source, built_at=NOON + day * DAY, licence="MIT", sha256="00", origin="bundled")


@dataclass
class RecordedHistory:
    """Builds as they are registered and looked up in, one after the other."""

    builds: list[RegisteredBuild] = field(default_factory=list)
    rows: dict[tuple[str, datetime], IpObservation] = field(default_factory=dict)

    @property
    def calendar(self) -> BuildCalendar:
        return BuildCalendar.of(self.builds)

    def look_up(self, day: int, facts: IpFacts, source: str = "a") -> list[IpObservation]:
        self.builds.append(RegisteredBuild(number=len(self.builds) + 1, build=build(day, source)))
        own = [row for row in self.rows.values() if row.source == source]
        new = self.calendar.extended(own, facts, build=build(day, source))
        self.rows |= {(row.source, row.observed_at): row for row in new}
        return new

    def nearest(self, at: datetime) -> dict[tuple[str, bool], tuple[datetime, IpFacts]]:
        stated = self.calendar.nearest(list(self.rows.values()), at)
        return {(o.source, o.observed_at <= at): (o.observed_at, o.facts) for o in stated}


def registered(built_at: datetime, sha256: str = "00", name: str = "a") -> RegisteredBuild:
    known = SourceBuild(name=name, built_at=built_at, licence="MIT", sha256=sha256, origin="x")
    return RegisteredBuild(number=1, build=known)


@given(st.integers(0, 86_399).map(lambda seconds: NOON.replace(hour=0) + timedelta(seconds=seconds)))
def test_a_day_and_its_data_are_registered_once(at: datetime) -> None:
    """Older versions stored the start of a day, and a list of today has the time of its import."""
    whole_day = registered(end_of_day(at.date())).build

    assert registered_as(whole_day, [registered(at, name="b"), registered(at)]) == registered(at)
    assert registered_as(whole_day, [registered(at, sha256="11")]) is None
    assert registered_as(whole_day, [registered(at + DAY)]) is None
    assert registered_as(registered(at).build, [registered(end_of_day(at.date()))]) is None


def test_builds_of_one_source_on_one_day_differ_by_their_moments() -> None:
    """A list can have the same content an hour later; a moment has one content."""
    assert registered_as(registered(NOON + timedelta(hours=1)).build, [registered(NOON)]) is None
    assert registered_as(registered(NOON, sha256="11").build, [registered(NOON)]) == registered(NOON)


def test_a_newer_build_with_equal_facts_extends_the_observation() -> None:
    """Consecutive builds with equal facts are one row."""
    recorded = RecordedHistory()
    recorded.look_up(0, IpFacts(asn=1))

    assert recorded.look_up(1, IpFacts(asn=1)) == [observed("a", NOON, asn=1, until=NOON + DAY)]


def test_a_newer_build_with_other_facts_begins_a_new_observation() -> None:
    """The network moved."""
    recorded = RecordedHistory()
    recorded.look_up(0, IpFacts(asn=1))

    assert recorded.look_up(1, IpFacts(asn=2)) == [observed("a", NOON + DAY, asn=2)]


def test_an_older_build_imported_later_splits_an_observation() -> None:
    """The facts before it stay, and begin again at the next build."""
    recorded = RecordedHistory()
    recorded.look_up(0, IpFacts(asn=1))
    recorded.look_up(9, IpFacts(asn=1))

    assert recorded.look_up(5, IpFacts(asn=2)) == [
        observed("a", NOON + 5 * DAY, asn=2),
        observed("a", NOON + 9 * DAY, asn=1, until=NOON + 9 * DAY),
    ]


answers = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.integers(0, 8)),
    st.sampled_from([IpFacts(asn=1), IpFacts(asn=2), IpFacts()]),
    max_size=12,
)


@given(stated=answers, order=st.randoms(use_true_random=False), hours=st.integers(-30, 240))
@example(stated={("a", 0): IpFacts(asn=1), ("a", 2): IpFacts(asn=1), ("a", 1): IpFacts(asn=2)}, order=None, hours=36)
def test_builds_imported_in_any_order_are_stored_exactly(
    stated: dict[tuple[str, int], IpFacts], order: object, hours: int
) -> None:
    """Per source: the newest build at or before a time and the oldest one after it, with their facts."""
    keys = list(stated)
    if order is not None:
        order.shuffle(keys)  # type: ignore[attr-defined]  # a random.Random
    recorded = RecordedHistory()
    for source, day in keys:
        recorded.look_up(day, stated[source, day], source)

    at = NOON + timedelta(hours=hours)

    assert recorded.nearest(at) == obvious(stated, at)


def obvious(
    stated: dict[tuple[str, int], IpFacts], at: datetime, withdrawn: frozenset[tuple[str, int]] = frozenset()
) -> dict[tuple[str, bool], tuple[datetime, IpFacts]]:
    """Search all stated facts, as one would by hand."""
    found: dict[tuple[str, bool], tuple[datetime, IpFacts]] = {}
    for (source, day), facts in sorted(stated.items()):
        moment = NOON + day * DAY
        if (source, day) in withdrawn:
            continue
        if moment <= at:
            found[source, True] = (moment, facts)
        else:
            found.setdefault((source, False), (moment, facts))
    return found


def test_facts_learned_later_were_not_known_by_then() -> None:
    """Facts that were true at the time, and facts that were known at the time, are two questions."""
    rows = [replace(observed("a", NOON - DAY, asn=1), learned_at=NOON + DAY), observed("b", NOON - DAY, asn=2)]

    assert [o.source for o in BuildCalendar().nearest(rows, NOON)] == ["a", "b"]
    assert BuildCalendar().nearest(rows, NOON, known_by_then=True) == []
    assert [o.source for o in BuildCalendar().nearest(rows, NOON + 2 * DAY, known_by_then=True)] == ["a"]


def test_without_registered_builds_the_dates_of_observations_are_used() -> None:
    """Such as the enrichment that another loader stored for one address on one day."""
    rows = [observed("a", NOON - 2 * DAY, asn=1, until=NOON + DAY), observed("a", NOON + 2 * DAY, asn=2)]

    nearest = BuildCalendar().nearest(rows, NOON)

    assert [(o.observed_at, o.facts.asn) for o in nearest] == [(NOON - 2 * DAY, 1), (NOON + DAY, 1)]


def test_an_unregistered_build_has_the_date_of_its_observation() -> None:
    """Other builds of its source do not make it older."""
    calendar = BuildCalendar.of([RegisteredBuild(number=1, build=build(-9))])

    nearest = calendar.nearest([observed("a", NOON - DAY, asn=1)], NOON)

    assert [o.observed_at for o in nearest] == [NOON - DAY]


def test_an_observation_is_not_used_beyond_a_build_with_other_facts() -> None:
    """Its stored end stays, but the build in between is respected."""
    recorded = RecordedHistory()
    for day, asn in ((0, 1), (9, 1), (5, 2)):
        recorded.look_up(day, IpFacts(asn=asn))

    assert recorded.nearest(NOON + 2 * DAY) == {
        ("a", True): (NOON, IpFacts(asn=1)),
        ("a", False): (NOON + 5 * DAY, IpFacts(asn=2)),
    }


def test_an_observation_does_not_begin_again_at_a_retracted_build() -> None:
    """The facts of a retracted build do not return."""
    recorded = RecordedHistory()
    recorded.look_up(0, IpFacts(asn=1))
    recorded.look_up(9, IpFacts(asn=1))
    recorded.builds[1] = replace(recorded.builds[1], is_retracted=True)

    assert recorded.look_up(5, IpFacts(asn=2)) == [observed("a", NOON + 5 * DAY, asn=2)]


def test_an_observation_is_split_only_once() -> None:
    """The next build has facts of its own."""
    recorded = RecordedHistory()
    for day, asn in ((0, 1), (9, 1), (5, 2)):
        recorded.look_up(day, IpFacts(asn=asn))

    assert recorded.look_up(3, IpFacts(asn=3)) == [observed("a", NOON + 3 * DAY, asn=3)]


def test_answers_contain_only_the_requested_sightings() -> None:
    """Each of them once."""
    asked, other = (Sighting(address=HOME, seen_at=NOON + n * DAY) for n in range(2))

    answers = BuildCalendar().answers([asked, asked], {HOME: [observed("a", NOON, asn=1)]})

    assert (list(answers), len(answers)) == ([asked], 1)
    assert answers[asked] == [observed("a", NOON, asn=1)]
    assert answers.get(other) is None
