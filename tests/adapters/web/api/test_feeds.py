"""Feeds: many sessions for other programs, with conditional requests."""

import asyncio
import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.feeds.session_columns import EXPORT_COLUMNS
from snapshots.adapters.web.api import feeds
from snapshots.adapters.web.api.feeds import Feeds, FeedTooLong
from snapshots.adapters.web.api.parameters import Asked
from snapshots.adapters.web.selection import Selection
from snapshots.app.errors import StoreGone
from snapshots.app.queries.session_queries import SessionPage
from snapshots.composition.application import CommandApplication
from tests.adapters.web.api.conftest import ATTACK, PASSWORD, SESSION, Run, load
from tests.adapters.web.client import OPTIONS, site_client

FILTERS = {"since": "2026-11-19", "not-country": "DE"}
AS_OPTIONS = ["--since", "2026-11-19", "--not-country", "DE"]

EVERY = [
    "/feed/blocklist.txt",
    "/feed/sessions.csv",
    "/feed/sessions.json",
    "/feed/stix21.json",
    "/network/AS15169/abuse-report.txt",
]

LATER = ATTACK.replace(SESSION, "ba9876543210").replace("2026-11-20T10", "2026-11-21T10")


def test_csv_and_json_are_those_of_the_command(site: TestClient, run: Run) -> None:
    """With passwords left out."""
    table = site.get("/feed/sessions.csv", params=FILTERS)
    document = site.get("/feed/sessions.json", params=FILTERS)
    printed_csv = run("export", "--format", "csv", *AS_OPTIONS)
    printed_json = run("export", "--format", "ndjson", *AS_OPTIONS)

    assert PASSWORD in printed_csv
    assert table.text == printed_csv.replace(f'""{PASSWORD}""', "null")
    assert document.json() == [json.loads(line.replace(f'"{PASSWORD}"', "null")) for line in printed_json.splitlines()]
    assert next(csv.reader(io.StringIO(table.text))) == list(EXPORT_COLUMNS)
    assert table.headers["content-disposition"] == 'attachment; filename="sessions.csv"'


def test_no_cell_is_a_formula(site: TestClient) -> None:
    """User names are texts of attackers."""
    rows = list(csv.DictReader(io.StringIO(site.get("/feed/sessions.csv").text)))
    users = {row["user"] for row in rows}

    assert "'=1+1" in users
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_passwords_are_shown_if_the_operator_wants_it(loaded: str) -> None:
    """Else they are in no feed."""
    for shows in (False, True):
        with site_client(loaded, shows_passwords=shows) as client:
            texts = [client.get(path).text for path in EVERY]
            assert [PASSWORD in text for text in texts] == [False, shows, shows, False, False]


def test_a_bundle_and_a_report_are_those_of_the_command(site: TestClient, run: Run) -> None:
    """Equal sessions give equal bytes."""
    assert site.get("/feed/stix21.json", params=FILTERS).text == run("export", "--format", "stix", *AS_OPTIONS)
    report = site.get("/network/AS15169/abuse-report.txt", params=FILTERS)
    assert report.text == run("abuse-report", "15169", *AS_OPTIONS)
    assert report.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("style", ["plain", "cidr", "nftables", "ipset"])
def test_a_block_list_is_that_of_the_command(site: TestClient, run: Run, style: str) -> None:
    """In each style."""
    found = site.get("/feed/blocklist.txt", params={**FILTERS, "style": style, "min-sessions": 2})

    assert found.text == run("export", "--format", "blocklist", "--style", style, "--min-sessions", "2", *AS_OPTIONS)


def test_research_scanners_can_be_left_out(migrated_sqlite: str, tmp_path: Path) -> None:
    """By the list that comes with the program."""
    scanner = "162.142.125.7"
    load(migrated_sqlite, ATTACK + LATER.replace("8.8.4.4", scanner), tmp_path)
    with site_client(migrated_sqlite) as client:
        every = client.get("/feed/blocklist.txt").text.split()
        without = client.get("/feed/blocklist.txt?except-scanners=true").text.split()

    assert sorted(every) == [scanner, "8.8.4.4"]
    assert without == ["8.8.4.4"]


