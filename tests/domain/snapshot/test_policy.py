"""Which snapshot a session stores."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.errors import InvalidFact, InvalidPolicy
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.as_of import IpReading
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.policy import Requirement, SnapshotPolicy
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from tests.strategies import DAY, HOME, NOON, ip_snapshots, moments, snapshot

POLICY = SnapshotPolicy(max_lag=30 * DAY)
SEEN = Sighting(address=HOME, seen_at=NOON)


@given(offers=st.lists(st.none() | ip_snapshots), seen_at=moments)
@example(offers=[snapshot(enrichment_at=NOON + 30 * DAY)], seen_at=NOON)  # the last moment that is near enough
@example(offers=[snapshot(enrichment_at=NOON + 31 * DAY), snapshot()], seen_at=NOON)
def test_the_first_near_enough_snapshot_stays_whole(offers: list[IpSnapshot | None], seen_at: datetime) -> None:
    """However often a session is offered snapshots, the first acceptable one stays unchanged."""
    held = None
    for offered in offers:
        held = POLICY.keep(held, offered, seen_at=seen_at)

    good = (o for o in offers if o and o.enrichment_at <= seen_at + 30 * DAY)
    assert held is next(good, None)


def test_a_stored_snapshot_is_not_completed_from_another() -> None:
    """The ASN of one day and the country of another would describe the address at no time."""
    held = snapshot(country=None)

    assert POLICY.keep(held, snapshot(country="DE"), seen_at=NOON) is held


@pytest.mark.parametrize(
    ("requires", "asn", "country", "enough"),
    [
        (Requirement.ASN_OR_COUNTRY, 1, None, True),
        (Requirement.ASN_OR_COUNTRY, None, "DE", True),
        (Requirement.ASN_OR_COUNTRY, None, None, False),
        (Requirement.ASN, None, "DE", False),
        (Requirement.COUNTRY, 1, None, False),
        (Requirement.ASN_AND_COUNTRY, 1, None, False),
        (Requirement.ASN_AND_COUNTRY, 1, "DE", True),
        (Requirement.ANY, None, None, True),
    ],
)
def test_a_policy_defines_which_facts_a_snapshot_needs(
    requires: Requirement, asn: int | None, country: str | None, enough: bool
) -> None:
    """By default, an IP type alone is not enough."""
    offered = snapshot(asn=asn, country=country)

    kept = SnapshotPolicy(requires=requires).keep(None, offered, seen_at=NOON)

    assert (kept is offered) is enough


@pytest.mark.parametrize(
    ("sighting", "reading", "verdict"),
    [
        (None, None, Gap.NO_SOURCE_IP),
        (Sighting(address=IpAddress("10.0.0.1"), seen_at=NOON), None, Gap.NOT_ROUTABLE),
        (SEEN, None, Gap.NEVER_LOOKED_UP),
        (SEEN, IpReading(snapshot=None, was_looked_up=False), Gap.NEVER_LOOKED_UP),
        (SEEN, IpReading(snapshot=None, was_looked_up=True), Gap.NOTHING_KNOWN),
        (SEEN, IpReading(snapshot=None, was_looked_up=True, has_expired=True), Gap.EXPIRED),
        (SEEN, IpReading(snapshot=None, was_looked_up=True, is_too_late=True), Gap.TOO_LATE),
        (SEEN, IpReading(snapshot=snapshot(enrichment_at=NOON + 31 * DAY), was_looked_up=True), Gap.TOO_LATE),
        (SEEN, IpReading(snapshot=snapshot(asn=None), was_looked_up=True), Gap.PARTIAL),
        (SEEN, IpReading(snapshot=snapshot(), was_looked_up=True), snapshot()),
    ],
)
def test_every_gap_has_its_reason(
    sighting: Sighting | None, reading: IpReading | None, verdict: IpSnapshot | Gap
) -> None:
    """An operator sees why a session has no snapshot, and what would help."""
    assert POLICY.verdict(sighting, reading) == verdict


def test_a_correction_replaces_only_the_given_facts() -> None:
    """Its date and source are those of the correction."""
    corrected = IpSnapshot.corrected(snapshot(country="DE"), country="FR", at=NOON + DAY)

    assert (corrected.asn, corrected.country, corrected.method) == (64500, "FR", Method.CORRECTED)
    assert (corrected.enrichment_at, corrected.source) == (NOON + DAY, "operator@2026-03-02")
    with pytest.raises(InvalidFact):
        IpSnapshot.corrected(snapshot(), at=NOON)


def test_every_gap_has_an_explanation() -> None:
    """Of one sentence."""
    assert all(gap.explanation.endswith(".") for gap in Gap)


def test_a_negative_lag_is_refused() -> None:
    """It would exclude facts that were known by then."""
    with pytest.raises(InvalidPolicy):
        SnapshotPolicy(max_lag=-DAY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"asn": None},
        {"asn": 0},
        {"asn": 2**32},
        {"country": "XX"},
        {"country": "de"},
        {"enrichment_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - without a zone
    ],
)
def test_an_invalid_snapshot_cannot_be_built(wrong: dict[str, object]) -> None:
    """Such as one without a fact, or one whose time has no zone."""
    values = {
        "asn": 1,
        "country": None,
        "ip_type": None,
        "enrichment_at": NOON,
        "method": Method.ASOF,
        "source": "a",
        **wrong,
    }
    with pytest.raises(InvalidFact):
        IpSnapshot(**values)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(("asn", "is_kept"), [(2**31 - 1, True), (2**31, False)])
def test_a_network_number_that_the_store_cannot_hold_leaves_the_session_open(asn: int, *, is_kept: bool) -> None:
    """Whole or not at all: a snapshot is not written without the ASN that was known."""
    reading = IpReading(snapshot=snapshot(asn=asn), was_looked_up=True)

    verdict = SnapshotPolicy().verdict(SEEN, reading, largest_asn=2**31 - 1)

    assert verdict == (reading.snapshot if is_kept else Gap.ASN_TOO_LARGE)


@pytest.mark.parametrize("ip_type", [IpType.TOR, IpType.DATACENTER])
def test_a_type_of_the_address_improves_one_of_its_network(ip_type: IpType) -> None:
    """Also if both are the same; the other way round nothing changes."""
    by_network = replace(snapshot(), ip_type=IpType.DATACENTER, source="a@2026-03-01 network-types@2026-03-01")
    by_address = replace(by_network, ip_type=ip_type, source="a@2026-03-01 tor@2026-03-01")

    assert POLICY.improves(by_network, by_address)
    assert not POLICY.improves(by_address, by_network)
    assert not POLICY.improves(by_network, replace(by_network, asn=1))


@given(held=ip_snapshots, offered=ip_snapshots)
@example(held=snapshot(country="DE"), offered=snapshot(country="DE"))
def test_an_improvement_never_removes_a_fact_or_makes_one_later(held: IpSnapshot, offered: IpSnapshot) -> None:
    """Facts that an operator stated stay."""
    if not POLICY.improves(held, offered):
        return

    assert {held.method, offered.method} <= {Method.ASOF, Method.INFERRED}
    for fact in ("asn", "country", "ip_type"):
        assert getattr(held, fact) is None or getattr(offered, fact) is not None
        if held.method is offered.method:
            assert getattr(held, fact) in {None, getattr(offered, fact)}
    assert not (held.method is Method.ASOF and offered.method is Method.INFERRED)
    assert not POLICY.improves(offered, held)
