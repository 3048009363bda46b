"""Values of filters as tables print them."""

from collections.abc import Sequence
from hashlib import sha256
from typing import cast

import pytest

from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.filters.stored_values import MOST_COMPARED, as_stored, check_stored, completed
from snapshots.app.queries.session_queries import Dimension, SessionQueries

KEY = "SHA256:AbC"
WORD = sha256(b"x").hexdigest()


class Stored:
    """Queries that know only stored values."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def stored_values(self, key: Dimension, *, beginning: str = "", limit: int) -> Sequence[str]:
        """Return the values."""
        del key
        return [value for value in self.values if value.startswith(beginning)][:limit]


def stored(*values: str) -> SessionQueries:
    return cast("SessionQueries", Stored(*values))


@pytest.mark.parametrize(
    ("key", "text", "values", "expected"),
    [
        (Dimension.SSH_KEY, "SHA256:Ab", [KEY], KEY),
        (Dimension.HASSH, "ABCD…", ["abcd" * 8], "abcd" * 8),
        (Dimension.HASSH, "ab" * 16, [], "ab" * 16),
        (Dimension.PASSWORD, "secret", [], "secret"),
        (Dimension.PASSWORD, "cafe", [], "cafe"),
        (Dimension.PASSWORD, f"sha256:{WORD[:8]}", [WORD], WORD),
        (Dimension.PASSWORD, f"{WORD[:12]}…", [WORD], WORD),
        (Dimension.PASSWORD, WORD, [], WORD),
    ],
)
def test_the_beginning_of_a_hash_stands_for_it(key: Dimension, text: str, values: list[str], expected: str) -> None:
    """A password as text, and a whole hash, are kept; fingerprints of keys keep their case."""
    assert completed(stored(*values), key, text) == expected


def test_a_stored_text_is_found_by_its_printed_form() -> None:
    """With escapes; a name that was cut is the part of a name."""
    assert as_stored(stored("a\x1bb"), Dimension.USER, "a\\x1bb") == "a\x1bb"
    assert as_stored(stored("a\\x1bb"), Dimension.USER, "a\\x1bb") == "a\\x1bb"
    assert as_stored(stored(), Dimension.USER, "a\\x1bb") == "a\\x1bb"
    assert as_stored(stored(), Dimension.NETWORK, "Chinan…") == "Chinan"


def test_without_any_stored_value_none_is_suggested() -> None:
    """There is nothing near."""
    with pytest.raises(InvalidQuery, match="no session has the sensor 'x'; none is stored"):
        check_stored(stored(), {Dimension.SENSOR: ["x"]})


def test_among_very_many_values_none_is_refused() -> None:
    """Not all of them are compared."""
    check_stored(stored(*map(str, range(MOST_COMPARED))), {Dimension.USER: ["x"]})
