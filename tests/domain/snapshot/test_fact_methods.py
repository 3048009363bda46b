"""How near each fact is to the attack, read from the provenance of a snapshot."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import NetworkTypes
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.fact_methods import Distance, FactMethod, fact_methods, methods_by_fact, source_text
from snapshots.domain.snapshot.provenance import FACTS
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME
from tests.strategies import DAY, NOON, histories, moments, network_types

ASOF, INFERRED = Method.ASOF, Method.INFERRED
HELD = IpSnapshot(asn=1, country="DE", ip_type=IpType.TOR, enrichment_at=NOON, method=INFERRED, source="")


def methods(source: str, **facts: object) -> dict[str, Method]:
    found = fact_methods(replace(HELD, source=source, **facts), NOON)  # type: ignore[arg-type]  # facts of a snapshot
    return {fact: each.method for fact, each in found.items()}


@given(histories(), network_types(), moments)
def test_each_fact_has_the_method_with_which_it_was_chosen(
    history: list[IpObservation], types: NetworkTypes, at: object
) -> None:
    """The method of the row is the weakest of its facts, and a fact alone has the same one as in the whole."""
    assert isinstance(at, type(NOON))
    reader = AsOfReader(network_types=types)
    snapshot = reader.read(history, at=at).snapshot
    if snapshot is None:
        return

    found = fact_methods(snapshot, at)

    stated = {"asn": snapshot.asn, "country": snapshot.country, "ip_type": snapshot.ip_type}
    assert found.keys() == {fact for fact, value in stated.items() if value is not None}
    assert (INFERRED in {each.method for each in found.values()}) is (snapshot.method is INFERRED)
    by_then = reader.read([o for o in history if o.observed_at <= at], at=at).snapshot
    for fact, each in found.items():
        if fact != "ip_type":
            assert (each.method is ASOF) is (by_then is not None and getattr(by_then, fact) is not None)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a@2026-02-28 b@2026-03-02 c@2026-03-03", (ASOF, INFERRED, INFERRED)),
        ("a@2026-03-02 a@2026-03-02 c@2026-02-28", (INFERRED, INFERRED, ASOF)),
        ("a@2026-03-01T12:00 a@2026-03-01T12:01 a@2026-03-01T12:00:01", (ASOF, INFERRED, INFERRED)),
        ("a@2026-03-01 a@2026-02-28 a@2026-02-28", (INFERRED, ASOF, ASOF)),
        ("a@2026-02-28 a@2026-03-01 network-types@2026-02-28", (ASOF, INFERRED, ASOF)),
        ("a@2026-03-01 a@2026-02-28 network-types@2026-02-28", (INFERRED, ASOF, INFERRED)),
        # of older versions, which named each build once
        ("a@2026-03-02", (INFERRED, INFERRED, INFERRED)),
        ("a@2026-02-28 c@2026-03-02", (ASOF, ASOF, INFERRED)),
    ],
)
def test_a_fact_is_inferred_if_its_build_is_from_after_the_attack(
    source: str, expected: tuple[Method, Method, Method]
) -> None:
    """A bare date is the end of its day; a type by network needs its network as of the attack too."""
    assert tuple(methods(source).values()) == expected


@given(st.lists(st.sampled_from(["a@2026-03-01", "b@2026-03-01", "c@2026-03-01"]), min_size=3, max_size=3), st.data())
def test_the_provenance_shows_which_build_states_which_fact(labels: list[str], data: st.DataObject) -> None:
    """With as few labels as possible."""
    known = data.draw(st.lists(st.sampled_from(FACTS), min_size=1, unique=True).map(sorted))
    stated = dict(zip(known, labels, strict=False))
    facts = {"asn": 1, "country": "DE", "ip_type": IpType.TOR}
    held = replace(HELD, **{fact: facts[fact] if fact in stated else None for fact in FACTS})  # type: ignore[arg-type]

    found = fact_methods(replace(held, source=source_text(stated)), NOON)

    assert {fact: each.label for fact, each in found.items()} == stated
    if len(set(stated.values())) == 1:
        assert " " not in source_text(stated)


def test_missing_facts_have_no_build() -> None:
    """The builds are in the order of the known facts."""
    assert methods("a@2026-02-28 b@2026-03-02", asn=None) == {"country": ASOF, "ip_type": INFERRED}
    assert methods("a@2026-02-28 b@2026-03-02", ip_type=None) == {"asn": ASOF, "country": INFERRED}
    assert methods("b@2026-03-02", asn=None, country=None) == {"ip_type": INFERRED}
    assert methods("") == {}


def test_corrected_facts_have_the_method_of_the_row() -> None:
    """An operator and another loader are no builds with a distance."""
    for method in (Method.CORRECTED, Method.ADOPTED):
        found = fact_methods(replace(HELD, method=method, source="operator@2026-03-01"), NOON)
        assert set(found.values()) == {FactMethod(method)}
    assert fact_methods(replace(HELD, method=ASOF, source="a@2026-03-05"), NOON)["asn"].method is ASOF


@pytest.mark.parametrize(
    ("days", "distance"),
    [
        (-91, Distance.BEFORE_LONGER),
        (-90, Distance.BEFORE_90_DAYS),
        (180, Distance.AFTER_180_DAYS),
        (181, Distance.AFTER_2_YEARS),
        (730, Distance.AFTER_2_YEARS),
        (731, Distance.AFTER_LONGER),
    ],
)
def test_facts_are_classified_by_their_days_from_the_attack(days: int, distance: Distance) -> None:
    """The boundary belongs to the nearer class."""
    stamp = (NOON + timedelta(days=days)).date()
    found = fact_methods(replace(HELD, source=f"a@{stamp} a@{stamp} a@{stamp}"), NOON)

    assert {each.distance for each in found.values()} == {distance}
    assert distance.text.startswith(("up to", "longer"))


@pytest.mark.parametrize("seen", ["", "9999-12-31T00:00:00", "0001-01-01"])
@pytest.mark.parametrize("label", ["a", "a@", "a@no-date", "@"])
def test_a_damaged_label_or_time_is_no_error(label: str, seen: str) -> None:
    """Verify reports the row; explain and coverage must still work."""
    for method in (ASOF, INFERRED):
        found = methods_by_fact(("asn", "ip_type"), method, f"{label} {label}", seen)
        assert found.keys() == {"asn", "ip_type"}


days_seen = st.integers(-900, 900).map(lambda n: NOON + n * DAY) | st.sampled_from(
    [MIN_TIME, MIN_TIME + 90 * DAY, MAX_TIME - 730 * DAY, MAX_TIME - 180 * DAY, MAX_TIME]
)
stamps = st.sampled_from(["", "no-date", "2026-03-01", "2026-03-01T12:00", "0001-01-01", "9999-12-31"])


@given(
    st.lists(days_seen, min_size=2, max_size=9),
    st.sampled_from([ASOF, INFERRED]),
    st.lists(stamps.map("a@{}".format), max_size=2),
    stamps.map("network-types@{}".format),
)
def test_attacks_between_two_that_are_equally_far_from_a_build_are_as_far_from_it(
    seen: list[datetime], method: Method, labels: list[str], of_type: str
) -> None:
    """Also at the ends of the calendar and for damaged labels: coverage reads the first and the last attack alone."""
    snapshot = replace(HELD, method=method, source=" ".join([*labels, of_type]))

    found = [fact_methods(snapshot, at) for at in sorted(seen)]

    assert len(list(groupby(found))) == len(set(map(str, found)))


def test_the_distance_of_a_type_by_network_is_that_of_the_later_of_its_network_and_its_list() -> None:
    """Otherwise a list of today would make the guess of a network look near."""
    late = (NOON + 999 * DAY).date()
    found = fact_methods(replace(HELD, source=f"a@{late} a@{late} network-types@2026-02-28"), NOON)

    assert (found["ip_type"].distance, found["ip_type"].is_by_network) == (Distance.AFTER_LONGER, True)