def test_an_empty_list_must_not_unblock(site: TestClient) -> None:
    """It is an error, unless it is asked for."""
    nothing = {"since": "2100-01-01"}
    refused = site.get("/feed/blocklist.txt", params=nothing)
    by_style = site.get("/feed/blocklist.txt", params={**nothing, "style": "nftables"})
    head = site.head("/feed/blocklist.txt", params=nothing)
    allowed = site.get("/feed/blocklist.txt", params={**nothing, "allow-empty": "true"})
    flushed = site.get("/feed/blocklist.txt", params={**nothing, "allow-empty": "true", "style": "nftables"})

    assert (refused.status_code, by_style.status_code, head.status_code) == (404, 404, 404)
    assert "use allow-empty=true" in refused.json()["detail"]
    assert (allowed.status_code, allowed.text) == (200, "")
    assert "flush set" in flushed.text


@pytest.mark.parametrize("path", EVERY)
def test_the_tag_changes_with_the_data_only(migrated_sqlite: str, tmp_path: Path, path: str) -> None:
    """A client with a current copy gets no second one; after a load it does."""
    load(migrated_sqlite, ATTACK, tmp_path)
    with site_client(migrated_sqlite) as client:
        first = client.get(path)
        tag = first.headers["etag"]
        again = client.get(path, headers={"If-None-Match": f'"other", {tag}'})
        head = client.head(path)
        old_head = client.head(path, headers={"If-None-Match": tag})
        load(migrated_sqlite, LATER.replace("8.8.4.4", "8.8.8.8"), tmp_path)
        later = client.get(path, headers={"If-None-Match": tag})

    assert (again.status_code, again.text, again.headers["etag"]) == (304, "", tag)
    assert (head.status_code, head.text, head.headers["etag"]) == (200, "", tag)
    assert old_head.status_code == 304
    assert later.status_code == 200
    assert later.headers["etag"] != tag
    assert later.text != first.text
    assert first.headers["cache-control"] == "private, no-cache"


def test_other_filters_and_options_have_other_tags(site: TestClient) -> None:
    """So that no copy is taken for another one."""
    paths = [
        *EVERY,
        "/feed/sessions.csv?since=2026-11-20",
        "/feed/sessions.csv?until=2026-11-20",
        "/feed/sessions.csv?country=US",
        "/feed/sessions.csv?not-country=US",
        "/feed/blocklist.txt?style=cidr",
        "/feed/blocklist.txt?min-sessions=2",
        "/network/AS4134/abuse-report.txt",
    ]
    tags = [site.get(path).headers["etag"] for path in paths]

    assert len(set(tags)) == len(tags)


