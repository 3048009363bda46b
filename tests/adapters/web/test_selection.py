"""Filters in the address line, and the links that change them."""

import pytest
from starlette.datastructures import QueryParams

from snapshots.adapters.web.selection import PageLinks, read_selection
from snapshots.app.errors import InvalidQuery


def links(query: str, *more: tuple[str, str]) -> PageLinks:
    return PageLinks(read_selection("/", QueryParams(query)), *more)


@pytest.mark.parametrize(
    ("query", "added", "target"),
    [
        ("", [], "/sessions"),
        ("country=CN", [("asn", "4134")], "/sessions?country=CN&asn=4134"),
        ("country=CN&country=US", [("country", "CN")], "/sessions?country=CN"),
        ("asn=1", [("asn", None)], "/sessions?asn=none"),
        ("did=login,command", [("did", "login")], "/sessions?did=login"),
        ("did=login", [("asn", "1"), ("did", "login,command")], "/sessions?asn=1&did=login"),
        ("not-country=CN", [("country", "US")], "/sessions?not-country=CN&country=US"),
        ("user=root", [("user", "root")], "/sessions?user=root"),
        ("span=all", [("country", "CN")], "/sessions?country=CN&span=all"),
    ],
)
def test_a_number_leads_to_its_sessions(query: str, added: list[tuple[str, str | None]], target: str) -> None:
    """Within those of the page: another value of the same filter would add sessions, so it is replaced."""
    assert links(query).sessions(*added) == target


def test_a_number_has_no_link_if_no_filter_selects_its_sessions() -> None:
    """Sessions that tried two user names cannot be asked for."""
    assert links("user=root").sessions(("user", "admin")) is None
    assert links("method=asof").sessions(("method", "country=inferred")) is None


def test_filters_of_the_page_are_part_of_its_links() -> None:
    """Such as the network of its path, and the newest week."""
    found = links("country=CN", ("asn", "4134"), ("since", "2026-11-01T00:00Z"))

    assert found.sessions() == "/sessions?country=CN&asn=4134&since=2026-11-01T00%3A00Z"


def test_a_selection_names_its_period_and_whether_it_asks_for_actions() -> None:
    """For the forms of the page."""
    found = read_selection("/", QueryParams("since=7d&did=login&span=all"))

    assert (found.period, found.is_active) == ({"since": "7d"}, True)
    assert found.parameters == [("since", "7d"), ("did", "login"), ("span", "all")]
    assert not read_selection("/", QueryParams("")).is_active


@pytest.mark.parametrize(
    ("query", "words"),
    [("contry=CN", "nearest: country"), ("span=all&span=all", "give span once"), ("asn=1&" * 65, "at most 64 filters")],
)
def test_a_wrong_parameter_is_refused(query: str, words: str) -> None:
    """With the nearest name."""
    with pytest.raises(InvalidQuery, match=words):
        read_selection("/", QueryParams(query))
