"""Groups of sessions: how near their facts are to the attack, or why they have none."""

from dataclasses import dataclass
from functools import lru_cache

from snapshots.adapters.sql.queries.fact_methods import METHODS, nearness
from snapshots.domain.snapshot.fact_methods import FactMethod
from snapshots.domain.snapshot.snapshot import Method

Facts = tuple[tuple[str, FactMethod], ...]
"""How near each known fact is to the attack, by its name."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Facts of sessions, their method, and their gap; see `_same_group` for groups with equal values."""

    facts: Facts
    method: str | None
    gap: str | None


_same_group = lru_cache(maxsize=None)(Group)
"""Return always the same group for the same values, so that groups are compared and counted by identity."""


@lru_cache(maxsize=50_000)
def group_of(has: tuple[bool, ...], method: str | None, gap: str | None, source: str | None, seen: str | None) -> Group:
    """Return the group of sessions with some facts, given what `nearness` needs, and their gap."""
    if not any(has):
        return _same_group((), None, gap)
    own = Method.ADOPTED.value if method is None else method
    return _same_group(_facts(has, method, source, seen) if own in METHODS else (), own, None)


def _facts(has: tuple[bool, ...], method: str | None, source: str | None, seen: str | None) -> Facts:
    """Return how near each fact is to the attack; its label is left out, so that equal facts are one group."""
    found = nearness(has, method, source, seen)
    return tuple((fact, near._replace(label=None)) for fact, near in found.items())


@lru_cache(maxsize=50_000)
def weakest(one: Group, other: Group) -> Group:
    """Return the facts that both groups have, each with the weaker method and the greater distance."""
    held = dict(one.facts)
    both = tuple((fact, _weaker(held[fact], near)) for fact, near in other.facts if fact in held)
    method = max(one.method, other.method) if one.method is not None and other.method is not None else None
    gap = min((gap for gap in (one.gap, other.gap) if gap is not None), default=None)
    return _same_group(both, method, gap)


def _weaker(one: FactMethod, other: FactMethod) -> FactMethod:
    distances = [near.distance for near in (one, other) if near.distance is not None]
    return FactMethod(
        max(one.method, other.method, key=lambda method: method.value),
        distance=max(distances, default=None),
        is_by_network=one.is_by_network or other.is_by_network,
    )
