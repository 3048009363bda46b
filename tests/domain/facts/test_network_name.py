"""Which name of a network is stored."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.facts.network_name import NetworkName, newest_name
from tests.strategies import NOON, moments

names = st.builds(NetworkName, st.sampled_from(["A", "B", "a", "ä"]), st.none() | moments)


@given(st.lists(names, min_size=1, max_size=6), st.data(), st.integers(1, 6))
def test_the_name_does_not_depend_on_batches_or_their_order(
    stated: list[NetworkName], data: st.DataObject, size: int
) -> None:
    """Choosing among the names that batches chose is choosing among all names."""
    shuffled = data.draw(st.permutations(stated))
    batches = [shuffled[first : first + size] for first in range(0, len(shuffled), size)]

    assert newest_name(*(newest_name(*batch) for batch in batches)) == newest_name(*stated)


@given(st.lists(names, min_size=1, max_size=6))
def test_no_other_name_is_newer(stated: list[NetworkName]) -> None:
    """Among the newest names, the smallest text."""
    kept = newest_name(*stated)
    dated = [name for name in stated if name.stated_at is not None]
    newest = max((name.stated_at for name in dated if name.stated_at is not None), default=None)

    assert kept.stated_at == newest
    assert kept.text == min(name.text for name in stated if name.stated_at == newest)


def test_names_are_ordered_to_the_microsecond() -> None:
    """Whatever their texts are."""
    later = NetworkName("Z", NOON + timedelta(microseconds=1))

    assert newest_name(NetworkName("A", NOON), later) == later
