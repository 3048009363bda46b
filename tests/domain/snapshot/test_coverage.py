"""How much is covered, and what the parts add up to."""

from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.fact_methods import Distance, FactMethod
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.provenance import FACTS
from snapshots.domain.snapshot.snapshot import Method

counts = st.integers(1, 5)
NETWORK = {"asn": FactMethod(Method.ASOF), "country": FactMethod(Method.ASOF)}
facts = st.dictionaries(
    st.sampled_from(FACTS),
    st.builds(FactMethod, st.sampled_from(Method), distance=st.none() | st.sampled_from(Distance)),
)
sealed = st.builds(CoverageCase, count=counts, facts=facts, method=st.sampled_from(Method))
still_open = st.builds(CoverageCase, count=counts, gap=st.none() | st.sampled_from(Gap))


@given(st.lists(sealed | still_open))
@example([])
def test_the_parts_add_up(cases: list[CoverageCase]) -> None:
    """Every session is counted once, as sealed by a method or as open for a reason."""
    coverage = Coverage.of(cases)

    assert coverage.sealed + coverage.open == coverage.total == sum(case.count for case in cases)
    assert sum(coverage.by_method.values()) == coverage.sealed
    assert sum(coverage.by_gap.values()) == coverage.open
    assert max(coverage.asn, coverage.country, coverage.ip_type) <= coverage.sealed


@given(st.lists(sealed | still_open))
def test_asof_and_inferred_facts_are_counted_separately(cases: list[CoverageCase]) -> None:
    """For the whole snapshot by its method; for each fact never more than have the fact."""
    coverage = Coverage.of(cases)

    assert coverage.asof["snapshot"] == coverage.by_method[Method.ASOF]
    assert coverage.inferred["snapshot"] == coverage.by_method[Method.INFERRED]
    for name, count in coverage.by_field.items():
        assert coverage.asof[name] + coverage.inferred[name] <= count
    for fact in FACTS:
        of_fact = [(case.count, case.facts[fact]) for case in cases if fact in case.facts]
        assert coverage.asof[fact] == sum(count for count, found in of_fact if found.method is Method.ASOF)
        assert sum(coverage.distances[fact].values()) == sum(
            count for count, found in of_fact if found.distance is not None
        )


def test_types_by_address_and_by_network_add_up_to_the_types() -> None:
    """Each precision is shown on its own."""
    by_network = FactMethod(Method.ASOF, is_by_network=True)
    cases = [
        CoverageCase(count=3, facts={"ip_type": by_network}, method=Method.ASOF),
        CoverageCase(count=2, facts={"ip_type": FactMethod(Method.INFERRED)}, method=Method.INFERRED),
    ]

    assert (Coverage.of(cases).by_network, Coverage.of(cases).by_address) == (3, 2)


@given(st.lists(sealed | still_open))
def test_a_share_is_between_zero_and_one(cases: list[CoverageCase]) -> None:
    """It is None if no session can be covered."""
    coverage = Coverage.of(cases)
    share = coverage.share(coverage.sealed)

    assert share is None if coverage.reachable == 0 else 0 <= share <= 1  # type: ignore[operator]  # a number then


def test_addresses_that_are_not_routable_are_excluded_from_shares() -> None:
    """Behind a load balancer, a honeypot logs only private addresses."""
    cases = [
        CoverageCase(count=1, facts=NETWORK, method=Method.ASOF),
        CoverageCase(count=99, gap=Gap.NOT_ROUTABLE),
    ]

    assert Coverage.of(cases).meets(1.0)


def test_a_database_without_sessions_misses_every_target() -> None:
    """A share of an empty database is undefined."""
    assert not Coverage.of([]).meets(0.0)


def test_each_of_snapshot_asn_and_country_must_meet_the_target() -> None:
    """19 of 20 are 95 percent, exactly."""
    full = CoverageCase(count=19, facts=NETWORK, method=Method.ASOF)

    assert Coverage.of([full, CoverageCase(count=1, gap=Gap.NOTHING_KNOWN)]).meets(0.95)
    assert not Coverage.of([full, CoverageCase(count=2, facts={"asn": NETWORK["asn"]}, method=Method.ASOF)]).meets(0.95)
