"""The pages: every link leads on, every number is true, and every page is valid and harmless."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.testclient import TestClient

from snapshots.__main__ import main
from tests.adapters.html.test_page import ATTACKS, Seen
from tests.adapters.web.client import site_client
from tests.adapters.web.sample import load_sample

SIGNATURE = re.compile(r"/behaviour/commands/([0-9a-f]+)")
PAGES = (
    "/",
    "/?span=all",
    "/?since=2026-11-20&until=2026-11-27",
    "/?span=all&did=login,command",
    "/?country=ZW&user=root",
    "/sessions",
    "/facts",
    "/network/AS4134",
    "/network/AS15169?since=2026-11-20",
    "/behaviour/client/none?span=all",
    "/address/8.8.8.8",
    "/address/2a00:1450:4001::1",
    "/session/000000000000",
    "/session/000004000000",
    "/session/none-such",
    "/sessions?country=nowhere",
)
FILES = ("/feed/", "/static/", "/api/")
"""Beginnings of paths that are no pages."""

FORBIDDEN = {"style", "iframe", "object", "embed", "img", "base"}
VOID = {"meta", "link", "input", "br", "img", "hr"}
MOST_ALIKE = 1
"""Pages with the same kind of path and the same parameters that the crawler visits."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pages")
    load_sample(folder, f"sqlite:///{folder}/test.db")
    return f"sqlite:///{folder}/test.db"


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[TestClient]:
    with site_client(url) as opened:
        yield opened


