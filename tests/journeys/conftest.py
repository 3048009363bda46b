"""A folder with real logs, and a way to run commands as a user would."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots.__main__ import main

OLD = Path("tests/data/cowrie-2.8.1.json.gz")
NEW = Path("src/snapshots/adapters/cli/data/cowrie.json.gz")

SQLITE_BY_DEFAULT = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
"""Kinds of databases for a journey. Contract suites check the statements that commands need on both by default."""

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
