"""Words for sessions, times and filters."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from snapshots.adapters.web import view
from snapshots.adapters.web.selection import read_selection
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.nearest_statements import TypeLeftOut

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOT = StoredLogin("root", None, None, 1, 1)


@pytest.mark.parametrize(
    ("counts", "logins", "seconds", "sentence"),
    [
        ({}, [], 0, "Connected."),
        ({}, [], 1, "Connected and left after 1 second."),
        ({"login_attempts": 1}, [], 90, "Tried 1 login and left after 90 seconds."),
        (
            {"login_attempts": 2, "command_count": 5},
            [ROOT],
            180,
            "Logged in as root, typed 5 commands and left after 3 minutes.",
        ),
        (
            {"command_count": 1, "file_downloads": 1, "file_uploads": 2, "forward_count": 3},
            [ROOT],
            0,
            (
                "Logged in as root, typed 1 command, fetched 1 file, sent 2 files and asked for 3 connections to other"
                " hosts."
            ),
        ),
        ({}, [ROOT._replace(username="\u202eevil" * 9)], 7300, "after 2 hours."),
        ({"forward_count": 1}, [ROOT._replace(username="")], 0, "as a user without a name and asked for 1 connection"),
    ],
)
def test_a_session_is_a_sentence(
    counts: dict[str, Any], logins: list[StoredLogin], seconds: int, sentence: str
) -> None:
    """With singular and plural, and without invisible characters."""
    session = SessionSummary("s", NOON, NOON + timedelta(seconds=seconds), 1, **counts)
    explanation: Any = SimpleNamespace(session=session)

    found = view.sentence(explanation, logins)

    assert sentence in found
    assert found.endswith(".")
    assert "\u202e" not in found


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=-1), ""),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=729), "729 d ago"),
        (timedelta(days=730), "2 y ago"),
    ],
)
def test_a_time_is_relative_to_now(passed: timedelta, words: str) -> None:
    """In whole units; nothing for the future."""
    assert view.ago(NOON - passed, NOON) == words


def test_ages_are_whole_days() -> None:
    """Singular and plural."""
    assert view.days_since(NOON - timedelta(days=1, hours=23), NOON) == "1 day"
    assert view.days_since(NOON - timedelta(days=88), NOON) == "88 days"
    assert view.days_since(NOON + timedelta(days=1), NOON) == ""


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ((9, 9, 9), "Every session has a network, a country and an IP type."),
        ((9, 9, 5), "Every session has a network and a country, 56 % an IP type."),
        ((3, 0, 0), "33 % of the sessions have a network, 0 % a country, 0 % an IP type."),
    ],
)
def test_the_headline_of_the_facts_states_what_is_known(known: tuple[int, int, int], sentence: str) -> None:
    """Of the sessions whose address tables can know."""
    by_field = dict(zip(("asn", "country", "ip_type"), known, strict=True))
    coverage: Any = SimpleNamespace(reachable=9, by_field=by_field)

    assert view.stated(coverage).replace("\u202f", " ") == sentence
    assert "No session" in view.stated(SimpleNamespace(reachable=0))  # type: ignore[arg-type]


def test_facts_that_were_not_used_have_a_reason() -> None:
    """The network of a session, its types, and what its sources disagree on."""
    left = TypeLeftOut(
        source="iporigin",
        ip_type=IpType.TOR,
        others=(),
        distance=timedelta(days=50),
        bound=timedelta(days=14),
        is_after=False,
    )
    asn = SimpleNamespace(asn=7, source="dbip", in_use_since=NOON)
    explanation: Any = SimpleNamespace(
        asns_left_out=[asn], disagreements={"country": {"dbip": "DE", "other": "FR"}}, types_left_out=[left]
    )

    assert view.doubts(explanation) == [
        "AS7 (dbip) was not in use before 2026-11-24, so it is not used.",
        "Sources disagree on the country: DE (dbip), FR (other).",
        "Tor, which iporigin states 50.0 days before the attack, is not used: the limit is 14.0 days.",
    ]


def test_an_empty_page_names_what_to_remove() -> None:
    """And nothing if there is no filter."""
    one = read_selection("/sessions", QueryParams("country=<b>"))

    assert view.empty(one) == 'No sessions match. Remove <a href="/sessions">country &lt;b&gt;</a>?'
    assert view.empty(read_selection("/", QueryParams(""))) == ""
    assert view.empty(read_selection("/", QueryParams("since=24h"))).endswith(
        'or look at <a href="/">the newest week</a>?'
    )
