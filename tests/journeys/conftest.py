"""A folder with real logs, and a way to run commands as a user would."""

import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import make_url

from snapshots.__main__ import main
from tests.conftest import database_on
from tests.old_databases import KINDS, restore

OLD = Path("tests/data/cowrie-2.8.1.json.gz")
NEW = Path("src/snapshots/adapters/cli/data/cowrie.json.gz")

SQLITE_BY_DEFAULT = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
"""Kinds of databases for a journey. Contract suites check the statements that commands need on both by default."""

BOTH = ["sqlite", "postgresql"]
"""Kinds of databases for a journey that has statements which no contract suite checks."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=SQLITE_BY_DEFAULT)
def sql_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database of each kind, with all tables and no rows."""
    return str(request.getfixturevalue(f"migrated_{request.param}"))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder as Cowrie leaves it: an active file and an older one."""
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "cowrie.json").write_bytes(gzip.decompress(NEW.read_bytes()))
    (folder / "cowrie.json.2026-11-23.gz").write_bytes(OLD.read_bytes())
    return folder


@pytest.fixture
def run(migrated_sqlite: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a database of the test's own, and return exit code, stdout and stderr."""
    monkeypatch.setenv("SNAPSHOTS_DB", migrated_sqlite)
    monkeypatch.setenv("NO_COLOR", "1")

    def _run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return _run


@pytest.fixture(scope="session")
def old_templates(server: str) -> Iterator[Mapping[str, str]]:
    """The names of PostgreSQL databases as an older version left them; copying one is faster than restoring it."""
    with database_on(server, "template0") as own, database_on(server, "template0") as adopted:
        urls = dict(zip(KINDS, (own, adopted), strict=True))
        for kind, url in urls.items():
            restore(kind, url)
        yield {kind: str(make_url(url).database) for kind, url in urls.items()}


@pytest.fixture
def kind() -> str:
    """The kind of database that `old` restores, which tests parametrize."""
    return KINDS[0]


@pytest.fixture(params=SQLITE_BY_DEFAULT)
def old_copies(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Restores the database of an older version as often as it is called, and returns the URL of each copy."""
    numbers = count(1)
    with ExitStack() as stack:

        def make() -> str:
            if request.param == "postgresql":
                server, templates = (request.getfixturevalue(name) for name in ("server", "old_templates"))
                return stack.enter_context(database_on(server, templates[kind]))
            url = f"sqlite:///{tmp_path}/old-{next(numbers)}.db"
            restore(kind, url)
            return url

        yield make


@pytest.fixture
def old(old_copies: Callable[[], str], run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database as an older version left it, which is also the one that `run` uses."""
    assert callable(run)
    url = old_copies()
    monkeypatch.setenv("SNAPSHOTS_DB", url)
    return url
