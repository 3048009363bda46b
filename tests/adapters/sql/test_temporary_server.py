"""A temporary PostgreSQL server."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from snapshots.adapters.sql.connection import temporary_server
from snapshots.adapters.sql.connection.temporary_server import trial_server
from snapshots.app.errors import StoreUnavailable


def test_a_server_starts_responds_and_stops() -> None:
    """Its files are deleted."""
    with trial_server() as url:
        engine = create_engine(url)
        with engine.connect() as connection:
            assert "PostgreSQL" in connection.execute(text("SELECT version()")).scalar_one()
        engine.dispose()
        folder = Path(url.partition("host=")[2])
        assert folder.exists()
    assert not folder.exists()


def test_binaries_in_a_home_of_roots_are_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The server's user cannot read them there."""
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    (closed / "bin" / "initdb").write_text("")
    closed.chmod(0o700)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda *_, **__: None)

    found = temporary_server._reachable(closed / "bin", tmp_path)

    assert found == tmp_path / "installation" / "bin"
    assert (found / "initdb").exists()


def test_without_binaries_the_message_states_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing PostgreSQL is an error, never a skipped test."""
    monkeypatch.setattr(temporary_server, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(StoreUnavailable, match=r"'cowrie-snapshots\[trial\]'"), trial_server():
        pass


def test_binaries_are_found_by_variable_or_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Errors of the binaries are reported."""
    monkeypatch.setattr(temporary_server, "find_spec", lambda _: None)
    initdb = tmp_path / "pg" / "bin" / "initdb"
    initdb.parent.mkdir(parents=True)
    initdb.write_text("#!/bin/sh\necho no such thing >&2\nexit 1\n")
    initdb.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _: str(initdb))
    with pytest.raises(StoreUnavailable, match="initdb failed: no such thing"), trial_server():
        pass

    monkeypatch.setenv("SNAPSHOTS_PG_BIN", str(initdb.parent))
    with pytest.raises(StoreUnavailable, match="initdb failed: no such thing"), trial_server():
        pass
