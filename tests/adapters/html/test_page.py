"""The report as a page: whole, true and harmless."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from snapshots.__main__ import main
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.html.page import page_of, timeline_of
from snapshots.app.queries.session_queries import Group, TimeBucket
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
    assert len(inline) == 3
    sources = {attrs[name] for _, attrs in seen.elements for name in ("src", "href", "action", "data") if name in attrs}
    assert sources == {"data:,"}
    assert len(text) < 2_000_000


def test_input_of_an_attacker_is_shown_as_text(page: Path) -> None:
    """It creates no element and no attribute."""
    seen = Seen(page.read_text())

    assert {tag for tag, _ in seen.elements} & {"img", "svg", "iframe", "object"} == set()
    assert [name for _, attrs in seen.elements for name in attrs if name.startswith("on")] == []
    assert [tag for tag, _ in seen.elements].count("script") == 3
    shown = "".join(seen.texts)
    for text in ATTACKS[:5]:
        assert text in shown
    assert "\\u202egpj.exe\\u001b[31m" in shown
    assert "\x1b" not in page.read_text()


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

    text = " ".join(" ".join(Seen((tmp_path / "report.html").read_text()).texts).split())
    assert "25.0% of sessions: every known fact as of the attack" in text
    assert "75.0% of sessions: a fact from a later table" in text
    assert not re.search("known at the time|who attacked, then", text, re.IGNORECASE)
    sentence = "known for 100.0% of 4 sessions: 25.0% with every known fact as of the attack, 75.0% with a fact from"
    assert f"At least one of network, country and type {sentence}" in text
    for fact in ("Country", "Network"):
        assert f"{fact} known for 100.0% of 4 sessions: 25.0% as of the attack, 75.0% from a table" in text
    assert "country stated up to 90 days before the attack (1), longer after the attack (3)" in text
    row = " ".join(text.split("AS15169")[1].split()[:8])
    assert "4 1 3 1" in row, "sessions, as of, inferred, addresses"


def test_the_page_has_the_same_numbers_as_the_json_output(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both come from the same report."""
    db = f"sqlite:///{page.parent}/test.db"
    assert main(["report", "--format", "json", "--top", "200", "--db", db]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    drawn = json.loads(
        re.findall(r'<script id="chart-data" type="application/json">(.*?)</script>', page.read_text())[0]
    )

    assert drawn["countries"] == {
        "labels": [row["country"] or "not known" for row in document["countries"]],
        "values": [row["sessions"] for row in document["countries"]],
        "asof": [row["asof"] or 0 for row in document["countries"]],
    }
    coverage = document["coverage"]
    assert sum(coverage["by_source"].values()) == coverage["sessions"]["fields"]["snapshot"]["count"]
    assert drawn["networks"]["values"] == [row["sessions"] for row in document["networks"]]
    assert sum(map(sum, drawn["timeline"]["types"].values())) == document["sessions"]
    assert sum(row["sessions"] for row in document["timeline"]["counts"]) == document["sessions"]
    assert [row["user"] for row in document["users"]][:1] == ["root"]
    assert {row["command"] for row in document["commands_typed"]} >= {ATTACKS[0]}
    assert {typed["command"] for row in document["campaigns"] for typed in row["commands"]} & set(ATTACKS)
    text = " ".join("".join(Seen(page.read_text()).texts).split())
    assert f"{document['sessions']:,}sessions" in text
    assert f"{document['spread_over_networks']['groups']:,}networks" in text


def test_the_page_counts_sessions_whose_newest_table_is_too_old(page: Path) -> None:
    """As `drift` does: for each fact, with a recommendation."""
    with open_application(Settings(db=f"sqlite:///{page.parent}/test.db")) as application:
        overview = application.overview.overview(top=3)
    drift = replace(overview.drift, expired={"asn": 0, "country": 1, "ip_type": 1_500})

    text = " ".join(" ".join(Seen(page_of(replace(overview, drift=drift), version="1")).texts).split())

    assert "country: 1 session has only tables that are too old for today" in text
    assert "IP type: 1,500 sessions have only tables that are too old for today" in text
    assert "ASN: " not in text


def test_a_timeline_has_no_hole() -> None:
    """Spans in which nothing was are there too, or the eye is led astray."""
    groups = [
        Group(values=(at, kind), sessions=n)
        for n, (at, kind) in enumerate([("2026-03-01", "VPN"), ("2025-12-01", None), ("2025-12-01", "else")], 1)
    ]

    found = timeline_of(groups, TimeBucket.MONTH)

    assert found["labels"] == ["2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01"]
    assert found["types"] == {"VPN": [0, 0, 0, 1], "not known": [2, 0, 0, 0], "else": [3, 0, 0, 0]}
    assert timeline_of([], TimeBucket.DAY) == {"labels": [], "types": {}}
    assert timeline_of([Group(values=("9999-12-01", None), sessions=1)], TimeBucket.MONTH)["labels"] == ["9999-12-01"]


def test_an_event_of_another_millennium_does_not_draw_thousands_of_bars() -> None:
    """The clock of a log may be wrong by any amount."""
    groups = [Group(values=(at, None), sessions=1) for at in ("0001-01-01", "2026-03-01", "9999-12-01")]

    assert timeline_of(groups, TimeBucket.MONTH)["labels"] == ["0001-01-01", "2026-03-01", "9999-12-01"]


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
    assert html["data-drawn"] == "4"
    assert "data-owned" not in html
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
