"""Find the source and the date of each fact."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from snapshots.domain.facts.ip_type import IpTypePriority
from snapshots.domain.facts.observation import IpFacts, IpObservation, labels_of
from snapshots.domain.snapshot.snapshot import IpSnapshot

FACTS = ("asn", "country", "ip_type")

_PRIORITY = IpTypePriority()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedBy:
    """
    The source of one fact.

    Attributes:
        name: The source, such as "dbip".
        stated_at: The date of the build that stated the fact: the newest by the time of the attack, else the first.
    """

    name: str
    stated_at: datetime


class CurrentFacts(NamedTuple):
    """
    The newest facts of an address.

    Attributes:
        snapshot: The facts.
        answered_at: Dates by the keys of `FACTS`: for a known fact the build that stated it, for an unknown one the
            newest build that could have stated it.
    """

    snapshot: IpSnapshot
    answered_at: Mapping[str, datetime]


def sources_of(snapshot: IpSnapshot, observations: Collection[IpObservation], at: datetime) -> Mapping[str, StatedBy]:
    """
    Return the source of each fact of a snapshot, by the keys of `FACTS`.

    Args:
        snapshot: The snapshot; its provenance names builds in the order of its facts.
        observations: Observations of its address.
        at: The time of the sighting.
    """
    builds = snapshot.source.split()
    stating: dict[str, dict[str, StatedBy]] = {fact: {} for fact in FACTS}
    for observation in observations:
        stated_at = observation.confirmed_at(at)
        label = next((name for name in builds if name in labels_of(observation.source, stated_at)), None)
        if label is None:
            continue
        for fact, value in _stated(observation.facts).items():
            if value == getattr(snapshot, fact):
                stating[fact][label] = StatedBy(name=observation.source, stated_at=stated_at)
    return {fact: found[min(found, key=builds.index)] for fact, found in stating.items() if found}


def current_facts(
    snapshot: IpSnapshot, newest: Collection[IpObservation], history: Collection[IpObservation], at: datetime
) -> CurrentFacts:
    """
    Return the newest facts of an address with the date of each answer.

    A fact that no source states any more gets the newest date of the sources that stated it before, because only they
    could state it. A fact that no source ever stated gets the newest date of all sources.

    Args:
        snapshot: The reading of the newest observations.
        newest: The newest observation of each source; not empty.
        history: Every observation of the address.
        at: The date of the newest build.
    """
    dates = {fact: stated.stated_at for fact, stated in sources_of(snapshot, newest, at).items()}
    for fact in FACTS:
        if fact not in dates:
            able = {observation.source for observation in history if fact in _stated(observation.facts)}
            answers = [observation for observation in newest if observation.source in able] or newest
            dates[fact] = max(observation.confirmed_until for observation in answers)
    return CurrentFacts(snapshot, dates)


def _stated(facts: IpFacts) -> dict[str, object]:
    """Return the stated facts; of several types, the highest-ranked."""
    ip_type = _PRIORITY.highest_ranked(facts.ip_types)
    found = {"asn": facts.asn, "country": facts.country, "ip_type": ip_type}
    return {fact: value for fact, value in found.items() if value is not None}
