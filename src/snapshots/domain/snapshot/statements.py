"""Check that the facts of a snapshot were stated by the builds that it names."""

from collections.abc import Iterable

from snapshots.domain.facts.observation import IpFacts
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method


def is_stated(snapshot: IpSnapshot, stated: Iterable[tuple[str, IpFacts]]) -> bool:
    """
    Whether the builds that a snapshot names state each of its facts.

    Corrected and adopted facts have no build, and always pass.

    Args:
        snapshot: The snapshot of a session.
        stated: All observations of its address, each as the label of its first build and its facts.
    """
    if snapshot.method not in {Method.ASOF, Method.INFERRED}:
        return True
    labels = frozenset(snapshot.source.split())
    named = [(label, facts) for label, facts in stated if label in labels]
    return (
        labels == {label for label, _ in named}
        and (snapshot.asn is None or any(facts.asn == snapshot.asn for _, facts in named))
        and (snapshot.country is None or any(facts.country == snapshot.country for _, facts in named))
        and (snapshot.ip_type is None or any(snapshot.ip_type in facts.ip_types for _, facts in named))
    )
