"""The report as a page: whole, true and harmless."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tools.build_report_picture import demo_page, digest_of

from snapshots.__main__ import main
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.html.formats import MINUS, visible
from snapshots.adapters.html.page import page_of
from snapshots.app.queries.comparisons.changes import Change, Changes
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.inventory_reports import Move
from snapshots.app.queries.session_queries import Dimension
from snapshots.composition.application import open_application
from tests.journeys.conftest import NEW, OLD

ATTACKS = [
    "</script><script>document.documentElement.dataset.owned = 1</script>",
    '<img src=x onerror="document.documentElement.dataset.owned = 1">',
    "\"><svg onload='document.documentElement.dataset.owned = 1'>",
    "{{ 7 * 7 }}<!--",
    "javascript:document.documentElement.dataset.owned=1",
    "\u202egpj.exe\x1b[31m",
]


class Seen(HTMLParser):
    """Everything of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two real logs, and of sessions in which the attacker typed code for the reader of the page."""
    folder = tmp_path_factory.mktemp("page")
    lines = []
    for n, text in enumerate(ATTACKS):
        shared = {"session": f"{n:012x}", "timestamp": f"2026-11-20T10:00:{n:02}Z", "src_ip": "8.8.8.8"}
        lines += [
            {"eventid": "cowrie.session.connect", "sensor": text, "protocol": "ssh", **shared},
            {"eventid": "cowrie.client.kex", "hassh": text, **shared},
            {"eventid": "cowrie.login.success", "username": text, "password": text, **shared},
            {"eventid": "cowrie.command.input", "input": text, **shared},
        ]
    (folder / "hostile.json").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    db = f"sqlite:///{folder}/test.db"
    assert main(["load", str(NEW), str(OLD), str(folder / "hostile.json"), "--db", db, "-q"]) == 0
    assert main(["report", "--html", str(folder / "report.html"), "--top", "200", "--db", db]) == 0
    return folder / "report.html"


def test_the_page_loads_nothing_from_the_network(page: Path) -> None:
    """No element has an external address, and the policy names the hash of every script and style."""
    text = page.read_text()
    seen = Seen(text)
    (policy,) = [
        attrs["content"] for tag, attrs in seen.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    named = set(re.findall(r"'sha256-([^']+)'", policy))

    inline = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", text, re.DOTALL)
    assert {base64.b64encode(sha256(part.encode()).digest()).decode() for part in inline} == named
    assert len(inline) == 2
    sources = {attrs[name] for _, attrs in seen.elements for name in ("src", "href", "action", "data") if name in attrs}
    assert sources == {"data:,"}
    assert len(text) < 2_000_000


def test_input_of_an_attacker_is_shown_as_text(page: Path) -> None:
    """It creates no element and no attribute."""
    seen = Seen(page.read_text())

    assert {tag for tag, _ in seen.elements} & {"img", "iframe", "object", "form", "a"} == set()
    assert [name for _, attrs in seen.elements for name in attrs if name.startswith("on")] == []
    assert [tag for tag, _ in seen.elements].count("script") == 1
    shown = "".join(seen.texts)
    for text in ATTACKS[:5]:
        assert text in shown
    assert "\\u202egpj.exe\\u001b[31m" in shown
    assert "\x1b" not in page.read_text()


def text_of(page: str) -> str:
    """Return the text of a page as a reader sees it, with plain spaces."""
    return " ".join(" ".join(Seen(page).texts).split())


def test_the_page_separates_facts_as_of_the_attack_from_inferred_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For sessions of 2018 and tables of 2026, no text suggests that the facts were known at the time."""
    db = f"sqlite:///{tmp_path}/test.db"
    lines = [
        {"eventid": "cowrie.session.connect", "session": f"{n:012x}", "timestamp": at, "src_ip": "8.8.8.8"}
        for n, at in enumerate(["2018-02-03T10:00:00Z"] * 3 + ["2026-10-10T10:00:00Z"])
    ]
    (tmp_path / "cowrie.json").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert main(["load", str(tmp_path / "cowrie.json"), "--db", db]) == 0
    assert "3 of the new snapshots are inferred" in capsys.readouterr().out
    assert main(["report", "--html", str(tmp_path / "report.html"), "--db", db]) == 0

    page = (tmp_path / "report.html").read_text()
    text = text_of(page)
    inferred = "the network of 3, the country of 3, the IP type of 3 sessions (hatched below)"
    assert f"Inferred from tables made after the attack: {inferred}" in text
    assert not re.search("known at the time|who attacked, then|Everything known was published", text, re.IGNORECASE)
    assert "ASN 100 % 25 % 75 %" in text, "known, as of, inferred"
    assert "country stated up to 90 days before the attack (1), longer after the attack (3)" in text
    assert "United States: 4 sessions, of which 3 inferred" in text
    assert 'fill="url(#tone-' in page, "most are inferred, so the country is hatched"


