"""Check that the facts of a snapshot were stated by the builds that it names."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from snapshots.domain.facts.observation import IpFacts, SourceBuild, labels_of
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method


class Statement(NamedTuple):
    """
    What the builds of a source from one moment to another state about an address.

    Attributes:
        source: The source.
        since: The moment of its first build with these facts.
        until: The moment of its last one.
        facts: The facts.
    """

    source: str
    since: datetime
    until: datetime
    facts: IpFacts

    def is_by(self, label: str, builds: Mapping[str, Collection[SourceBuild]]) -> bool:
        """Whether a build of a label is one of these builds; *builds* are the registered ones by label."""
        if label in labels_of(self.source, self.since):
            return True
        return any(
            build.name == self.source and self.since <= build.built_at <= self.until for build in builds.get(label, ())
        )


def builds_by_label(builds: Iterable[SourceBuild]) -> Mapping[str, Collection[SourceBuild]]:
    """Return the builds that each label can name; older versions named a build by its day."""
    by_label: dict[str, list[SourceBuild]] = {}
    for build in builds:
        for label in labels_of(build.name, build.built_at):
            by_label.setdefault(label, []).append(build)
    return by_label


def is_stated(
    snapshot: IpSnapshot, statements: Collection[Statement], builds: Mapping[str, Collection[SourceBuild]]
) -> bool:
    """
    Whether the builds that a snapshot names state each of its facts.

    Corrected and adopted facts have no build, and always pass.

    Args:
        snapshot: The snapshot of a session.
        statements: All that was stated about its address.
        builds: The registered builds by label.
    """
    if snapshot.method is not Method.ASOF and snapshot.method is not Method.INFERRED:
        return True
    by_label = {
        label: [each.facts for each in statements if each.is_by(label, builds)] for label in snapshot.source.split()
    }
    named = [facts for found in by_label.values() for facts in found]
    return (
        all(by_label.values())
        and (snapshot.asn is None or any(facts.asn == snapshot.asn for facts in named))
        and (snapshot.country is None or any(facts.country == snapshot.country for facts in named))
        and (snapshot.ip_type is None or any(snapshot.ip_type in facts.ip_types for facts in named))
    )
