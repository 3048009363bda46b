"""The site in a real browser, under its policy and without a network."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from snapshots.__main__ import main
from tests.adapters.web.sample import load_sample, session

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/?span=all",
    "/?country=ZW&user=root",
    "/sessions",
    "/facts",
    "/network/AS4134?span=all",
    "/address/8.8.8.8",
    "/address/2a00:1450:4001::1",
    "/session/000000000000",
    "/session/000004000000",
    "/sessions?country=nowhere",
)
LONGEST_WAIT = 30_000
"""Milliseconds to wait for something to appear."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser")
    load_sample(folder, f"sqlite:///{folder}/test.db")
    return f"sqlite:///{folder}/test.db"


@pytest.fixture(scope="module")
def site(url: str) -> Iterator[str]:
    """The address of a server of the site, a process of its own."""
    command = [sys.executable, "-u", "-m", "snapshots", "serve", "--listen", "127.0.0.1:0", "--db", url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        found = re.search(r"http://[0-9.:]+", server.stderr.readline())
        assert found is not None
        yield found[0]
        server.terminate()
        server.stderr.read()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="sh run browser installs playwright")
    chromium = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := which(name))), "")
    assert chromium, "install Chromium, or leave these tests out: -m 'not browser'"
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield opened
        opened.close()


class Window:
    """A page of the browser that records what it complains of, and which other servers it asks."""

    def __init__(self, browser: Any, site: str, **options: Any) -> None:
        self.complaints: list[str] = []
        self._site = site
        self.context = browser.new_context(base_url=site, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(LONGEST_WAIT)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self._site, "data:")):
            self.complaints.append(request.url)

    def open(self, path: str) -> Any:
        self.page.goto(path)
        return self.page


@pytest.fixture
def window(browser: Any, site: str) -> Iterator[Window]:
    made = Window(browser, site, viewport={"width": 1280, "height": 900})
    yield made
    made.context.close()


def owned(page: Any) -> object:
    return page.evaluate("document.documentElement.dataset.owned ?? null")


@pytest.mark.parametrize("width", [360, 400, 768, 1280, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_is_quiet(browser: Any, site: str, width: int, scheme: str) -> None:
    """No sideways scrolling, no console message, no request to another server, no script of an attacker."""
    window = Window(browser, site, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in PAGES:
        page = window.open(path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert (path, wide) == (path, min(wide, width))
        assert owned(page) is None, path
    window.context.close()
    assert [each for each in window.complaints if "status of 400" not in each] == []


@pytest.mark.parametrize("path", ["/", "/sessions", "/facts", "/session/000000000000"])
def test_pages_are_readable_without_javascript(browser: Any, site: str, window: Window, path: str) -> None:
    """The same tables; a script only adds what does not work without it."""
    plain = Window(browser, site, java_script_enabled=False)
    without = plain.open(path).locator("main table").all_inner_texts()
    with_script = window.open(path).locator("main table").all_inner_texts()
    plain.context.close()

    def words(tables: Sequence[str]) -> Sequence[Sequence[str]]:
        return [table.split() for table in tables]

    assert words(without) == words(with_script)
    assert without


def test_a_click_on_a_country_filters_and_back_returns(window: Window) -> None:
    """On the map: the address line has the filter."""
    page = window.open("/?span=all")
    page.locator('.map a:has(use[href$="#CN"])').click()
    page.wait_for_url(re.compile(r"country=CN"))
    assert page.locator(".chip", has_text="country CN").is_visible()
    page.go_back()

    assert "country" not in page.url
    assert window.complaints == []


def drag(page: Any, *, then: str = "") -> None:
    """Drag over the right half of the timeline, from column to column."""
    box = page.locator("svg.columns").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.99, middle, steps=4)
    if then:
        page.keyboard.press(then)
    page.mouse.up()


def test_a_drag_over_the_timeline_selects_its_period(window: Window) -> None:
    """From the start of its first column to the end of its last one; Escape cancels it."""
    path = "/?since=2026-11-13&until=2026-11-27"
    page = window.open(path)
    drag(page, then="Escape")
    assert page.url.endswith(path)
    assert page.locator(".brush").get_attribute("width") == "0"

    drag(page)
    page.wait_for_url(re.compile(r"since=2026-11-\d\dT00%3A00Z&until=2026-11-25T00%3A00Z"))
    assert window.complaints == []


def test_a_period_is_selected_with_the_keyboard(window: Window) -> None:
    """By the form for dates, and by the table of the timeline."""
    page = window.open("/?span=all")
    page.locator("summary", has_text="Dates").press("Enter")
    page.get_by_label("From").fill("2026-11-20")
    page.get_by_label("Until, exclusive").fill("2026-11-22")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("since=2026-11-20&until=2026-11-22"))

    assert page.get_by_role("heading", level=1).inner_text().startswith("7 sessions")


def test_a_new_session_appears_at_the_top_and_is_counted_while_paused(window: Window, url: str, tmp_path: Path) -> None:
    """Another process loads it."""
    page = window.open("/?span=all")
    page.locator(".live-state", has_text="Live.").wait_for()

    def load(name: str, text: str) -> None:
        at = datetime.now(UTC) - timedelta(seconds=30)
        lines = session(name, at, "9.9.9.9", text, "vps9")
        (tmp_path / f"{name}.json").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        assert main(["load", "-q", str(tmp_path / f"{name}.json"), "--db", url]) == 0

    load("00000000f001", "<script>document.documentElement.dataset.owned = 1</script>")
    page.locator('tr[data-session="00000000f001"]').wait_for()
    assert page.locator(".sessions tbody tr").first.get_attribute("data-session") == "00000000f001"
    assert page.locator(".live-state").inner_text() == "Live, 1 new."

    page.get_by_role("button", name="Pause").click()
    load("00000000f002", "x")
    page.locator(".live-state", has_text="Paused, 1 new.").wait_for()
    assert page.locator('tr[data-session="00000000f002"]').count() == 0
    page.get_by_role("button", name="Show").click()
    page.locator('tr[data-session="00000000f002"]').wait_for()
    assert owned(page) is None
    assert window.complaints == []


def test_a_phone_shows_five_rows_and_then_the_others(browser: Any, site: str) -> None:
    """Without a script; a printed page has all."""
    window = Window(browser, site, viewport={"width": 400, "height": 900}, java_script_enabled=False)
    page = window.open("/?span=all")
    section = page.locator('section[aria-labelledby="networks"]')
    assert section.locator("tbody tr:visible").count() == 5
    page.emulate_media(media="print")
    assert section.locator("tbody tr:visible").count() > 5
    page.emulate_media(media="screen")
    section.locator("summary").click()

    assert section.locator("tbody tr:visible").count() > 5
    window.context.close()
