"""How much falls on few."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.session.concentration import Concentration

counts = st.lists(st.integers(1, 50), min_size=1, max_size=20)


def of(sizes: list[int]) -> Concentration:
    return Concentration.of({size: sizes.count(size) for size in sizes})


@given(counts)
def test_entropy_is_between_that_of_one_group_and_an_even_distribution(sizes: list[int]) -> None:
    """And merging two groups never increases it."""
    found = of(sizes)

    assert -1e-9 <= found.entropy <= log2(len(sizes)) + 1e-9
    assert (found.groups, found.total) == (len(sizes), sum(sizes))
    assert found.first_share == pytest.approx(max(sizes) / sum(sizes))
    if len(sizes) > 1:
        assert of([sizes[0] + sizes[1], *sizes[2:]]).entropy <= found.entropy + 1e-9


def test_concentration_of_simple_distributions() -> None:
    """All in one group, evenly distributed, and empty."""
    assert of([7]).entropy == 0
    assert of([3, 3, 3, 3]).entropy == pytest.approx(2)
    assert Concentration.of({}) == Concentration(groups=0, total=0, first_share=0.0, entropy=0)
