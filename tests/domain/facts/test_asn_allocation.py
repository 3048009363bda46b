"""Since when an autonomous system number can have been in use."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.facts.asn_allocation import (
    BLOCKS,
    FIRST_LONG_NUMBERS,
    MARGIN,
    SEEN_AT,
    NumberBlock,
    can_have_existed,
    first_possible_use,
)
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.facts.validation import LARGEST_ASN
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_cache import VerdictCache
from snapshots.domain.snapshot.verdict_spans import AddressSpans, SpanEvaluator
from tests.strategies import DAY, HOME, NOON, observed

NEW = BLOCKS[1].highest + MARGIN + 1


@given(st.integers(1, LARGEST_ASN))
def test_a_number_that_can_exist_never_ceases_to(asn: int) -> None:
    """The bounds are ordered: old numbers have none, and new ones the latest."""
    since = first_possible_use(asn)

    assert since in {None, FIRST_LONG_NUMBERS, SEEN_AT}
    assert (since is None) == (asn < 2**16)
    if since is not None:
        assert can_have_existed(asn, since)
        assert not can_have_existed(asn, since - timedelta(seconds=1))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_number_that_was_announced_at_the_bound_is_accepted(block: NumberBlock) -> None:
    """And so is one of the next block of a registry, which can have been assigned without being announced."""
    assert first_possible_use(block.highest) == FIRST_LONG_NUMBERS
    assert first_possible_use(block.highest + MARGIN) == FIRST_LONG_NUMBERS
    assert first_possible_use(block.highest + MARGIN + 1) == SEEN_AT
    assert first_possible_use(block.last) == SEEN_AT


def test_a_later_table_cannot_state_a_number_that_did_not_exist() -> None:
    """Other facts of the table are used; without any, the session has a gap of its own."""
    attack = SEEN_AT - 400 * DAY
    after = observed("a", NOON, asn=NEW, country="NL")

    found = AsOfReader().read([after], at=attack).snapshot
    alone = AsOfReader().read([observed("a", NOON, asn=NEW)], at=attack)
    verdict = SnapshotPolicy().verdict(Sighting(HOME, attack), alone)

    assert found is not None
    assert (found.asn, found.country) == (None, "NL")
    assert (alone.snapshot, alone.has_later_asn, verdict) == (None, True, Gap.NOT_ALLOCATED)
    (left_out,) = AsOfReader().asns_left_out([after], at=attack)
    assert (left_out.source, left_out.asn, left_out.in_use_since) == ("a", NEW, SEEN_AT)


def test_another_source_with_an_older_number_is_used_instead() -> None:
    """As if the first one had no entry."""
    history = [observed("a", NOON, asn=NEW), observed("b", NOON, asn=64500)]

    found = AsOfReader(precedence=("a", "b")).read(history, at=SEEN_AT - DAY).snapshot

    assert found is not None
    assert found.asn == 64500
    assert found.source == "b@2026-03-01T12:00"


def test_a_table_from_before_the_attack_is_believed() -> None:
    """What was stated by then did exist."""
    found = AsOfReader().read([observed("a", SEEN_AT - 9 * DAY, asn=NEW)], at=SEEN_AT - DAY)

    assert found.snapshot is not None
    assert found.snapshot.asn == NEW
    assert AsOfReader().asns_left_out([observed("a", NOON, asn=NEW)], at=SEEN_AT) == []


@pytest.mark.parametrize(("asn", "since"), [(NEW, SEEN_AT), (70_000, FIRST_LONG_NUMBERS)])
def test_cached_verdicts_change_when_a_number_can_exist(asn: int, since: datetime) -> None:
    """A verdict on one side of the bound is not used on the other."""
    after = [observed("a", NOON, asn=asn)]
    cache = VerdictCache(AsOfReader(), SnapshotPolicy(), largest_asn=LARGEST_ASN)
    moments = [since, since - timedelta(microseconds=1)]

    cached = [cache.judge(Sighting(HOME, moment), after) for moment in moments]

    assert [isinstance(each, IpSnapshot) for each in cached] == [True, False]
    assert [cache.verdict(Sighting(HOME, moment)) for moment in moments] == cached
    evaluator = SpanEvaluator(AsOfReader(), SnapshotPolicy(), largest_asn=LARGEST_ASN)
    spans = AddressSpans(evaluator, BuildCalendar()).of(HOME, after)
    assert Gap.NOT_ALLOCATED in [span.verdict for span in spans if span.until == since]


def test_sources_that_state_different_facts_are_listed() -> None:
    """Each with its answer as of the attack; one that is too old, or states nothing, has none."""
    history = [
        observed("a", NOON - DAY, asn=1, country="RO"),
        observed("a", NOON + DAY, asn=2, country="DE"),
        observed("b", NOON + DAY, asn=1, country="NL"),
        observed("c", NOON - 401 * DAY, asn=3, country="GB"),
    ]

    found = AsOfReader(precedence=("b",)).disagreements(history, at=NOON)

    assert found == {"country": {"b": "NL", "a": "RO"}}
    assert AsOfReader().disagreements(history[:2], at=NOON) == {}
