"""A database with the log that comes with the program, and its site."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from snapshots.__main__ import main
from tests.adapters.web.client import site_client

LOG = Path("src/snapshots/adapters/cli/data/cowrie.json.gz")

PASSWORD = "xK9-unguessable"
"""A password that is not very common."""

SESSION = "0123456789ab"

ATTACK = f"""\
{{"eventid": "cowrie.session.connect", "src_ip": "8.8.4.4", "src_port": 4711, "session": "{SESSION}",\
 "timestamp": "2026-11-20T10:00:00.000000Z", "protocol": "ssh", "sensor": "own"}}
{{"eventid": "cowrie.login.failed", "username": "=1+1", "password": "{PASSWORD}", "src_ip": "8.8.4.4",\
 "session": "{SESSION}", "timestamp": "2026-11-20T10:00:01.000000Z", "sensor": "own"}}
{{"eventid": "cowrie.login.success", "username": "root", "password": "123456", "src_ip": "8.8.4.4",\
 "session": "{SESSION}", "timestamp": "2026-11-20T10:00:02.000000Z", "sensor": "own"}}
"""

Run = Callable[..., str]


def load(url: str, text: str, folder: Path) -> None:
    """Load more events, as another process does."""
    log = folder / "more.json"
    log.write_text(text)
    assert main(["load", "--quiet", "--keep-passwords", "--db", url, str(log)]) == 0


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database that no test changes."""
    folder = tmp_path_factory.mktemp("site")
    url = f"sqlite:///{folder}/test.db"
    assert main(["load", "--quiet", "--db", url, str(LOG)]) == 0
    load(url, ATTACK, folder)
    return url


@pytest.fixture
def site(loaded: str) -> Iterator[TestClient]:
    """The site of that database."""
    with site_client(loaded) as client:
        yield client


@pytest.fixture
def run(loaded: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on that database, and return what it prints."""
    monkeypatch.setenv("SNAPSHOTS_DB", loaded)

    def _run(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    return _run
