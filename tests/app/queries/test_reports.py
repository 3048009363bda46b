"""How a report counts as-of and inferred facts, and the source of each fact of a snapshot."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given

from snapshots.app.queries.inventory_reports import circular_text
from snapshots.app.queries.reports import (
    CoverageReport,
    FactCounts,
    KnownSource,
    builds_by_source,
    heaviest_text,
    methods_text,
    nearness_lines,
)
from snapshots.app.queries.session_queries import Dimension
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpObservation, label_of
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.fact_methods import Distance, FactMethod
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.provenance import sources_of
from snapshots.domain.snapshot.snapshot import Method
from tests.strategies import DAY, NOON, histories, moments, observed, snapshot


def test_builds_of_a_source_are_one_row() -> None:
    """Of an hourly list there are thousands; another license is another row."""
    days = [("dbip@2026-09-01", 1, "CC"), ("list@2026-09-01", 1, "own"), ("list@2026-09-02T12:00", 2, "own")]
    found = builds_by_source(
        [
            KnownSource(label=label, built_on=date(2026, 9, day), licence=licence, origin="")
            for label, day, licence in [*days, ("list@2026-09-03", 3, "MIT")]
        ]
    )

    assert [(each.name, each.days, each.licence) for each in found] == [
        ("dbip@2026-09-01", "2026-09-01", "CC"),
        ("list, 2 builds", "2026-09-01 to 2026-09-02", "own"),
        ("list@2026-09-03", "2026-09-03", "MIT"),
    ]


def test_counts_by_all_facts_are_added_up_for_some() -> None:
    """The largest group is first; of equal ones the least value, an ASN as a number, and unknown ones last."""
    counts = FactCounts(
        sessions={
            (9, "DE", "asof", "VPN", "address", "asof"): 2,
            (9, "FR", "inferred", None, None, None): 3,
            (10, "DE", "inferred", None, None, None): 5,
            (None, None, None, "VPN", "network", "inferred"): 5,
        },
        addresses={},
    )

    def sizes(*by: Dimension) -> list[tuple[tuple[str | None, ...], int]]:
        return [(group.values, group.sessions) for group in counts.groups(*by)]

    assert sizes(Dimension.ASN) == [(("9",), 5), (("10",), 5), ((None,), 5)]
    assert sizes(Dimension.IP_TYPE, Dimension.COUNTRY) == [
        (("VPN", None), 5),
        ((None, "DE"), 5),
        ((None, "FR"), 3),
        (("VPN", "DE"), 2),
    ]


def test_how_near_facts_are_is_shown_for_each_fact() -> None:
    """One inferred fact does not hide that another is as of the attack."""
    by_network = FactMethod(Method.INFERRED, distance=Distance.AFTER_LONGER, is_by_network=True)
    facts = {"asn": FactMethod(Method.ASOF, distance=Distance.BEFORE_90_DAYS), "ip_type": by_network}

    assert nearness_lines(Coverage.of([CoverageCase(count=1_000, facts=facts, method=Method.INFERRED)])) == [
        "ASN stated up to 90 days before the attack (1,000)",
        "IP type stated longer after the attack (1,000)",
        "IP type known by address (0), by network (1,000)",
    ]
    assert nearness_lines(Coverage()) == []


def test_addresses_are_shown_with_sessions() -> None:
    """Two addresses may have most of the sessions."""
    facts = {"ip_type": FactMethod(Method.ASOF, distance=Distance.BEFORE_90_DAYS)}
    sessions, addresses = (
        Coverage.of([CoverageCase(count=count, facts=facts, method=Method.ASOF)]) for count in (1_000, 1)
    )

    assert nearness_lines(sessions, addresses) == [
        "IP type stated up to 90 days before the attack (1,000 sessions, 1 address)",
        "IP type known by address (1,000 sessions, 1 address), by network (0 sessions, 0 addresses)",
    ]


def test_inferred_facts_are_counted_separately_from_asof_facts() -> None:
    """Every session is counted in exactly one of them."""
    cases = [
        CoverageCase(count=1, facts={"asn": FactMethod(Method.ASOF)}, method=Method.ASOF),
        CoverageCase(count=5, facts={"asn": FactMethod(Method.INFERRED)}, method=Method.INFERRED),
        CoverageCase(count=2, facts={"asn": FactMethod(Method.CORRECTED)}, method=Method.CORRECTED),
        CoverageCase(count=2, gap=Gap.NOTHING_KNOWN),
    ]

    assert methods_text(Coverage.of(cases)) == (
        "known for 80.0% of 10 sessions: 10.0% with every known fact as of the attack,"
        " 50.0% with a fact from a table made after the attack, 20.0% corrected or adopted"
    )
    assert methods_text(Coverage.of(cases), "asn") == (
        "known for 80.0% of 10 sessions: 10.0% as of the attack, 50.0% from a table made after the attack,"
        " 20.0% corrected or adopted"
    )
    assert methods_text(Coverage.of(cases), "country") == "known for 0.0% of 10 sessions"
    assert methods_text(Coverage()) == "no sessions"


def test_each_fact_has_its_own_source_and_date() -> None:
    """The date is that of the build that stated the fact, not the newest date of the snapshot."""
    history = [
        observed("tables", NOON - 9 * DAY, asn=64500, country="DE", until=NOON - 2 * DAY),
        observed("types", NOON + 3 * DAY, types=frozenset({IpType.TOR})),
        observed("silent", NOON - DAY),
    ]
    held = AsOfReader().read(history, at=NOON).snapshot
    assert held is not None

    stated = sources_of(held, history, NOON)

    assert {fact: (by.name, by.stated_at) for fact, by in stated.items()} == {
        "asn": ("tables", NOON - 2 * DAY),
        "country": ("tables", NOON - 2 * DAY),
        "ip_type": ("types", NOON + 3 * DAY),
    }


@given(histories(), moments)
def test_the_source_of_every_fact_is_found(history: list[IpObservation], at: datetime) -> None:
    """For any history, each fact of the snapshot has one of its named sources."""
    held = AsOfReader().read(history, at=at).snapshot
    if held is None:
        return
    stated = sources_of(held, history, at)

    facts = {"asn": held.asn, "country": held.country, "ip_type": held.ip_type}
    assert stated.keys() == {name for name, fact in facts.items() if fact is not None}
    assert {label_of(by.name, by.stated_at) for by in stated.values()} <= set(held.source.split())


def test_a_fact_that_no_observation_states_any_more_has_no_source() -> None:
    """Such as one that an operator corrected, or of a table that was retracted."""
    assert sources_of(replace(snapshot(), method=Method.CORRECTED, source="operator@2026-03-01"), [], NOON) == {}


@pytest.mark.parametrize(
    ("addresses", "text"),
    [(6, "The 5 addresses with most sessions have 90.0% of the sessions"), (5, ""), (0, "")],
)
def test_the_share_of_the_heaviest_addresses_is_stated_if_there_are_others(addresses: int, text: str) -> None:
    """Of at most five addresses it would be all."""
    total = 10 if addresses else 0
    report = CoverageReport(
        sessions=Coverage(total=total), addresses=Coverage(total=addresses), lag=None, heaviest=9 if total else 0
    )

    assert heaviest_text(report) == text


def test_sessions_that_are_compared_with_their_own_table_are_counted_in_words() -> None:
    """Nothing newer states whether their network changed."""
    assert circular_text(1).startswith("1 session was inferred from the newest table itself")
    assert circular_text(2_000).startswith("2,000 sessions were inferred")