class Checked(HTMLParser):
    """The elements of a page: balanced, with unique ids, names for fields, captions, and no inline code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self._open: list[str] = []
        self._ids: Counter[str] = Counter()
        self._tables: list[bool] = []
        self._named: list[str] = []
        self.feed(page)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self._open]
        self.problems += [f"id {name} occurs {count} times" for name, count in self._ids.items() if count > 1]
        self.problems += [f"nothing has the id {name}" for name in self._named if name not in self._ids]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.problems += [f"<{tag} {given}>: {words}" for words in self._problems_of(tag, given)]
        self._ids.update([given["id"]] if "id" in given else [])
        self._named += given.get("aria-labelledby", "").split()
        if tag == "table":
            self._tables.append(False)
        if tag == "caption":
            self._tables[-1] = True
        if tag not in VOID:
            self._open.append(tag)

    def _problems_of(self, tag: str, given: dict[str, str]) -> Iterator[str]:
        if any(name.startswith("on") or name == "style" for name in given) or tag in FORBIDDEN:
            yield "inline code, style or content of others"
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            yield "a script is inline or foreign"
        is_field = tag in {"input", "select"} and given.get("type") != "hidden"
        if is_field and "aria-label" not in given and "label" not in self._open:
            yield "no label"
        if tag == "th" and "scope" not in given:
            yield "no scope"
        targets = [given[name] for name in ("href", "action", "src") if name in given]
        if any(not target.startswith(("/", "#")) or target.startswith("//") for target in targets):
            yield "leaves the site"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "table" and not self._tables.pop():
            self.problems.append("a table has no caption")
        if self._open[-1:] != [tag]:
            self.problems.append(f"</{tag}> closes {self._open[-1:]}")
        else:
            self._open.pop()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_valid(client: TestClient, path: str) -> None:
    """Balanced tags, unique ids, captions, labels, no inline style or script, no link to another site."""
    page = client.get(path).text

    assert page.startswith("<!doctype html>")
    assert Checked(page).problems == []


@pytest.mark.parametrize("path", PAGES)
def test_texts_of_attackers_create_no_element(client: TestClient, path: str) -> None:
    """They are shown as text, without invisible characters."""
    page = client.get(path).text

    assert "\x1b" not in page
    assert "\u202e" not in page
    assert not {tag for tag, _ in Seen(page).elements} & {"img", "iframe", "object"}
    assert page.count("<script") == 1


def test_what_an_attacker_typed_is_shown(client: TestClient) -> None:
    """As it was typed, in the page of its session."""
    page = client.get("/session/000000000000").text

    assert ATTACKS[0] in "".join(Seen(page).texts)
    assert ATTACKS[0] not in page


def links_of(page: str) -> set[str]:
    return {
        target.partition("#")[0]
        for tag, attrs in Seen(page).elements
        for name in ("href", "data-live")
        if (target := attrs.get(name)) and tag in {"a", "section"} and target.startswith("/")
    }


def shape_of(link: str) -> tuple[str, tuple[str, ...]]:
    parts = urlsplit(link)
    return parts.path.split("/")[1], tuple(sorted({name for name, _ in parse_qsl(parts.query)}))


@pytest.mark.parametrize("visited", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_every_link_leads_to_a_page(client: TestClient, visited: int) -> None:
    """Of pages with the same kind of path and the same parameters, one is visited."""
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    waiting, found = ["/", "/facts"], {"/", "/facts"}
    for _ in range(visited):
        link = waiting.pop(0)
        answer = client.get(link, follow_redirects=True)
        assert answer.status_code == 200, link
        for each in sorted(links_of(answer.text) - found):
            found.add(each)
            is_file = each.startswith((*FILES, "/live")) or each.partition("?")[0].endswith(".txt")
            if not is_file and len(parse_qsl(urlsplit(each).query)) <= 2 and seen[shape_of(each)] < MOST_ALIKE:
                seen[shape_of(each)] += 1
                waiting.append(each)
    assert {shape[0] for shape in seen} >= {"", "sessions", "network", "address", "session", "behaviour"}


NUMBER = re.compile(r'<a href="(/sessions[^"]*)">([0-9\u202f]+)(?: sessions?)?</a>')


def query_count(url: str, target: str, capsys: pytest.CaptureFixture[str]) -> int:
    """Return the number of sessions that the command counts with the filters of a link."""
    options = [
        text for name, value in parse_qsl(urlsplit(target).query) if name != "span" for text in (f"--{name}", value)
    ]
    assert main(["query", "--by", "day", "--top", "10000", "--format", "json", "--db", url, *options]) == 0
    document = json.loads(capsys.readouterr().out)
    return sum(int(row["sessions"]) for row in document["rows"])


@pytest.mark.parametrize(
    "path",
    ["/?since=2026-11-20&until=2026-11-27", "/?span=all&did=login,download&sensor=vps1", "/network/AS15169?span=all"],
)
def test_each_number_is_that_of_the_command_with_the_same_filters(
    client: TestClient, url: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In headlines, figures and tables: a number leads to as many sessions as it counts."""
    page = re.sub(r"<dt>Addresses</dt><dd><a[^>]*>", "", client.get(path).text)
    found = [(unescape(target), int(text.replace("\u202f", ""))) for target, text in NUMBER.findall(page)]
    numbers = {(shape_of(target), count > 1): (target, count) for target, count in found}.values()

    assert len(numbers) >= 8
    wrong = {(target, count) for target, count in numbers if query_count(url, target, capsys) != count}
    assert wrong == set()


@pytest.mark.slow
def test_the_pages_are_the_same_on_both_databases(client: TestClient, migrated_postgresql: str, tmp_path: Path) -> None:
    """But for the run that loaded the sessions and the time of the page."""
    load_sample(tmp_path, migrated_postgresql)
    with site_client(migrated_postgresql) as other:
        for path in PAGES:
            one, two = (plain(each.get(path, follow_redirects=True).text) for each in (client, other))
            assert one == two, path


def plain(page: str) -> str:
    text = " ".join(" ".join(Seen(page).texts).split())
    text = re.sub(r"\d{8}T\d{6}-[0-9a-f]+", "RUN", text)
    text = re.sub(r"(sqlite|postgresql)\S*:\S+", "DATABASE", text)
    return re.sub(r"Made \d{4}-\d\d-\d\d \d\d:\d\d|\d+ (min|h|d|y) ago|just now", "", text)


