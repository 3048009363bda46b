"""Sessions from the tables that Cowrie's own database outputs write."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from snapshots.adapters.cli.output.cowrie_tables import DIALECTS
from snapshots.adapters.sql.connection.temporary_server import _binaries
from tests.journeys.conftest import Run

TABLES = {
    "sensors": "id {key}, ip varchar(61)",
    "clients": "id {key}, version varchar(50)",
    "sessions": "id char(32) PRIMARY KEY, starttime {time}, endtime {time}, sensor integer, ip varchar(61),"
    " termsize varchar(7), client integer",
    "auth": "id {key}, session char(32), success {flag}, username varchar(100), password varchar(100),"
    " timestamp {time}",
    "input": "id {key}, session char(32), timestamp {time}, realm varchar(50), success {flag}, input text",
    "downloads": "id {key}, session char(32), timestamp {time}, url text, outfile text, shasum varchar(64)",
    "keyfingerprints": "id {key}, session char(32), username varchar(100), fingerprint varchar(100)",
    "params": "id {key}, session char(32), arch varchar(32)",
    "ipforwards": "id {key}, session char(32), timestamp {time}, dst_ip varchar(255), dst_port integer",
    "ipforwardsdata": "id {key}, session char(32), timestamp {time}, dst_ip varchar(255), dst_port integer, data text",
    "ttylog": "id {key}, session char(32), ttylog varchar(100), size integer",
}
"""The columns of Cowrie's tables, in its order."""

TYPES = {
    "sqlite": {"key": "INTEGER PRIMARY KEY", "time": "datetime", "flag": "tinyint(1)"},
    "mysql": {"key": "integer PRIMARY KEY AUTO_INCREMENT", "time": "datetime NULL", "flag": "tinyint(1)"},
    "postgresql": {"key": "serial PRIMARY KEY", "time": "timestamp", "flag": "boolean"},
}
HASH = "a" * 64


def schema(database: str) -> Sequence[str]:
    """Return the statements that create the tables."""
    return [f"CREATE TABLE {name} ({columns.format(**TYPES[database])})" for name, columns in TABLES.items()]


def rows(database: str) -> Sequence[str]:
    """Return the statements that insert two sessions: one that logs in, types and fetches, and one cut off."""
    begin = "2026-11-24T02:14:11.250000Z" if database == "sqlite" else "2026-11-24 03:14:11"  # local time, UTC+1
    end = begin.replace(":14:11", ":14:31")
    true, false = ("true", "false") if database == "postgresql" else ("1", "0")
    missing = "'NULL'" if database == "mysql" else "NULL"
    return [
        "INSERT INTO sensors (ip) VALUES ('hp-1')",
        "INSERT INTO clients (version) VALUES ('SSH-2.0-Go')",
        f"INSERT INTO sessions VALUES ('0123456789ab', '{begin}', '{end}', 1, '8.8.8.8', '80x24', 1)",
        f"INSERT INTO sessions VALUES ('ba9876543210', '{begin}', NULL, 1, '2001:4860:4860::8888', NULL, NULL)",
        *(
            "INSERT INTO auth (session, success, username, password, timestamp) VALUES"
            f" ('0123456789ab', {flag}, 'root', '{password}', '{begin}')"
            for flag, password in ((false, "admin"), (false, "admin"), (true, "a\"b''c"))
        ),
        *(
            "INSERT INTO input (session, timestamp, realm, success, input) VALUES"
            f" ('0123456789ab', '{begin}', {realm}, {flag}, '{typed}')"
            for realm, flag, typed in (("NULL", true, "uname -a"), ("NULL", false, "nope"), ("'sh'", "NULL", "more"))
        ),
        *(
            "INSERT INTO downloads (session, timestamp, url, outfile, shasum) VALUES"
            f" ('0123456789ab', '{begin}', '{url}', {outfile}, {shasum})"
            for url, outfile, shasum in (
                ("http://203.0.113.5/x", "'var/x'", f"'{HASH}'"),
                ("", "'var/y'", f"'{HASH}'"),
                ("http://203.0.113.5/z", missing, missing),
            )
        ),
        "INSERT INTO keyfingerprints (session, username, fingerprint) VALUES ('0123456789ab', 'root', 'aa:bb')",
        # Without a row in sessions, as MySQL refuses a long address.
        (
            "INSERT INTO auth (session, success, username, password, timestamp) VALUES"
            f" ('cccccccccccc', {true}, '', '', '{begin}')"
        ),
        (
            "INSERT INTO ipforwards (session, timestamp, dst_ip, dst_port) VALUES"
            f" ('0123456789ab', '{begin}', '203.0.113.9', 25)"
        ),
        "INSERT INTO ttylog (session, ttylog, size) VALUES ('0123456789ab', 'var/tty', 10)",
    ]