def test_the_tag_follows_a_relative_time(site: TestClient) -> None:
    """It changes when a session leaves the period, and not before: the newest session before it is in the tag."""
    times = sorted(row["first_event_at"] for row in site.get("/api/v1/sessions?limit=1000").json()["rows"])
    older, newer = times[3], times[4]
    assert older < newer

    def tag(since: str) -> str:
        return str(site.head("/feed/sessions.csv", params={"since": since}).headers["etag"])

    between = (datetime.fromisoformat(older) + timedelta(microseconds=1)).isoformat()

    assert tag(older) != tag(newer)
    assert tag(between) == tag(newer)


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds of at most two rows."""
    for name in ("MOST_SESSIONS", "MOST_ADDRESSES"):
        monkeypatch.setattr(feeds, name, 2)


@pytest.mark.usefixtures("two_rows")
@pytest.mark.parametrize("path", ["/feed/blocklist.txt", "/network/AS4134/abuse-report.txt"])
def test_a_feed_that_would_be_cut_is_refused(site: TestClient, path: str) -> None:
    """With what to do instead."""
    found = site.get(path)

    assert found.status_code == 400
    assert "at most 2" in found.json()["detail"]
    assert "add filters such as since=30d" in found.json()["detail"]


class Failing:
    """The application with a database that fails after some pages of sessions."""

    def __init__(self, application: CommandApplication, pages: int) -> None:
        self._application = application
        self._pages = pages

    def __getattr__(self, name: str) -> Any:
        return self if name == "session_queries" else getattr(self._found, name)

    @property
    def _found(self) -> Any:
        return self._application

    def concentration(self, *given: Any) -> Any:
        return self._application.session_queries.concentration(*given)

    def lines(self, *given: Any, limit: int, **more: Any) -> SessionPage:
        if not self._pages:
            raise StoreGone("the server restarts")
        self._pages -= 1
        return self._application.session_queries.lines(*given, limit=3, **more)


async def sent_by(handlers: Feeds, is_head: bool = False) -> list[Message]:
    """Return what a feed of sessions sends to a server."""
    asked = Asked("sessions_json", Selection("", (), {}), {}, "", is_head=is_head)
    response = await handlers.sessions_json(asked)
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await response({"type": "http"}, receive, send)
    return sent


def test_a_feed_that_breaks_has_no_end(loaded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server then closes the connection, so that a client sees that its copy is a part."""
    monkeypatch.setattr(feeds, "CHUNK", 1)
    application = CommandApplication(Settings(db=loaded))
    data: Any = Failing(application, 2)
    handlers = Feeds(data, OPTIONS)
    broken = asyncio.run(sent_by(handlers))
    data._pages = -1
    whole = asyncio.run(sent_by(handlers))
    application.close()

    assert len(broken) == 1 + 6
    assert broken[-1]["more_body"]
    assert not whole[-1]["more_body"]
    assert len(json.loads(b"".join(each["body"] for each in whole[1:]))) > 6
    assert handlers._open == 0


def test_a_feed_that_grows_too_long_has_no_end() -> None:
    """Sessions may be loaded after they were counted."""
    lines = feeds._at_most(2, iter([1, 2, 3]))

    assert [next(lines), next(lines)] == [1, 2]
    with pytest.raises(FeedTooLong):
        next(lines)


def test_answers_without_content_send_none_and_hold_no_place(loaded: str) -> None:
    """Neither HEAD nor a client with a current copy uses up the feeds that may be sent at a time."""
    application = CommandApplication(Settings(db=loaded))
    handlers = Feeds(application, OPTIONS)
    sent = [asyncio.run(sent_by(handlers, is_head=True)) for _ in range(feeds.MOST_FEEDS + 1)]
    start, content = sent[-1]
    names = [name for name, _ in start["headers"]]
    application.close()

    assert (content["body"], content.get("more_body", False)) == (b"", False)
    assert b"etag" in names
    assert b"content-length" not in names  # that of the feed is unknown
    assert handlers._open == 0


def test_few_feeds_are_sent_at_a_time(loaded: str) -> None:
    """More are refused, and may be asked again."""
    application = CommandApplication(Settings(db=loaded))
    handlers = Feeds(application, OPTIONS)
    handlers._open = feeds.MOST_FEEDS
    asked: Any = None

    async def answer() -> Any:
        return await handlers._answer(asked, "text/plain", lambda _: iter(()))

    found = asyncio.run(answer())
    application.close()

    assert found.status_code == 503
    assert found.headers["retry-after"] == "30"


def test_compressed_feeds_are_the_same(site: TestClient) -> None:
    """The tag is weak: it is that of both."""
    plain = site.get("/feed/sessions.csv", headers={"Accept-Encoding": "identity"})
    packed = site.get("/feed/sessions.csv", headers={"Accept-Encoding": "gzip"})

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert packed.headers["etag"] == plain.headers["etag"]
    assert plain.headers["etag"].startswith("W/")
