"""What builds said, remembered as runs, whatever the order in which they came."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild
from snapshots.domain.facts.source_builds import BuildCalendar, RegisteredBuild
from tests.strategies import DAY, HOME, NOON, observed


def build(day: int, source: str = "a") -> SourceBuild:
    return SourceBuild(name=source, built_at=NOON + day * DAY, licence="MIT", sha256="00", origin="bundled")


@dataclass
class Remembered:
    """Builds as they are registered and looked up in, one after the other."""

    builds: list[RegisteredBuild] = field(default_factory=list)
    rows: dict[tuple[str, datetime], IpObservation] = field(default_factory=dict)

    @property
    def calendar(self) -> BuildCalendar:
        return BuildCalendar.of(self.builds)

    def look_up(self, day: int, facts: IpFacts, source: str = "a") -> list[IpObservation]:
        self.builds.append(RegisteredBuild(number=len(self.builds) + 1, build=build(day, source)))
        own = [row for row in self.rows.values() if row.source == source]
        new = self.calendar.extended(own, HOME, facts, build=build(day, source))
        self.rows |= {(row.source, row.observed_at): row for row in new}
        return new

    def nearest(self, at: datetime) -> dict[tuple[str, bool], tuple[datetime, IpFacts]]:
        said = self.calendar.nearest(list(self.rows.values()), at)
        return {(o.source, o.observed_at <= at): (o.observed_at, o.facts) for o in said}


def test_a_newer_build_that_says_the_same_confirms() -> None:
    """A run of equal builds is one row."""
    told = Remembered()
    told.look_up(0, IpFacts(asn=1))

    assert told.look_up(1, IpFacts(asn=1)) == [observed("a", NOON, asn=1, until=NOON + DAY)]


def test_a_newer_build_that_says_otherwise_begins_a_new_run() -> None:
    """The network moved."""
    told = Remembered()
    told.look_up(0, IpFacts(asn=1))

    assert told.look_up(1, IpFacts(asn=2)) == [observed("a", NOON + DAY, asn=2)]


def test_an_older_build_imported_later_parts_a_run() -> None:
    """What the run said before it stays, and begins again at the next build."""
    told = Remembered()
    told.look_up(0, IpFacts(asn=1))
    told.look_up(9, IpFacts(asn=1))

    assert told.look_up(5, IpFacts(asn=2)) == [
        observed("a", NOON + 5 * DAY, asn=2),
        observed("a", NOON + 9 * DAY, asn=1, until=NOON + 9 * DAY),
    ]


answers = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.integers(0, 8)),
    st.sampled_from([IpFacts(asn=1), IpFacts(asn=2), IpFacts()]),
    max_size=12,
)


@given(said=answers, order=st.randoms(use_true_random=False), hours=st.integers(-30, 240))
@example(said={("a", 0): IpFacts(asn=1), ("a", 2): IpFacts(asn=1), ("a", 1): IpFacts(asn=2)}, order=None, hours=36)
def test_builds_in_any_order_are_remembered_exactly(
    said: dict[tuple[str, int], IpFacts], order: object, hours: int
) -> None:
    """Of each source: its newest build at or before a moment, its oldest after it, and what each said."""
    keys = list(said)
    if order is not None:
        order.shuffle(keys)  # type: ignore[attr-defined]  # a random.Random
    told = Remembered()
    for source, day in keys:
        told.look_up(day, said[source, day], source)

    at = NOON + timedelta(hours=hours)

    assert told.nearest(at) == obvious(said, at)


def obvious(
    said: dict[tuple[str, int], IpFacts], at: datetime, withdrawn: frozenset[tuple[str, int]] = frozenset()
) -> dict[tuple[str, bool], tuple[datetime, IpFacts]]:
    """Look through all that was said, as one would by hand."""
    found: dict[tuple[str, bool], tuple[datetime, IpFacts]] = {}
    for (source, day), facts in sorted(said.items()):
        moment = NOON + day * DAY
        if (source, day) in withdrawn:
            continue
        if moment <= at:
            found[source, True] = (moment, facts)
        else:
            found.setdefault((source, False), (moment, facts))
    return found


def test_what_was_learned_later_was_not_known_then() -> None:
    """True then, and known then, are two questions."""
    rows = [replace(observed("a", NOON - DAY, asn=1), learned_at=NOON + DAY), observed("b", NOON - DAY, asn=2)]

    assert [o.source for o in BuildCalendar().nearest(rows, NOON)] == ["a", "b"]
    assert BuildCalendar().nearest(rows, NOON, known_by_then=True) == []
    assert [o.source for o in BuildCalendar().nearest(rows, NOON + 2 * DAY, known_by_then=True)] == ["a"]


def test_a_source_without_registered_builds_states_each_observation_by_itself() -> None:
    """Such as what another loader's enrichment said of one address on one day."""
    rows = [observed("a", NOON - 2 * DAY, asn=1, until=NOON + DAY), observed("a", NOON + 2 * DAY, asn=2)]

    nearest = BuildCalendar().nearest(rows, NOON)

    assert [(o.observed_at, o.facts.asn) for o in nearest] == [(NOON - 2 * DAY, 1), (NOON + DAY, 1)]


def test_a_build_that_was_not_registered_is_as_old_as_it_says() -> None:
    """Other builds of its source do not make it older."""
    calendar = BuildCalendar.of([RegisteredBuild(number=1, build=build(-9))])

    nearest = calendar.nearest([observed("a", NOON - DAY, asn=1)], NOON)

    assert [o.observed_at for o in nearest] == [NOON - DAY]


def test_a_run_into_which_another_build_came_is_not_told_beyond_it() -> None:
    """Its end stays where it was, but what came between is told."""
    told = Remembered()
    for day, asn in ((0, 1), (9, 1), (5, 2)):
        told.look_up(day, IpFacts(asn=asn))

    assert told.nearest(NOON + 2 * DAY) == {
        ("a", True): (NOON, IpFacts(asn=1)),
        ("a", False): (NOON + 5 * DAY, IpFacts(asn=2)),
    }


def test_a_run_whose_end_was_withdrawn_does_not_begin_again_there() -> None:
    """What a retracted build said does not come back."""
    told = Remembered()
    told.look_up(0, IpFacts(asn=1))
    told.look_up(9, IpFacts(asn=1))
    told.builds[1] = replace(told.builds[1], is_retracted=True)

    assert told.look_up(5, IpFacts(asn=2)) == [observed("a", NOON + 5 * DAY, asn=2)]


def test_a_run_that_was_parted_already_does_not_begin_again_twice() -> None:
    """The next build has a word of its own."""
    told = Remembered()
    for day, asn in ((0, 1), (9, 1), (5, 2)):
        told.look_up(day, IpFacts(asn=asn))

    assert told.look_up(3, IpFacts(asn=3)) == [observed("a", NOON + 3 * DAY, asn=3)]


def test_answers_are_told_for_the_sightings_that_were_asked_about() -> None:
    """And for no others."""
    asked, other = (Sighting(address=HOME, seen_at=NOON + n * DAY) for n in range(2))

    answers = BuildCalendar().answers([asked, asked], {HOME: [observed("a", NOON, asn=1)]})

    assert (list(answers), len(answers)) == ([asked], 1)
    assert answers[asked] == [observed("a", NOON, asn=1)]
    assert answers.get(other) is None