def printed_by_sqlite(statement: str, folder: Path) -> str:
    """Return the rows of a statement, a line each."""
    with sqlite3.connect(folder / "cowrie.db") as connection:
        for each in (*schema("sqlite"), *rows("sqlite")):
            connection.execute(each)
        found = connection.execute(statement).fetchall()
    connection.close()
    return "".join(f"{line}\n" for (line,) in found)


@contextmanager
def on_postgresql(server: str, name: str) -> Iterator[URL]:
    """Make a database with the tables and rows, on a server whose time zone is UTC+1 in winter."""
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    url = make_url(server).set(database=name)
    try:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
            connection.execute(text(f"CREATE DATABASE {name}"))
            connection.execute(text(f"ALTER DATABASE {name} SET timezone = 'Europe/Berlin'"))
        engine = create_engine(url)
        with engine.begin() as connection:
            for each in (*schema("postgresql"), *rows("postgresql")):
                connection.exec_driver_sql(each)
        engine.dispose()
        yield url
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        admin.dispose()


def printed_by_postgresql(statement: str, server: str) -> str:
    """Return the rows of a statement, a line each."""
    with on_postgresql(server, "cowrie_tables") as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            found = connection.exec_driver_sql(statement.replace("%", "%%")).scalars().all()
        engine.dispose()
    return "".join(f"{json.dumps(line)}\n" for line in found)


def load_by_the_guide(database: str, environment: Mapping[str, str]) -> str:
    """Run the command of docs/how-to/load-from.md in a shell, and return what it prints."""
    guide = Path("docs/how-to/load-from.md").read_text().splitlines()
    (command,) = [line for line in guide if line.startswith(f"snapshots cowrie-tables {database} |")]
    path = f"{Path(sys.executable).parent}:{environment.get('PATH', '')}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=os.environ | environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def check_loaded(run: Run, printed: str, folder: Path) -> None:
    """Load the events twice, and compare the sessions with the rows of the tables."""
    (folder / "cowrie.json").write_text(printed)
    assert run("load", "-q", folder / "cowrie.json") == (0, "", "")
    assert "Nothing new" in run("load", folder / "cowrie.json")[1]

    found = {row["session_id"]: row for row in json.loads(run("query", "--format", "json", "--limit", "10")[1])["rows"]}
    whole, cut = found["0123456789ab"], found["ba9876543210"]
    assert (len(found), found["cccccccccccc"]["gap"]) == (3, "no_source_ip")
    assert whole["first_event_at"].startswith("2026-11-24T02:14:11")
    assert whole["last_event_at"].startswith("2026-11-24T02:14:31")
    counts = {name: whole[name] for name in ("events", "logins", "commands", "downloads")}
    assert counts == {"events": 15, "logins": 3, "commands": 1, "downloads": 1}
    assert (whole["sensor"], whole["client"], whole["asn"], whole["login_succeeded"]) == (
        "hp-1",
        "SSH-2.0-Go",
        15169,
        True,
    )
    assert whole["download_hash"] == HASH
    assert (cut["source_ip"], cut["events"], cut["asn"]) == ("2001:4860:4860::8888", 1, 15169)
    pairs = json.loads(run("query", "--by", "user", "--by", "password", "--format", "json")[1])["rows"]
    assert sorted(pair["attempts"] for pair in pairs) == [1, 1, 2]
    assert (whole["protocol"], cut["protocol"]) == ("ssh", None)
    assert run("dead-letters")[1] == ""


