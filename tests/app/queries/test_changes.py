"""What differs between two periods."""

from hypothesis import given
from hypothesis import strategies as st

from snapshots.app.queries.comparisons.changes import Change, Changes
from snapshots.app.queries.session_queries import Group

COUNTS = st.dictionaries(st.sampled_from([None, *"123456"]), st.integers(1, 5))


def groups_of(counts: dict[str | None, int]) -> list[Group]:
    return [Group(values=(value,), name=value and f"name of {value}", sessions=n) for value, n in counts.items()]


@given(COUNTS, COUNTS)
def test_each_changed_value_is_listed_once(before: dict[str | None, int], newest: dict[str | None, int]) -> None:
    """With the sessions of both periods and its name; equal and unknown values are not listed."""
    changes = Changes.between(groups_of(before), groups_of(newest))

    found = [*changes.appeared, *changes.disappeared, *changes.grown, *changes.fallen]
    expected = {
        (value, newest.get(value, 0), before.get(value, 0))
        for value in {*before, *newest} - {None}
        if newest.get(value, 0) != before.get(value, 0)
    }
    assert sorted((each.value, each.sessions, each.before) for each in found) == sorted(expected)
    assert {each.name for each in found} == {f"name of {value}" for value, _, _ in expected}


@given(COUNTS, COUNTS)
def test_the_largest_change_comes_first(before: dict[str | None, int], newest: dict[str | None, int]) -> None:
    """In each of the four lists, which hold what their names say."""
    changes = Changes.between(groups_of(before), groups_of(newest))

    for found in (changes.appeared, changes.disappeared, changes.grown, changes.fallen):
        sizes = [abs(each.by) for each in found]
        assert sizes == sorted(sizes, reverse=True)
    assert all(each.before == 0 for each in changes.appeared)
    assert all(each.sessions == 0 for each in changes.disappeared)
    assert all(each.sessions > each.before > 0 for each in changes.grown)
    assert all(0 < each.sessions < each.before for each in changes.fallen)


def test_a_change_is_newest_minus_before() -> None:
    """Growth is positive."""
    assert Change(value="1", name=None, sessions=5, before=7).by == -2
