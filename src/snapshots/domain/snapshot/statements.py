"""Whether what a session keeps is what its sources said."""

from collections.abc import Iterable

from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method


def is_stated(snapshot: IpSnapshot, said: Iterable[tuple[str, IpFacts]]) -> bool:
    """
    Whether the builds that a snapshot names stated each of its facts.

    Facts of an operator or of another loader are stated by no build, and always pass.

    Args:
        snapshot: What a session keeps.
        said: All that was said of its address, each with the label of the build that said so first.
    """
    if snapshot.method not in {Method.ASOF, Method.INFERRED}:
        return True
    labels = frozenset(snapshot.source.split())
    named = [(label, facts) for label, facts in said if label in labels]
    return (
        labels == {label for label, _ in named}
        and (snapshot.asn is None or any(facts.asn == snapshot.asn for _, facts in named))
        and (snapshot.country is None or any(facts.country == snapshot.country for _, facts in named))
        and (snapshot.ip_type is None or any(snapshot.ip_type in facts.ip_types for _, facts in named))
    )