def test_sqlite(run: Run, tmp_path: Path) -> None:
    """The output plugin stores times as in the log."""
    check_loaded(run, printed_by_sqlite(run("cowrie-tables", "sqlite")[1], tmp_path), tmp_path)


def test_postgresql(run: Run, server: str, tmp_path: Path) -> None:
    """The output plugin stores the local time of the server, and pads IDs."""
    check_loaded(run, printed_by_postgresql(run("cowrie-tables", "postgresql")[1], server), tmp_path)


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[Path]:
    """The socket of a MariaDB server in a time zone of UTC+1, with the tables and rows."""
    assert shutil.which("mariadbd") is not None, "install mariadb-server, or leave this test out: -m 'not mysql'"
    folder, socket = tmp_path / "mysql", tmp_path / "mysql.sock"
    user = [f"--user={os.environ.get('USER', 'root')}"] if os.geteuid() == 0 else []
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}", "--auth-root-authentication-method=normal"]
    subprocess.run([*install, *user], check=True, capture_output=True)
    options = [f"--datadir={folder}", f"--socket={socket}", "--skip-networking", "--default-time-zone=+01:00", *user]
    with subprocess.Popen(["mariadbd", "--no-defaults", *options], stderr=subprocess.DEVNULL) as process:
        try:
            ping = ["mariadb-admin", "--no-defaults", f"--socket={socket}", "--user=root", "--wait=60", "ping"]
            subprocess.run(ping, capture_output=True, check=True)
            made = ["CREATE DATABASE cowrie", "USE cowrie", *schema("mysql"), *rows("mysql")]
            client(socket, ";\n".join(made).replace("outfile", "`outfile`") + ";\n")  # a reserved word there
            yield socket
        finally:
            process.terminate()


def client(socket: Path, statements: str, *options: str) -> str:
    """Return what the client of MariaDB prints."""
    command = ["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", *options]
    return subprocess.run(command, input=statements, capture_output=True, text=True, check=True).stdout


def test_the_command_for_postgresql_in_the_guide(run: Run, server: str) -> None:
    """By the client of PostgreSQL."""
    with on_postgresql(server, "cowrie") as url:
        host, user = str(url.query["host"]), str(url.username)
        environment = {"PATH": str(_binaries()), "PGHOST": host, "PGUSER": user}
        assert "3 new sessions" in load_by_the_guide("postgresql", environment)

    assert len(json.loads(run("query", "--format", "json")[1])["rows"]) == 3


@pytest.mark.mysql
def test_the_command_for_mysql_in_the_guide(run: Run, mysql: Path, tmp_path: Path) -> None:
    """By the client of MySQL, with a user and a socket from its configuration."""
    (tmp_path / ".my.cnf").write_text(f"[client]\nuser=root\nsocket={mysql}\n")
    assert "3 new sessions" in load_by_the_guide("mysql", {"HOME": str(tmp_path)})

    assert len(json.loads(run("query", "--format", "json")[1])["rows"]) == 3


@pytest.mark.mysql
def test_mysql(run: Run, mysql: Path, tmp_path: Path) -> None:
    """The output plugin stores the local time of the server in whole seconds, and the text NULL."""
    check_loaded(
        run,
        client(mysql, run("cowrie-tables", "mysql")[1], "-NBr", "--default-character-set=utf8mb4", "cowrie"),
        tmp_path,
    )


def test_every_dialect_has_a_test() -> None:
    """A new one needs its tables here."""
    assert TYPES.keys() == DIALECTS.keys()
