"""The HTTP API gives the documents of the commands."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.web.live import Reader
from snapshots.adapters.web.selection import Selection
from snapshots.adapters.web.site import Streams
from snapshots.app.queries.session_queries import SessionRow
from snapshots.composition.application import CommandApplication
from tests.adapters.web.api.conftest import PASSWORD, SESSION, Run
from tests.adapters.web.client import site_client

FILTERS = [("since", "2026-11-01"), ("did", "login,command"), ("not-country", "DE"), ("asn", "none"), ("asn", "15169")]

SAME = [
    ("groups/asn", ["query", "--by", "asn"], []),
    ("groups/asn,country", ["query", "--by", "asn", "--by", "country"], [("top", "3"), ("addresses", "true")]),
    ("groups/login", ["query", "--by", "login"], FILTERS),
    ("groups/day", ["query", "--by", "day"], []),
    ("groups/network", ["query", "--by", "network"], [("network-at", "today")]),
    (
        "groups/country",
        ["query", "--by", "country"],
        [("since", "2026-11-19"), ("until", "2026-11-22"), ("change", "true")],
    ),
    ("groups/hassh", ["query", "--by", "hassh"], [("since", "2100-01-01")]),
    ("sessions", ["query"], FILTERS),
    ("sessions", ["query"], [("limit", "2")]),
    ("sessions", ["query"], [("network-at", "today")]),
    (f"session/{SESSION}", ["explain", SESSION], []),
    (f"session/{SESSION[:6]}", ["explain", SESSION], []),
    ("address/8.8.4.4", ["facts", "show", "8.8.4.4"], []),
    ("overview", ["report"], FILTERS),
    ("network/AS15169", ["report", "--asn", "15169"], [("top", "2")]),
    ("drift", ["facts", "drift"], FILTERS),
    ("sources", ["facts", "sources"], []),
    ("news", ["news"], [("since", "2026-11-01"), ("top", "2")]),
]
"""Path, command, and parameters that both take."""

CLOCK = {"made_at", "until"}
"""Members that depend on the time of the question."""


def options_of(parameters: list[tuple[str, str]]) -> list[str]:
    return [part for name, value in parameters for part in ([f"--{name}"] if value == "true" else [f"--{name}", value])]


def without_clock(document: Any) -> Any:
    """Return a document without what depends on the time of the question, and without hidden passwords."""
    if isinstance(document, dict):
        return {
            name: None if value == PASSWORD else without_clock(value)
            for name, value in document.items()
            if name not in CLOCK
        }
    return [without_clock(each) for each in document] if isinstance(document, list) else document


@pytest.mark.parametrize(("path", "command", "parameters"), SAME)
def test_a_document_is_that_of_the_command(
    site: TestClient, run: Run, path: str, command: list[str], parameters: list[tuple[str, str]]
) -> None:
    """With the same filters, by the same names; texts of passwords aside."""
    found = site.get(f"/api/v1/{path}", params=parameters)
    printed = run(*command, "--format", "json", *options_of(parameters))

    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    assert without_clock(found.json()) == without_clock(json.loads(printed))


def test_pages_follow_each_other(site: TestClient) -> None:
    """By the cursor `next`; the last page has none."""
    whole = site.get("/api/v1/sessions", params={"limit": 1000}).json()
    ids, after = [], ""
    while True:
        page = site.get("/api/v1/sessions", params={"limit": 7, "after": after}).json()
        ids += [row["session_id"] for row in page["rows"]]
        after = page["next"]
        if not after:
            break

    assert ids == [row["session_id"] for row in whole["rows"]]
    assert len(ids) > 7


REFUSED = [
    ("/api/v1/groups/nothing", 400, "keys 'nothing' is not one of asn, network"),
    ("/api/v1/groups/asn,", 400, "keys '' is not one of asn, network"),
    ("/api/v1/groups/asn,network", 400, "name the same twice"),
    ("/api/v1/groups/login,user", 400, "name the same twice"),
    ("/api/v1/groups/day,week", 400, "give only one of hour, day, week and month"),
    ("/api/v1/groups/asn?change=true", 400, "--change needs --since"),
    ("/api/v1/groups/asn?addresses=", 400, "addresses '' is not true or false"),
    ("/api/v1/groups/asn?top=1001", 400, "top '1001' is not a number from 1 to 1,000"),
    ("/api/v1/groups/asn?top=%C2%B2", 400, "is not a number"),
    ("/api/v1/groups/asn?top=1&top=2", 400, "give top once"),
    ("/api/v1/groups/asn?cuontry=CN", 400, "there is no parameter 'cuontry' (nearest: country)"),
    ("/api/v1/groups/asn?country=Atlantis", 400, "'Atlantis' is not a country"),
    ("/api/v1/groups/asn?user=rooot", 400, "no session has the user 'rooot' (nearest: root"),
    ("/api/v1/groups/asn?network-at=yesterday", 400, "network-at 'yesterday' is not one of attack, today"),
    ("/api/v1/sessions?after=x", 400, "'x' is not a cursor"),
    ("/api/v1/sessions?since=2026-02-30", 400, "'2026-02-30' is not a time"),
    ("/api/v1/sources?asn=4134", 400, "there is no parameter 'asn' here"),
    ("/api/v1/news?until=now", 400, "--until cannot be used with news: the period always ends now"),
    ("/api/v1/network/4134?asn=1", 400, "asn cannot be combined with the network of the path"),
    ("/api/v1/network/chinanet", 400, "'chinanet' is not an ASN (use a number such as 4134 or AS4134)"),
    ("/api/v1/address/8.8.4", 400, "is not an IP address"),
    ("/api/v1/address/8.8.4.5", 404, "has no session from 8.8.4.5"),
    ("/api/v1/session/none", 404, "there is no session 'none' in sqlite:///"),
    ("/api/v1/session/", 404, "several session IDs start with this"),
    ("/api/v1/live?asn=x", 400, "'x' is not an ASN"),
    ("/api/v1/groups/asn?user=a%00b", 400, "a text with a NUL character is not valid"),
    ("/api/v1/session/%00", 400, "a text with a NUL character is not valid"),
    ("/api/v1/nothing", 404, "there is no such page"),
    ("/api/v2/overview", 404, "there is no such page"),
]


@pytest.mark.parametrize(("path", "status", "sentence"), REFUSED)
def test_a_wrong_request_is_refused_with_the_sentence_of_the_command(
    site: TestClient, path: str, status: int, sentence: str
) -> None:
    """As a problem document."""
    found = site.get(path)

    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    assert sentence in found.json()["detail"]
    assert found.json()["status"] == status


SECRET = ["groups/password", "groups/login", "overview", f"session/{SESSION}", "network/AS15169"]


@pytest.mark.parametrize("path", SECRET)
def test_passwords_are_left_out_unless_the_operator_shows_them(site: TestClient, loaded: str, path: str) -> None:
    """Very common ones are always shown."""
    parameters = {"top": "1000"} if not path.startswith("session/") else {}
    hidden = site.get(f"/api/v1/{path}", params=parameters).text
    with site_client(loaded, shows_passwords=True) as open_site:
        shown = open_site.get(f"/api/v1/{path}", params=parameters).text

    assert PASSWORD not in hidden
    assert '"123456"' in hidden
    assert PASSWORD in shown


class OnePage:
    """Feeds whose readers receive the newest session, and no more."""

    @contextmanager
    def reader(
        self, _key: object, query: Callable[[], Sequence[SessionRow]], text_of: Callable[[SessionRow], str]
    ) -> Iterator[Reader]:
        reader: Reader = asyncio.Queue()
        reader.put_nowait([text_of(query()[0])])
        reader.put_nowait(None)
        yield reader


def test_new_sessions_are_sent_as_documents(site: TestClient, loaded: str) -> None:
    """Each is a row of /api/v1/sessions, on one line."""
    (row,) = site.get("/api/v1/sessions", params={"limit": 1}).json()["rows"]
    application = CommandApplication(Settings(db=loaded))
    live: Any = OnePage()
    response = Streams(application, live, str).documents(Selection("", (), {}))

    found = TestClient(response, "http://127.0.0.1").get("/").text
    application.close()

    assert found.startswith(": still here\n\nevent: session\ndata: {")
    assert found.endswith("}\n\n")
    assert json.loads(found.partition("data: ")[2]) == row
