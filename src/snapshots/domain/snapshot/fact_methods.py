"""How near each fact of a snapshot is to the attack, read from its provenance."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from snapshots.domain.facts.network_types import is_by_network
from snapshots.domain.snapshot.provenance import FACTS
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

DAY_LENGTH = len("2026-09-01")


class Distance(IntEnum):
    """
    A class of the days from a statement to the attack, the least reliable last.

    A statement up to a year after the attack was right more often than one more than 90 days before it, but only the
    latter could be known at the time.
    """

    BEFORE_90_DAYS = 0
    BEFORE_LONGER = 1
    AFTER_180_DAYS = 2
    AFTER_2_YEARS = 3
    AFTER_LONGER = 4

    @property
    def text(self) -> str:
        """Return the class as text that completes the phrase "stated ..."."""
        return _TEXTS[self]


_TEXTS = {
    Distance.BEFORE_90_DAYS: "up to 90 days before the attack",
    Distance.BEFORE_LONGER: "longer before the attack",
    Distance.AFTER_180_DAYS: "up to 180 days after the attack",
    Distance.AFTER_2_YEARS: "up to 2 years after the attack",
    Distance.AFTER_LONGER: "longer after the attack",
}

NEAR = {Method.ASOF: timedelta(days=90), Method.INFERRED: timedelta(days=180)}
TWO_YEARS = timedelta(days=730)
"""Time from a statement to the attack, at most."""


class FactMethod(NamedTuple):
    """
    How near one fact is to the attack.

    Attributes:
        method: The method of the fact alone.
        label: The build that states it; None if an operator or another loader wrote it.
        distance: The class of its days from the attack; None without a build.
        is_by_network: Whether it is a type of the network, and not of the address.
    """

    method: Method
    label: str | None = None
    distance: Distance | None = None
    is_by_network: bool = False


def fact_methods(snapshot: IpSnapshot, seen_at: datetime) -> Mapping[str, FactMethod]:
    """Return how near each known fact of a snapshot is to the attack at a time in UTC, by the keys of `FACTS`."""
    known = tuple(fact for fact in FACTS if getattr(snapshot, fact) is not None)
    return methods_by_fact(known, snapshot.method, snapshot.source, seen_at.isoformat())


def methods_by_fact(known: Sequence[str], method: Method, source: str, seen: str) -> Mapping[str, FactMethod]:
    """
    Return how near each fact is to the attack.

    See `source_text` for which build states which fact.

    Args:
        known: The known facts, in the order of `FACTS`.
        method: The method of the snapshot.
        source: Its provenance.
        seen: The time of the sighting in UTC in ISO 8601; its day alone is enough if no build is of that day.
    """
    if method not in {Method.ASOF, Method.INFERRED}:
        return {fact: FactMethod(method) for fact in known}
    labels = _labels_by_fact(known, source.split())
    found: dict[str, FactMethod] = {}
    for fact, label in labels.items():
        of_network = fact == "ip_type" and is_by_network(label)
        by = [label, labels["asn"]] if of_network and "asn" in labels else [label]
        is_later = method is Method.INFERRED and any(is_after(each, seen) for each in by)
        distance = _distance_after(max(map(_day_of, by)), seen) if is_later else _distance_before(label, seen)
        found[fact] = FactMethod(Method.INFERRED if is_later else Method.ASOF, label, distance, of_network)
    return found


def source_text(labels: Mapping[str, str]) -> str:
    """
    Return the provenance of a snapshot: labels of builds in the order of `FACTS`, separated by spaces.

    Each build is named once, as long as this leaves no doubt which fact it states: the first label is that of the ASN,
    the last one that of the type, and the country has the second one only if each fact has its own, else the first.
    Otherwise there is a label for each fact. Older versions always named a build once.

    Args:
        labels: The label of the build that states each known fact, in the order of `FACTS`.
    """
    return _source_text(tuple(labels.items()))


@lru_cache(maxsize=4096)
def _source_text(labels: tuple[tuple[str, str], ...]) -> str:
    facts, named = [fact for fact, _ in labels], [label for _, label in labels]
    once = list(dict.fromkeys(named))
    return " ".join(once if _labels_by_fact(facts, once) == dict(labels) else named)


def _labels_by_fact(known: Sequence[str], labels: Sequence[str]) -> Mapping[str, str]:
    has_own = len(labels) >= len(known) and "country" in known
    places = {"asn": 0, "country": known.index("country") if has_own else 0}
    return {fact: labels[places.get(fact, -1)] for fact in known} if labels else {}


def is_after(label: str, seen: str) -> bool:
    """
    Whether a build is from after a time in ISO 8601.

    A build of which only the day is known is from the end of that day.
    """
    stamp = label.partition("@")[2]
    same_length = seen[: len(stamp)]
    return stamp > same_length or (len(stamp) <= DAY_LENGTH and stamp == same_length)


def _day_of(label: str) -> str:
    return label.partition("@")[2][:DAY_LENGTH]


def _distance_before(label: str, seen: str) -> Distance:
    is_near = _day_of(label) >= _moved(seen, -NEAR[Method.ASOF])
    return Distance.BEFORE_90_DAYS if is_near else Distance.BEFORE_LONGER


def _distance_after(stated_on: str, seen: str) -> Distance:
    if stated_on <= _moved(seen, NEAR[Method.INFERRED]):
        return Distance.AFTER_180_DAYS
    return Distance.AFTER_2_YEARS if stated_on <= _moved(seen, TWO_YEARS) else Distance.AFTER_LONGER


def _moved(seen: str, by: timedelta) -> str:
    """
    Return the day of the attack, moved, as text: labels are compared as text, because a damaged one is no date.

    Instead of a day before the first or after the last of the calendar, these are returned. An unknown day is empty.
    """
    if not seen:
        return ""
    day = date.fromisoformat(seen[:DAY_LENGTH])
    try:
        return (day + by).isoformat()
    except OverflowError:
        return (date.min if by < timedelta() else date.max).isoformat()
