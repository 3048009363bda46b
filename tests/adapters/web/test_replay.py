"""The page that replays what a session's terminal showed."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from snapshots.__main__ import main
from snapshots.adapters.web.access import POLICY
from snapshots.adapters.web.recording import RECORD
from tests.adapters.web.client import site_client

LOG = Path("src/snapshots/adapters/cli/data/cowrie.json.gz")
CLOSED = [
    event
    for line in gzip.decompress(LOG.read_bytes()).splitlines()
    if (event := json.loads(line))["eventid"] == "cowrie.log.closed"
]
SESSION, NAME = CLOSED[0]["session"], CLOSED[0]["shasum"]
SECOND = 1_795_486_466
"""When the recording of the first session was closed."""


def recorded(text: bytes, seconds: int = SECOND) -> bytes:
    return (
        RECORD.pack(1, 0, 0, 0, seconds, 0)
        + RECORD.pack(3, 0, len(text), 2, seconds, 500_000)
        + text
        + RECORD.pack(2, 0, 0, 0, seconds, 0)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the recording of the first session."""
    made = tmp_path / "tty"
    made.mkdir()
    (made / NAME).write_bytes(recorded(b"root@srv:~# \x1b[31m<script>alert(1)</script>\xe2\x80\xae\r\n"))
    return made


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the bundled log."""
    url = f"sqlite:///{tmp_path_factory.mktemp('loaded')}/db"
    assert main(["load", "-q", str(LOG), "--db", url]) == 0
    return url


@pytest.fixture
def client(loaded: str, folder: Path) -> Iterator[TestClient]:
    """A client of the site of the bundled log."""
    with site_client(loaded, tty=folder) as made:
        yield made


def test_a_session_leads_to_its_recording(client: TestClient) -> None:
    """And the page to the recording for the player."""
    session = client.get(f"/session/{SESSION}").text
    page = client.get(f"/session/{SESSION}/replay")
    cast = client.get(f"/session/{SESSION}/replay.cast?recording=1")

    assert f'href="/session/{SESSION}/replay"' in session
    assert f'data-cast="/session/{SESSION}/replay.cast?recording=1"' in page.text
    head, event = cast.text.splitlines()
    assert json.loads(head)["timestamp"] == SECOND
    assert json.loads(event)[:2] == [0.5, "o"]
    assert "This was recorded in another session" not in page.text


def test_only_the_page_of_the_player_may_run_webassembly(client: TestClient) -> None:
    """No other answer, and not the recording itself, which is a download."""
    page = client.get(f"/session/{SESSION}/replay")
    others = [
        client.get(path) for path in ("/healthz", f"/session/{SESSION}", f"/session/{SESSION}/replay.cast", "/static/x")
    ]

    assert "script-src 'self' 'wasm-unsafe-eval';" in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].replace(" 'wasm-unsafe-eval'", "") == POLICY
    assert {other.headers["content-security-policy"] for other in others} == {POLICY}
    assert others[2].headers["content-disposition"].startswith("attachment")


def test_what_the_terminal_showed_is_text_on_the_page(client: TestClient) -> None:
    """Markup and invisible characters of an attacker are shown, and do nothing."""
    page = client.get(f"/session/{SESSION}/replay").text

    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in page
    assert "<script>alert" not in page


def test_a_recording_of_an_earlier_session_is_marked(client: TestClient, folder: Path) -> None:
    """Cowrie keeps one recording of sessions in which the same was typed."""
    (folder / NAME).write_bytes(recorded(b"before", SECOND - 86_400))

    assert "This was recorded in another session" in client.get(f"/session/{SESSION}/replay").text


def test_a_recording_without_an_end_is_marked(client: TestClient, folder: Path) -> None:
    """Its last line may not be the last one that was shown."""
    (folder / NAME).write_bytes(recorded(b"cut")[:-24])

    assert "The recording is incomplete" in client.get(f"/session/{SESSION}/replay").text


def test_a_session_without_a_recording_has_no_replay(client: TestClient) -> None:
    """Such as one whose recording was deleted, and one that does not exist."""
    other = next(event["session"] for event in CLOSED if event["shasum"] != NAME)

    assert "/replay" not in client.get(f"/session/{other}").text
    for path in (f"/session/{other}/replay", f"/session/{other}/replay.cast", "/session/none/replay"):
        assert client.get(path).status_code == 404, path
    for number in ("0", "2", "-1", "x", "", "1/../../x", NAME):
        assert client.get(f"/session/{SESSION}/replay", params={"recording": number}).status_code == 404, number


def test_without_a_folder_no_recording_is_shown(loaded: str) -> None:
    """The default."""
    with site_client(loaded) as client:
        assert "/replay" not in client.get(f"/session/{SESSION}").text
        assert client.get(f"/session/{SESSION}/replay").status_code == 404


def test_no_path_reads_a_file(client: TestClient) -> None:
    """A recording is found only by its session."""
    for path in (
        "/session/../../etc/passwd/replay",
        "/session/%2e%2e/%2e%2e/tty/replay.cast",
        f"/session/{NAME}/replay.cast",
        f"/static/../tty/{NAME}",
        f"/static/{NAME}",
        f"/static/..%2f..%2ftty%2f{NAME}",
        f"/tty/{NAME}",
        f"/session/{SESSION}/{NAME}",
        f"/session/{SESSION}/replay/{NAME}",
    ):
        answer = client.get(path)
        assert (answer.status_code, "root@srv" in answer.text) == (404, False), path


def test_the_name_comes_from_the_hash_and_not_from_the_path_in_the_log(
    migrated_sqlite: str, folder: Path, tmp_path: Path
) -> None:
    """A hostile log names another file, and hashes that are none."""
    secret = tmp_path / "secret"
    secret.write_bytes(recorded(b"secret"))
    names = ("../secret", str(secret), "A" * 64, "f" * 63)
    events: list[dict[str, object]] = [{"eventid": "cowrie.session.connect", "src_port": 1, "dst_port": 22}]
    events += ({"eventid": "cowrie.log.closed", "ttylog": str(secret), "shasum": name} for name in names)
    shared = {"session": "0123456789ab", "src_ip": "198.41.0.4"}
    log = tmp_path / "cowrie.json"
    log.write_text(
        "".join(
            json.dumps({**event, **shared, "timestamp": f"2026-11-24T02:14:0{second}.000000Z"}) + "\n"
            for second, event in enumerate(events)
        )
    )
    assert main(["load", "-q", str(log), "--db", migrated_sqlite]) == 0

    with site_client(migrated_sqlite, tty=folder) as client:
        assert client.get("/session/0123456789ab").status_code == 200
        assert "/replay" not in client.get("/session/0123456789ab").text
        assert client.get("/session/0123456789ab/replay").status_code == 404