def test_facts_as_of_the_attack_are_stated_as_such(tmp_path: Path) -> None:
    """Then nothing is hatched."""
    db = f"sqlite:///{tmp_path}/test.db"
    line = {"eventid": "cowrie.session.connect", "session": "0a", "timestamp": "2026-10-10T10:00:00Z"}
    (tmp_path / "cowrie.json").write_text(json.dumps(line | {"src_ip": "8.8.8.8"}) + "\n")
    assert main(["load", str(tmp_path / "cowrie.json"), "--db", db, "-q"]) == 0
    assert main(["report", "--html", str(tmp_path / "report.html"), "--db", db]) == 0

    page = (tmp_path / "report.html").read_text()
    assert "Everything known was published by the time of the attack." in text_of(page)
    body = page.split("</defs>")[1].split("<footer>")[0]
    assert "url(#" not in body


def test_the_page_has_the_same_numbers_as_the_json_output(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both come from the same report."""
    db = f"sqlite:///{page.parent}/test.db"
    assert main(["report", "--format", "json", "--top", "200", "--db", db]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    text = text_of(page.read_text())

    def number(value: int) -> str:
        return f"{value:,}".replace(",", " ")

    assert f"Sessions {number(document['sessions'])} Addresses {number(document['addresses'])}" in text
    for row in document["countries"][:10]:
        assert re.search(f"{row['country']} {number(row['sessions'])} [0-9 ]*{number(row['addresses'])} ", text)
    for row in document["networks"]:
        if row["asn"] is not None:
            assert re.search(f"AS{row['asn']} .*? {number(row['sessions'])} {number(row['addresses'])} ", text)
    assert sum(row["sessions"] for row in document["timeline"]["counts"]) == document["sessions"]
    for row in document["users"]:
        assert f"{visible(row['user'], 48) or '(empty)'} {number(row['sessions'])}" in text
    assert {row["command"] for row in document["commands_typed"]} >= {ATTACKS[0]}
    assert {typed["command"] for row in document["campaigns"] for typed in row["commands"]} & set(ATTACKS)
    assert sorted(document["changed"]) == sorted(
        ["since", "until", "sessions", "before", "before_empty_until", "asn", "country", "ip-type", "commands"]
    )
    period = document["changed"]
    assert f"{number(period['sessions'])} session" in text
    for change in period["asn"]["appeared"][:5]:
        assert f"AS{change['value']}" in text


def test_the_picture_in_the_docs_is_current() -> None:
    """If it is not, run tools/build_report_picture.py."""
    assert Path("docs/report.sha256").read_text().strip() == digest_of(demo_page())


def test_an_empty_database_has_a_page_with_the_next_step(tmp_path: Path) -> None:
    """No empty charts."""
    db = f"sqlite:///{tmp_path}/test.db"
    assert main(["migrate", "--db", db]) == 0
    assert main(["report", "--html", str(tmp_path / "report.html"), "--db", db]) == 0

    text = text_of((tmp_path / "report.html").read_text())
    assert "No sessions are stored yet. Load a log with snapshots load cowrie.json" in text
    assert "Sessions on the map" not in text


def test_the_page_counts_sessions_whose_newest_table_is_too_old(page: Path) -> None:
    """As `drift` does: for each fact, with a recommendation."""
    with open_application(Settings(db=f"sqlite:///{page.parent}/test.db")) as application:
        overview = application.overview.overview(top=3)
    drift = replace(overview.drift, expired={"asn": 0, "country": 1, "ip_type": 1_500})

    text = text_of(page_of(replace(overview, drift=drift), version="1"))

    assert "country: 1 session has only tables that are too old for today" in text
    assert "IP type: 1,500 sessions have only tables that are too old for today" in text
    assert "ASN: " not in text


@pytest.mark.parametrize(
    ("compared", "changed", "sentence"),
    [
        (0, 0, "No session can be compared with today: no valid table is newer than both"),
        (5, 0, "no fact differs: ASN of 0 of 5"),
        (5, 2, "the facts of some sessions differ: ASN of 2 of 5"),
    ],
)
def test_the_page_states_whether_addresses_have_changed_since(
    page: Path, compared: int, changed: int, sentence: str
) -> None:
    """Without a newer table, it states that no comparison is possible."""
    with open_application(Settings(db=f"sqlite:///{page.parent}/test.db")) as application:
        overview = application.overview.overview(top=3)
    none = {"asn": 0, "country": 0, "ip_type": 0}
    moves = {"asn": [Move(then="1", now="2", sessions=2, addresses=1)] if changed else []}
    drift = replace(overview.drift, compared=none | {"asn": compared}, changed=none | {"asn": changed}, moves=moves)

    text = text_of(page_of(replace(overview, drift=drift), version="1"))

    assert sentence in text
    assert ("ASN 1 2 2" in text) == bool(changed)


def change(value: str, sessions: int, before: int) -> Change:
    return Change(value=value, name=f"Net {value}", sessions=sessions, before=before)


@pytest.mark.parametrize(
    ("sessions", "before", "sentence"),
    [
        (7, 0, "The newest 7 days had 7 sessions, none in the 7 days before."),
        (7, 7, "The newest 7 days had 7 sessions, as many as in the 7 days before."),
        (1, 3, "The newest 7 days had 1 session, 2 fewer than in the 7 days before."),
        (9, 3, "The newest 7 days had 9 sessions, 6 more than in the 7 days before."),
    ],
)
def test_the_first_sentences_state_what_is_new(page: Path, sessions: int, before: int, sentence: str) -> None:
    """With the largest growth and the largest fall by name."""
    with open_application(Settings(db=f"sqlite:///{page.parent}/test.db")) as application:
        overview = application.overview.overview(top=3)
    assert overview.period is not None
    begins = overview.period.since
    networks = Changes(
        appeared=[change("1", 5, 0), change("2", 1, 0)],
        disappeared=[change("3", 0, 9)],
        grown=[change("4", 6, 2)],
        fallen=[change("5", 1, 3)],
    )
    kinds = Changes(appeared=[Change(value="TOR", name=None, sessions=2, before=0)])
    countries = Changes(
        disappeared=[Change(value=code, name=None, sessions=0, before=1) for code in list(COUNTRY_NAMES)[:12]]
    )
    period = replace(
        overview.period,
        since=begins,
        until=begins + timedelta(days=7),
        sessions=sessions,
        sessions_before=before,
        changes={
            **overview.period.changes,
            Dimension.ASN: networks,
            Dimension.IP_TYPE: kinds,
            Dimension.COUNTRY: countries,
        },
    )

    made_at = period.until + timedelta(days=30)
    text = text_of(page_of(replace(overview, period=period, made_at=made_at), version="1"))

    assert sentence in text
    named = (
        f"New: AS1 Net 1 (+5) and 1 more network. Largest growth: AS4 Net 4 (+4). Largest fall: AS3 Net 3 ({MINUS}9)."
    )
    assert (named in text) == bool(before)
    assert "IP types that appeared: TOR (+2)." in text
    assert f"Countries that disappeared: Andorra ({MINUS}1), " in text
    assert " and 2 more." in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_a_real_browser_draws_it_without_a_network(page: Path, width: int, tmp_path: Path) -> None:
    """Every chart, no complaint, no script of an attacker, in light and on paper."""
    chromium = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    assert chromium is not None, "install Chromium, or leave these tests out: -m 'not browser'"
    command = [
        *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--window-size={width},4000"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr"),
        *(f"--user-data-dir={tmp_path}/profile", f"--screenshot={tmp_path}/shot.png", "--dump-dom", page.as_uri()),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)

    (html,) = [attrs for tag, attrs in Seen(done.stdout).elements if tag == "html"]
    assert html["data-ready"] == "true", "the script that sorts tables ran"
    assert "data-owned" not in html
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
