"""Parsing database URLs and paths."""

from pathlib import Path

import pytest

from snapshots.adapters.sql.connection.urls import database_url
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import SettingRefused


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("snapshots.db", "snapshots.db"),
        ("./x.db", "./x.db"),
        ("data/x", "data/x"),
        ("/var/lib/x.db", "/var/lib/x.db"),
        ("~/x.db", "/home/me/x.db"),
        ("sqlite:x.db", "x.db"),
        ("sqlite:/x.db", "/x.db"),
        ("sqlite:///x.db", "x.db"),
        ("sqlite+pysqlite:////x.db", "/x.db"),
        ("sqlite:///~/x.db", "/home/me/x.db"),
        ("sqlite:///~nosuchuser/x.db", "~nosuchuser/x.db"),
        ("sqlite:///a b #1 100%.db", "a b #1 100%.db"),
        ("sqlite:///a?b.db", "a?b.db"),
        ("sqlite:///a[1].db", "a[1].db"),
        ("sqlite:///a?mode=ro&uri=true", "a"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite://", None),
    ],
)
def test_a_path_is_a_sqlite_file(text: str, path: str | None) -> None:
    """With any character in it."""
    url = database_url(text)

    assert (url.get_backend_name(), url.database) == ("sqlite", path)


def test_an_existing_path_is_taken_literally(tmp_path: Path) -> None:
    """A file without a suffix, and a folder named ~."""
    (tmp_path / "honeypot").touch()
    (tmp_path / "~").mkdir()

    assert database_url("honeypot").database == "honeypot"
    assert database_url("sqlite:///~/x.db").database == "~/x.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "POSTGRES"])
@pytest.mark.parametrize(
    ("user", "password"),
    [("u", None), ("u:pw", "pw"), ("u:p@s", "p@s"), ("u:p/#?s", "p/#?s"), ("u:p%40s", "p@s")],
)
def test_a_postgresql_url_is_accepted(scheme: str, user: str, password: str | None) -> None:
    """As hosting services print it, and with an unescaped password."""
    url = database_url(f"{scheme}://{user}@h:1/x")

    assert (url.drivername, url.username, url.password) == ("postgresql+psycopg", "u", password)
    assert (url.host, url.port, url.database) == ("h", 1, "x")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "the name of the database is empty"),
        ("  ", "the name of the database is empty"),
        ("mysql://u:hunter2@h/x", "only SQLite and PostgreSQL are supported"),
        ("http://[::1", "only SQLite and PostgreSQL are supported"),
        ("h:54x2", "is not a database URL"),
        ("postgresql://u@h:54x2/x", "write it as postgresql://USER:PASSWORD@HOST:PORT/NAME"),
        ("postgresql://u:hunter2@[::1/x", "write it as postgresql://USER:PASSWORD@HOST:PORT/NAME"),
        ("postgresql:/u:hunter2@h/x", "is not a database URL"),
        ("postgresql//u:hunter2@h/x", "is not a database URL"),
        ("u:hunter2@h/x", "is not a database URL"),
        ("host=h user=u password=hunter2", "is a libpq connection string"),
        ("sqlite://x.db", "write sqlite:///x.db or sqlite:////x.db"),
        ("honeypot", "a file of that name is ./honeypot"),
        ("/srv/\udcff.db", "is not UTF-8: rename the file"),
    ],
)
def test_an_invalid_url_is_refused_with_a_hint(text: str, hint: str) -> None:
    """The message omits the password."""
    with pytest.raises(SettingRefused, match=hint) as refused:
        database_url(text)

    assert "hunter2" not in str(refused.value)


def test_a_missing_driver_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the name of the module."""
    monkeypatch.setattr("snapshots.adapters.sql.connection.urls.find_spec", lambda _: None)

    with pytest.raises(SettingRefused, match=r"pip install 'cowrie-snapshots\[postgresql\]'"):
        database_url("postgresql+psycopg2://u@h/x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hunter2@h/x?sslpassword=hunter2", "postgresql://u:***@h/x?sslpassword=***"),
        ("postgresql://h/x?user=u&password=hunter2", "postgresql://h/x?password=***&user=u"),
        ("sqlite:///a b#1.db", "sqlite:///a b#1.db"),
    ],
)
def test_a_shown_url_has_no_passwords(text: str, shown: str) -> None:
    """Neither that of the user nor one in the query."""
    assert str(SqlDatabase(text)) == shown


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Also its -wal and -shm files: logs contain passwords."""
    database = SqlDatabase("private.db")
    with database.transaction():
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.glob("private.db*")}
    database.close()

    assert modes == {"private.db": "0o600", "private.db-wal": "0o600", "private.db-shm": "0o600"}


def test_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    """An operator may have granted access to a group."""
    path = tmp_path / "shared.db"
    path.touch()
    path.chmod(0o660)
    database = SqlDatabase("shared.db")
    with database.transaction():
        pass
    database.close()

    assert path.stat().st_mode & 0o777 == 0o660
