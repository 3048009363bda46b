"""Filters from the texts of options or of a query string."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.action import Action
from snapshots.app.queries.filters.filter_reader import FILTER_NAMES, FilterReader
from snapshots.app.queries.session_queries import Dimension, NetworkTime, SessionFilter, SessionQueries

NOW = datetime(2026, 3, 31, 15, 30, tzinfo=UTC)
HASSH = "0123456789abcdef0123456789abcdef"


class Stored:
    """Queries that know only stored values."""

    def stored_values(self, key: Dimension, *, beginning: str = "", limit: int) -> Sequence[str]:
        """Return the values of a dimension."""
        values = {Dimension.HASSH: [HASSH, "0bcd" * 8], Dimension.USER: ["root", "a\x1bb"]}
        return [value for value in values[key] if value.startswith(beginning)][:limit]


def reader() -> FilterReader:
    return FilterReader(cast("SessionQueries", Stored()), NOW)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, SessionFilter()),
        (
            {"since": ["1d"], "until": ["2026-03-31"]},
            SessionFilter(since=datetime(2026, 3, 30, 15, 30, tzinfo=UTC), until=datetime(2026, 3, 31, tzinfo=UTC)),
        ),
        (
            {"asn": ["1", "none"], "not-country": ["DE"]},
            SessionFilter(values={Dimension.ASN: ["1", None]}, excluded={Dimension.COUNTRY: ["DE"]}),
        ),
        ({"hassh": ["012"]}, SessionFilter(values={Dimension.HASSH: [HASSH]})),
        ({"user": ["a\\x1bb"]}, SessionFilter(values={Dimension.USER: ["a\x1bb"]})),
        (
            {"did": ["login,command", "LOGIN"], "not-did": ["forward"]},
            SessionFilter(did=(Action.LOGIN, Action.COMMAND), did_not=(Action.FORWARD,)),
        ),
        (
            {"method": ["asof", "country=inferred"]},
            SessionFilter(values={Dimension.METHOD: ["asof"], Dimension.COUNTRY_METHOD: ["inferred"]}),
        ),
    ],
)
def test_texts_are_read(given: Mapping[str, Sequence[str]], expected: SessionFilter) -> None:
    """Values as tables print them, beginnings of hashes, and times relative to now."""
    assert reader().read(given) == expected


def test_the_time_of_the_networks_is_passed_on() -> None:
    """It is no text."""
    assert reader().read({}, network_time=NetworkTime.NOW).network_time is NetworkTime.NOW


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"since": ["soon"]}, "'soon' is not a time"),
        ({"since": ["5000y"]}, "--since or --until is too long ago"),
        ({"did": ["sleep"]}, "'sleep' is not an action"),
        ({"hassh": ["f"]}, "no stored hassh starts with this"),
        ({"hassh": ["0"]}, "several stored values start with this: 0123"),
        ({"method": ["sensor=asof"]}, "use asn=, country= or type= with a method"),
    ],
)
def test_invalid_texts_are_refused(given: Mapping[str, Sequence[str]], message: str) -> None:
    """The message is the same for options and for a query string."""
    with pytest.raises(InvalidQuery, match=message):
        reader().read(given)


def test_a_value_that_is_not_stored_is_refused_with_the_nearest_one() -> None:
    """Asked only if no session was found."""
    with pytest.raises(InvalidQuery, match=r"no session has the user 'rot' \(nearest: root\)"):
        reader().check_values(SessionFilter(excluded={Dimension.USER: ["rot"]}))
    reader().check_values(SessionFilter(values={Dimension.USER: ["root", None]}))


def test_each_filter_has_an_inverse() -> None:
    """But the two limits of time."""
    names = set(FILTER_NAMES) - {"since", "until"}
    assert {name for name in names if name.startswith("not-")} == {
        f"not-{name}" for name in names if not name.startswith("not-")
    }
