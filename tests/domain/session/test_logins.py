"""Login attempts are counted by what they tried."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.session.behaviour import login
from snapshots.domain.session.event_record import recorded_traits
from snapshots.domain.session.logins import (
    OTHERS,
    Credentials,
    Tally,
    bounded,
    count_logins,
    credentials_in,
    credentials_number,
)

texts = st.none() | st.text(max_size=3)
attempts = st.tuples(texts, texts, st.booleans())


@given(st.lists(attempts, max_size=8))
def test_every_attempt_is_in_one_tally(tried: list[tuple[str | None, str | None, bool]]) -> None:
    """User name and password differ, and so do empty and absent ones."""
    counted = count_logins([recorded_traits(login(user, text, succeeded=won)) for user, text, won in tried])

    expected = Counter((user, text) for user, text, _ in tried)
    assert sorted(attempts for _, attempts, _ in counted) == sorted(expected.values())
    assert sum(successes for _, _, successes in counted) == sum(won for _, _, won in tried)
    for text, *_ in counted:
        assert (credentials_in(text).username, text) in {(user, text) for user, _, _ in tried}


def test_an_attempt_without_credentials_counts() -> None:
    """Such as one of another loader; its user name and password are unknown."""
    ((text, *tally),) = count_logins([(), (("success", ""),)])

    assert (credentials_in(text), tally) == (Credentials(credentials_number(None, None)), [2, 1])


def test_the_number_of_credentials_is_a_format_that_is_stored() -> None:
    """It must never change; it is not that of all others."""
    assert credentials_number("root", None) == credentials_in('["root", null, "kept"]').number
    assert [credentials_number(name, None) for name in ("", "root")] == [-4852122560778415945, 8033801342971687790]
    assert credentials_in("") == Credentials(OTHERS)


@given(st.dictionaries(st.integers(-5, 5), st.integers(1, 3).map(lambda n: Tally(n, n - 1)), min_size=1), st.data())
def test_the_bound_does_not_depend_on_the_order(tallies: dict[int, Tally], data: st.DataObject) -> None:
    """Attempts that come in parts, each bounded, end as those that come at once."""
    most = data.draw(st.integers(1, 4))
    order = data.draw(st.permutations([*tallies]))
    parts: dict[int, Tally] = {}
    for number in order:
        parts = dict(bounded({**parts, number: parts.get(number, Tally(0, 0)).plus(tallies[number])}, most))
    assert parts == bounded(tallies, most)
    assert sum(tally.attempts for tally in parts.values()) == sum(tally.attempts for tally in tallies.values())
    assert len(parts.keys() - {OTHERS}) <= most
