"""News: what appeared, grew or moved, and each value reported once."""

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.journeys.conftest import NEW, OLD, Run

BEFORE_ALL = ("--since", "2000-01-01")


def event(session: str, at: str, ip: str = "8.8.8.8", **more: object) -> str:
    """Return the line of a session of one event."""
    stated = {"eventid": "cowrie.session.connect", "session": session, "src_ip": ip, "timestamp": at, "sensor": "hp"}
    return json.dumps({**stated, **more}) + "\n"


@pytest.fixture
def posted() -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A server on loopback: its URL, and what was posted to it; paths that begin with /refuse get an error."""
    received: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, dict(self.headers), body))
            self.send_response(500 if self.path.startswith("/refuse") else 302 if "moved" in self.path else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_values_without_an_earlier_session_are_new(run: Run, tmp_path: Path) -> None:
    """A network that attacked before the start is not news; the JSON has the same values."""
    log = tmp_path / "cowrie.json"
    log.write_text(
        event("a1", "2026-11-20T10:00:00Z", "8.8.8.8")
        + event("a2", "2026-11-24T10:00:00Z", "8.8.4.4")
        + event("a3", "2026-11-24T11:00:00Z", "1.1.1.1")
    )
    assert run("load", "-q", log)[0] == 0

    code, out, err = run("news", "--since", "2026-11-23")
    found = json.loads(run("news", "--since", "2026-11-23", "--format", "json")[1])

    assert (code, err) == (0, "")
    assert "1 new network:\n  AS13335 Cloudflare, Inc.  1 session, first on 2026-11-24 11:00" in out
    assert [each["value"] for each in found["appeared"]["asn"]["listed"]] == ["13335"]
    assert found["appeared"]["asn"]["count"] == 1
    assert "15169" not in out.partition("Grew")[0]


def test_the_cursor_reports_each_value_once(run: Run, tmp_path: Path) -> None:
    """Also values of logs that are loaded later with sessions from before the last call."""
    cursor = tmp_path / "news.json"
    assert run("load", "-q", NEW)[0] == 0
    first = run("news", *BEFORE_ALL, "--cursor", cursor)
    second = run("news", *BEFORE_ALL, "--cursor", cursor)
    assert cursor.stat().st_mode & 0o777 == 0o600
    assert run("load", "-q", OLD)[0] == 0
    third = run("news", "--cursor", cursor)
    fourth = run("news", "--cursor", cursor)

    assert [each[0] for each in (first, second, third, fourth)] == [0, 0, 0, 0]
    assert "new networks:" in first[1]
    assert "new " not in second[1]
    assert "new client fingerprint" in third[1]
    assert "new " not in fourth[1]


def test_values_stay_news_until_they_are_sent(
    run: Run, tmp_path: Path, posted: tuple[str, list[tuple[str, dict[str, str], bytes]]]
) -> None:
    """The server refuses the first time; the second time it gets the text, and the third time there is none."""
    url, received = posted
    cursor = tmp_path / "news.json"
    assert run("load", "-q", NEW)[0] == 0

    refused = run("news", *BEFORE_ALL, "--cursor", cursor, "--post", f"{url}/refuse")
    moved = run("news", *BEFORE_ALL, "--cursor", cursor, "--post", f"{url}/moved")
    assert not cursor.exists()
    sent = run("news", *BEFORE_ALL, "--cursor", cursor, "--post", f"{url}/topic?priority=low")
    nothing = run("news", *BEFORE_ALL, "--cursor", cursor, "--post", f"{url}/topic")

    assert (refused[0], moved[0], sent[0], nothing[0]) == (1, 1, 0, 0)
    assert "could not be sent to http://127.0.0.1" in refused[2]
    assert "status 500" in refused[2]
    assert "status 302" in moved[2]
    assert [path for path, _, _ in received] == ["/refuse", "/moved", "/topic?priority=low"]
    _, headers, body = received[-1]
    assert headers["Title"].startswith("Honeypot: 15 new networks")
    assert body.decode() == sent[1].replace("http://", "hxxp://")


def test_json_is_sent_with_its_text(run: Run, posted: tuple[str, list[tuple[str, dict[str, str], bytes]]]) -> None:
    """Chat services show the member "text"."""
    url, received = posted
    assert run("load", "-q", NEW)[0] == 0

    text = run("news", *BEFORE_ALL)[1]
    assert run("news", *BEFORE_ALL, "--format", "json", "--post", url)[0] == 0

    ((path, headers, body),) = received
    document = json.loads(body)
    assert (path, headers["Content-Type"]) == ("/", "application/json")
    assert document["text"].splitlines()[:8] == text.splitlines()[:8]
    assert document["appeared"]["asn"]["count"] == 15


def test_a_long_text_is_cut_at_a_line(
    run: Run, tmp_path: Path, posted: tuple[str, list[tuple[str, dict[str, str], bytes]]]
) -> None:
    """A message has a maximum length; what is printed is whole."""
    url, received = posted
    log = tmp_path / "cowrie.json"
    sessions = range(100)
    log.write_text(
        "".join(
            event(f"a{n}", "2026-11-24T10:00:00Z", eventid="cowrie.command.input", input=f"echo {n}") for n in sessions
        )
    )
    assert run("load", "-q", log)[0] == 0

    printed = run("news", *BEFORE_ALL, "--top", "1000", "--post", url)[1]

    body = received[0][2].decode()
    assert len(printed.encode()) > 4_000 >= len(body.encode())
    assert body.endswith("\n…\n")
    assert printed.startswith(body.removesuffix("…\n"))


def test_an_address_in_another_network_is_news(run: Run, tmp_path: Path) -> None:
    """An operator corrects the network of the later attack; the move is listed with both methods."""
    log = tmp_path / "cowrie.json"
    log.write_text(event("a1", "2026-11-20T10:00:00Z") + event("a2", "2026-11-24T10:00:00Z"))
    assert run("load", "-q", log)[0] == 0
    before = run("news", "--since", "2026-11-23")[1]
    assert run("correct", "a2", "--asn", "64500", "--reason", "moved")[0] == 0

    out = run("news", "--since", "2026-11-23")[1]
    earlier = run("news", "--since", "2026-11-25")[1]

    assert "changed networks" not in before
    assert "1 address changed networks between two attacks:\n  8.8.8.8  AS15169" in out
    assert "-> AS64500 (corrected, 2026-11-24 10:00)" in out
    assert "changed networks" not in earlier


def test_a_move_in_a_log_that_is_loaded_late_is_news_once(
    run: Run, tmp_path: Path, posted: tuple[str, list[tuple[str, dict[str, str], bytes]]]
) -> None:
    """Its attack was before the last call; nothing is sent when no value appeared and no address moved."""
    url, received = posted
    call = ("news", "--cursor", tmp_path / "news.json", "--post", url)
    log = tmp_path / "cowrie.json"
    log.write_text(event("a1", "2026-10-20T10:00:00Z") + event("b1", "2026-10-20T10:00:00Z", "1.1.1.1"))
    assert run("load", "-q", log)[0] == 0
    assert run("correct", "b1", "--asn", "64500", "--reason", "moved")[0] == 0
    assert run(*call, *BEFORE_ALL)[0] == 0
    log.write_text(event("a2", "2026-10-24T10:00:00Z"))
    assert run("load", "-q", log)[0] == 0
    assert run(*call)[0] == 0
    log.write_text(event("b2", "2026-10-24T10:00:00Z", "1.1.1.1"))
    assert run("load", "-q", log)[0] == 0
    assert run(*call)[0] == 0
    assert run(*call)[0] == 0

    first, moved = (body.decode() for _, _, body in received)
    assert "changed networks" not in first
    assert "1 address changed networks between two attacks:\n  1.1.1.1  AS64500" in moved


def test_commands_of_attackers_are_no_markup_and_no_links(
    run: Run, tmp_path: Path, posted: tuple[str, list[tuple[str, dict[str, str], bytes]]]
) -> None:
    """Anybody could notify a whole channel by typing into the honeypot."""
    url, received = posted
    typed = "<!channel> @everyone <http://evil.example|click> HTTPS://evil.example ftp://x"
    log = tmp_path / "cowrie.json"
    log.write_text(event("a1", "2026-11-24T10:00:00Z", eventid="cowrie.command.input", input=typed))
    assert run("load", "-q", log)[0] == 0

    assert run("news", *BEFORE_ALL, "--format", "json", "--post", url.replace("//", "//me:s%20cret@"))[0] == 0
    assert run("news", *BEFORE_ALL, "--post", url)[0] == 0

    (_, headers, document), (_, _, text) = received
    assert headers["Authorization"] == "Basic bWU6cyBjcmV0"
    shown = json.loads(document)["text"]
    assert "&lt;!channel&gt; @\u200beveryone &lt;hxxp://evil.example|click&gt;" in shown
    assert not re.search("(?i)(http|ftp)s?://", text.decode())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--until", "now"), 2, "--until cannot be used with news"),
        (("--post", "ftp://example.com"), 2, "begins with http:// or https://"),
        (("--post", "http://example.com:port/"), 2, "begins with http:// or https://"),
        (("--post", "http://example.com/\xe9"), 2, "begins with http:// or https://"),
        (("--cursor", "-"), 2, "--cursor - is not a regular file"),
        (("--cursor", "/dev/full"), 2, "is not a regular file"),
        (("--cursor", "{folder}"), 2, "is a directory"),
        (("--user", "rot"), 2, "no session has the user 'rot'"),
        (("--cursor", "{folder}/none/news.json"), 1, "cannot be written"),
        (("--cursor", "{folder}/bad.json"), 1, "is not a file that `news --cursor` wrote"),
        (("--cursor", "{folder}/cursor.json"), 2, "belongs to other filters (country US)"),
        (("--post", "http://127.0.0.1:1/"), 1, "could not be sent to http://127.0.0.1:1"),
    ],
)
def test_wrong_options_are_refused(run: Run, tmp_path: Path, options: tuple[str, str], code: int, message: str) -> None:
    """Each with a sentence."""
    assert run("load", "-q", NEW)[0] == 0
    (tmp_path / "bad.json").write_text(
        '{"filter": "", "until": "0001-01-01T00:00:00+14:00", "values": {}, "moves": {}}'
    )
    assert run("news", "--country", "US", "--cursor", tmp_path / "cursor.json")[0] == 0

    found = run("news", *BEFORE_ALL, options[0], options[1].format(folder=tmp_path))

    assert (found[0], message in " ".join(found[2].split())) == (code, True), found[2]


def test_a_period_that_begins_with_the_logs_is_compared_with_a_warning(run: Run, tmp_path: Path) -> None:
    """More sessions than before may only mean that the honeypot was started then."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first, since = today - timedelta(days=11), today - timedelta(days=10)
    log = tmp_path / "cowrie.json"
    log.write_text(event("a1", f"{first:%Y-%m-%d}T10:00:00Z") + event("a2", f"{since:%Y-%m-%d}T10:00:00Z"))
    assert run("load", "-q", log)[0] == 0

    out = run("news", "--since", f"{since:%Y-%m-%d}")[1]

    assert out.splitlines()[0] == (
        f"1 session since {since:%Y-%m-%d} 00:00, as many as in the period of the same length before, "
        f"which had none until {first:%Y-%m-%d} 10:00."
    )
    earlier = [today - timedelta(days=days) for days in range(11, 40)]
    log.write_text("".join(event(f"b{day:%m%d}", f"{day:%Y-%m-%d}T00:00:00Z") for day in earlier))
    assert run("load", "-q", log)[0] == 0
    assert "which had none" not in run("news", "--since", f"{since:%Y-%m-%d}")[1]


def test_a_period_without_an_equal_one_before_it_is_not_compared(run: Run) -> None:
    """All sessions are in it, which is not the same as none."""
    assert run("load", "-q", NEW)[0] == 0

    code, out, _ = run("news", "--since", "0900-01-01")

    assert (code, out.splitlines()[0]) == (0, "Sessions since 0900-01-01 00:00; no period of equal length precedes it.")
    assert "15 new networks:" in out


def test_without_news_the_newest_session_is_named(run: Run) -> None:
    """So that a honeypot that stopped is noticed."""
    assert run("load", "-q", NEW)[0] == 0

    out = run("news", "--since", "2026-11-28")[1]

    assert out == "No sessions since 2026-11-28 00:00. The newest session is from 2026-11-24 02:15.\n"