def test_the_page_of_nothing_names_the_filters_to_remove(client: TestClient) -> None:
    """Each is a link that removes it."""
    page = client.get("/?country=ZW&user=root").text

    assert '<a href="/?user=root">country ZW</a> or <a href="/?country=ZW">user root</a>' in page
    assert '<a href="/?country=ZW&amp;user=root&amp;span=all">all times</a>?' in page


def test_the_map_is_sent_once(client: TestClient) -> None:
    """Pages use the outlines of a file that browsers keep."""
    page = client.get("/").text
    (file,) = {target.partition("#")[0] for target in re.findall(r'<use [^>]*href="([^"]+)"', page)}
    answer = client.get(file)

    assert answer.headers["content-type"] == "image/svg+xml"
    assert "immutable" in answer.headers["cache-control"]
    assert {f'id="{code}"' in answer.text for code in ("land", "CN", "US", "SG")} == {True}
    assert len(page) < 110_000


def test_a_page_without_a_newer_table_has_no_column_for_now(client: TestClient) -> None:
    """But a sentence that states it and what to do."""
    page = client.get("/session/000000000000").text

    assert "Not shown: no valid table is newer than this attack" in page
    assert 'data-label="Now"' not in page


def test_a_session_without_an_address_states_why_it_has_no_facts(client: TestClient) -> None:
    """And shows no table about the address that it does not have."""
    text = " ".join(" ".join(Seen(client.get("/session/000004000000").text).texts).split())

    assert "The log has no address of it." in text
    assert "No snapshot. No event of the session names a valid source address. The record" in text
    assert "What each table states" not in text


def test_several_honeypots_are_listed_as_filters(client: TestClient) -> None:
    """With a link to the sessions of each."""
    page = client.get("/?span=all").text

    assert '<h2 id="honeypots">Honeypots</h2>' in page
    assert '<a href="/?sensor=vps1&amp;span=all">vps1</a>' in page
    assert "honeypots" not in client.get("/?sensor=vps1&span=all").text


def test_a_session_states_whether_a_list_rules_out_an_anonymizer(client: TestClient) -> None:
    """The list before the attack is too old; a very common password is shown as text."""
    page = client.get("/session/7b403337ee64").text

    assert "VPN, TOR or PROXY not known: iporigin of 2026-10-05, 49.1 days before the attack" in page
    assert "<code>123456</code>" in page


def test_then_and_now_are_those_of_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any attack of the address, also if many followed; an address that moved is shown as such."""
    monkeypatch.setattr("snapshots.adapters.web.pages.PER_PAGE", 1)
    url = f"sqlite:///{tmp_path}/test.db"
    today = datetime.now(UTC)
    log, table = tmp_path / "cowrie.json", tmp_path / "moved.csv"
    log.write_text(
        "".join(
            json.dumps(
                {
                    "eventid": "cowrie.session.connect",
                    "session": f"a{days:02}",
                    "timestamp": f"{today - timedelta(days=days):%Y-%m-%d}T10:00:00Z",
                    "src_ip": "8.8.8.8",
                }
            )
            + "\n"
            for days in (5, 4)
        )
    )
    table.write_text("start_ip,end_ip,asn,country\n8.8.8.0,8.8.8.255,64500,DE\n")
    as_of = f"{today - timedelta(days=2):%Y-%m-%d}"
    assert main(["load", "-q", str(log), "--db", url]) == 0
    assert main(["facts", "import", str(table), "--name", "moved", "--as-of", as_of, "--db", url]) == 0

    with site_client(url) as client:
        pages = [client.get(f"/session/{session}").text for session in ("a05", "a04")]
        address = client.get("/address/8.8.8.8").text

    assert [page.count('data-label="Now"') for page in pages] == [3, 3]
    assert all("AS64500" in page for page in pages)
    assert "It moved: AS15169 Google LLC when it attacked, AS64500" in address
