"""The source and the date of each fact."""

from datetime import datetime

from hypothesis import given

from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.provenance import FACTS, current_facts
from tests.strategies import DAY, NOON, histories, observed

TOR = frozenset({IpType.TOR})


def newest_of(history: list[IpObservation]) -> list[IpObservation]:
    """Return the newest observation of each source."""
    return list({each.source: each for each in sorted(history, key=lambda each: each.observed_at)}.values())


def answered_at(*history: IpObservation) -> dict[str, datetime]:
    """Return the date of each answer of a history."""
    newest, at = newest_of([*history]), max(observation.confirmed_until for observation in history)
    snapshot = AsOfReader().read(newest, at=at).snapshot
    assert snapshot is not None
    return dict(current_facts(snapshot, newest, history, at).answered_at)


def test_a_fact_has_the_date_of_the_build_that_stated_it() -> None:
    """A newer build of another source without this fact does not change its date."""
    dates = answered_at(
        observed("tables", NOON, asn=1, country="DE"),
        observed("types", NOON + 9 * DAY, types=TOR),
    )

    assert dates == {"asn": NOON, "country": NOON, "ip_type": NOON + 9 * DAY}


def test_a_fact_that_is_no_longer_stated_has_the_date_of_its_own_source() -> None:
    """Only the list of Tor exits can state that an address is no longer one; a table of networks cannot."""
    dates = answered_at(
        observed("types", NOON, types=TOR),
        observed("types", NOON + 3 * DAY),
        observed("tables", NOON + 9 * DAY, asn=1),
    )

    assert dates == {"asn": NOON + 9 * DAY, "country": NOON + 9 * DAY, "ip_type": NOON + 3 * DAY}


@given(histories())
def test_every_answer_has_the_date_of_an_observation(history: list[IpObservation]) -> None:
    """One that is the newest of its source."""
    newest = newest_of(history)
    at = max((observation.confirmed_until for observation in history), default=NOON)
    snapshot = AsOfReader().read(newest, at=at).snapshot
    if snapshot is None:
        return

    dates = current_facts(snapshot, newest, history, at).answered_at

    assert set(dates) == set(FACTS)
    assert set(dates.values()) <= {observation.confirmed_until for observation in newest}
