"""A folder with real logs, and a way to run commands as a user would."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots.__main__ import main

OLD = Path("tests/data/cowrie-2.8.1.json.gz")
NEW = Path("src/snapshots/adapters/cli/data/cowrie.json.gz")

Run = Callable[..., tuple[int, str, str]]


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
