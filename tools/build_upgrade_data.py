"""
Makes the databases of an older version that tests/journeys/test_upgrade.py upgrades, with the answers of that version.

Run it in the root of this repository with the folder of a checkout of the older version, whose dependencies are among
those of this one: `PYTHONPATH=. .venv/bin/python tools/build_upgrade_data.py ../old`. The files in tests/data/upgrade
were made by version 0.1.0 with schema version 0007, the first that `snapshots migrate` of any later version upgrades.
The logs are the two real logs of the tests, partly damaged by tests/mangle.py; no other data goes in.
"""

import gzip
import json
import lzma
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, cast

from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from tests.cowrieprocessor import AdoptableSchema, enrich, load_as_cowrieprocessor, put_session
from tests.mangle import LOGS, mangled

from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.sql.connection.temporary_server import trial_server
from snapshots.app.ports.log_source import LogEvent

TO = Path("tests/data/upgrade")
SEED = 20261124
QUESTIONS: Sequence[Sequence[str]] = [
    ["report", "--format", "json", "--top", "100"],
    ["verify", "--format", "json"],
    *(
        ["query", "--by", key, "--top", "1000", "--addresses", "--format", "json"]
        for key in ("asn", "country", "ip-type", "sensor", "method", "gap", "hassh", "commands", "hour")
    ),
    *(
        ["query", "--by", key, "--top", "1000", "--format", "json"]
        for key in ("client", "command", "url", "ssh-key", "download")
    ),
    ["export", "--format", "ndjson"],
    ["export", "--format", "blocklist"],
    ["runs", "--format", "json"],
    ["dead-letters", "list", "--top", "1000", "--format", "json"],
    ["sources", "--format", "json"],
    ["inventory", "show", "185.220.101.1", "--format", "json"],
]
"""What is asked of each database; explanations and stored events of each session come on top."""


def prefixed(content: bytes, prefix: str) -> bytes:
    """Return a log with other session IDs, so that it holds other sessions."""
    return content.replace(b'"session":"', b'"session":"' + prefix.encode())


def write_logs(folder: Path) -> None:
    """Write the logs of all databases; `rest` completes a file that is loaded while it is written."""
    older, newer = (gzip.decompress(path.read_bytes()) for path in LOGS)
    lines = newer.splitlines(keepends=True)
    before, after = b"".join(lines[:300]), b"".join(lines[300:])
    half = after.index(b"\n") // 2  # the file ends in the middle of a line
    for name, content in {
        "log/cowrie.json.2026-10-02": prefixed(older, "a").replace(b"2026-11-24T", b"2026-10-02T"),
        "log/cowrie.json.2026-11-23": b"\n".join(mangled(SEED)) + b"\n",
        "log/cowrie.json": prefixed(before, "b") + prefixed(after, "b")[:half],
        "edge/cowrie.json": prefixed(older, "c"),
        "theirs/cowrie.json": newer,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "rest").write_bytes(prefixed(after, "b")[half:])
    (folder / "asn-2026-01-01.csv").write_text(
        "".join(f"{n}.0.0.0,{n}.255.255.255,{64500 + n},NET{n}\n" for n in range(1, 224))
    )
    (folder / "asn-2026-11-20.csv").write_text(
        "".join(f"{n}.0.0.0,{n}.255.255.255,{64600 + n},NEW{n}\n" for n in range(1, 224))
    )
    (folder / "tor-2026-11-20.txt").write_text("185.220.101.1\n2a0b:f4c2::1\n")


RUNNER = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from snapshots.__main__ import main
for line in sys.stdin:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = main(json.loads(line))
    print(json.dumps([code, *(stream.buffer.getvalue().decode() for stream in (out, err))]), flush=True)
"""
"""Runs one command of the older version after the other: starting a process for each takes most of the time."""


class OldProgram:
    """
    The older version, on one database.

    Args:
        checkout: Its folder.
        url: The database.
        folder: The logs, in which commands run.
    """

    def __init__(self, checkout: Path, url: str, folder: Path) -> None:
        self._environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "SNAPSHOTS_DB": url}
        self._folder = folder
        self.engine = create_engine(url, poolclass=NullPool)
        self._runner = self._process("-c", RUNNER)

    def _process(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603 - the program of the checkout that the caller names
            [sys.executable, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        """Run a command, and return what it prints; exit if its code is not among *codes*."""
        answering = cast("IO[str]", self._runner.stdin), cast("IO[str]", self._runner.stdout)
        answering[0].write(json.dumps(arguments) + "\n")
        answering[0].flush()
        code, out, err = json.loads(answering[1].readline())
        if code not in codes:
            sys.exit(f"{' '.join(arguments)}: {code} {err}")
        return str(out)

    def close(self) -> None:
        """End the process that runs commands."""
        self._runner.communicate()
        self.engine.dispose()

    def value(self, query: str) -> str:
        """Return the first value that a query finds."""
        with self.engine.connect() as connection:
            return str(connection.execute(text(query)).scalar())

    @contextmanager
    def refusing(self, session_id: str) -> Iterator[None]:
        """Let a trigger of the operator refuse every change of a session while the block runs."""
        is_sqlite = self.engine.dialect.name == "sqlite"
        if is_sqlite:
            body = "BEGIN SELECT RAISE(ABORT, 'refused by the operator'); END"
            refuse = [
                f"CREATE TRIGGER refused BEFORE UPDATE ON session_summaries WHEN OLD.session_id = '{session_id}' {body}"
            ]
        else:
            body = "$$ BEGIN RAISE EXCEPTION 'refused by the operator'; END $$"
            when = f"FOR EACH ROW WHEN (OLD.session_id = '{session_id}')"
            refuse = [
                f"CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS {body}",
                f"CREATE TRIGGER refused BEFORE UPDATE ON session_summaries {when} EXECUTE FUNCTION refused()",
            ]
        allow = ["DROP TRIGGER refused"] if is_sqlite else ["DROP FUNCTION refused CASCADE"]
        for statements in (refuse, allow):
            with self.engine.begin() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)
            if statements is refuse:
                yield

    def interrupted(self, *arguments: str, done: str) -> None:
        """Run a command, and end it by SIGTERM as soon as the query *done* finds something."""
        process = self._process("-m", "snapshots", *arguments)
        while process.poll() is None:
            if self.value(done) not in {"None", "0"}:
                process.send_signal(signal.SIGTERM)
                break
        process.communicate()

    def killed(self, *arguments: str, done: str) -> None:
        """Run a command, and kill it as soon as the query *done* finds something."""
        process = self._process("-m", "snapshots", *arguments)
        while self.value(done) in {"None", "0"}:
            pass
        process.kill()
        process.communicate()


def fill_own(old: OldProgram) -> None:
    """Make a database in which every table of an operator has rows."""
    old.run("migrate")
    old.run("inventory", "import", "asn-2026-01-01.csv", "asn-2026-11-20.csv")
    old.run("inventory", "import", "--type", "TOR", "tor-2026-11-20.txt")
    old.run("load", "-q", "--store-events", "--keep-passwords", "log", codes=(0, 1))
    old.run("load", "-q", "--sensor", "edge-1", "--max-age", "0", "--max-lag", "0", "edge")
    refused = old.value("SELECT min(session_id) FROM session_summaries WHERE session_id LIKE 'c%'")
    with old.refusing(refused):
        run = json.loads(old.run("backfill", "--again", "--format", "json", codes=(0, 1)))["run"]
    old.run("undo", run)
    sealed = "SELECT min(session_id) FROM session_summaries WHERE snapshot_seal IS NOT NULL AND session_id LIKE 'b%'"
    old.run("correct", old.value(sealed), "--country", "DE", "--reason", "the operator knows better")
    old.run("prune", "--before", "2026-10-15")
    old.run("inventory", "retract", "asn@2026-01-01", codes=(0, 1, 2))
    running = (
        "SELECT count(*) FROM runs WHERE kind = 'backfill' AND state = 'running'"
        """ AND position NOT LIKE '%"after": ""}' AND counts LIKE '%judged%'"""
    )
    old.interrupted("backfill", "--again", "--batch-size", "10", "--rate", "20", done=running)
    killed = "SELECT count(*) FROM runs WHERE kind = 'load' AND state = 'running'"
    old.killed("load", "--follow", "log", done=killed)


def fill_adopted(old: OldProgram, schema: AdoptableSchema, folder: Path) -> None:
    """Make an adopted database of cowrieprocessor that its loader and the older version wrote."""
    with old.engine.begin() as connection:
        schema.make(connection)
        _write_as_theirs(connection, folder)
    old.run("adopt")
    old.run("load", "-q", "theirs")
    old.run("correct", "--sentinels", "--reason", "XX is not a country")
    run = json.loads(old.run("backfill", "--format", "json"))["run"]
    old.run("undo", run)
    old.run("backfill")
    with old.engine.begin() as connection:  # its loader tries to fill a sealed session, which the guard puts back
        connection.execute(text("UPDATE session_summaries SET snapshot_ip_type = 'VPN' WHERE session_id = 'sealed'"))


def _write_as_theirs(connection: Connection, folder: Path) -> None:
    before = "2026-03-01 11:00:00.000000"
    document = {"maxmind": {"asn": 15169, "country": "US"}}
    enrich(connection, "8.8.8.8", asn=15169, document=document)
    put_session(connection, "open")
    put_session(connection, "found", source_ip="8.8.8.8")
    put_session(
        connection, "sealed", source_ip="8.8.8.8", snapshot_asn=15169, snapshot_country="US", enrichment_at=before
    )
    put_session(
        connection, "mixed", source_ip="8.8.8.8", snapshot_asn=64500, snapshot_country="XX", enrichment_at=before
    )
    log = LogContent(folder / "theirs/cowrie.json", LineDecoder())
    load_as_cowrieprocessor(connection, [line for line in log.lines() if isinstance(line, LogEvent)][:250])


def answers(old: OldProgram) -> dict[str, str]:
    """Return what the older version prints for each question."""
    found = {" ".join(question): old.run(*question, codes=(0, 3)) for question in QUESTIONS}
    with old.engine.connect() as connection:
        names = connection.execute(text("SELECT session_id FROM session_summaries ORDER BY session_id")).scalars().all()
        stored = connection.execute(text("SELECT DISTINCT session_id FROM event_lines")).scalars().all()
    for name in names[::8]:
        found[f"explain {name} --format json"] = old.run("explain", name, "--format", "json")
    for name in sorted(stored)[::12]:
        found[f"events {name} --raw"] = old.run("events", name, "--raw")
    return found


def write_sqlite(path: Path, name: str) -> None:
    """Write a SQLite file as one compressed file, without a WAL file."""
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(path)) as connection:
        whole = Path(folder) / "whole.db"
        connection.execute("VACUUM INTO ?", [str(whole)])
        (TO / f"{name}.db.xz").write_bytes(lzma.compress(whole.read_bytes(), preset=9))


def write_postgresql(url: str, name: str) -> None:
    """Write a database as SQL statements that every PostgreSQL server since version 14 reads."""
    server = shlex.split((Path(str(make_url(url).query["host"])) / "data/postmaster.opts").read_text())[0]
    shown = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    options = ["--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=100"]
    dump = subprocess.run(  # noqa: S603 - the binary of the server
        [Path(server).with_name("pg_dump"), *options, shown], capture_output=True, text=True, check=True
    ).stdout
    dump = re.sub(r"^(SET transaction_timeout|SET default_table_access_method|\\).*\n", "", dump, flags=re.MULTILINE)
    (TO / f"{name}.sql.xz").write_bytes(lzma.compress(dump.encode(), preset=9))


def main() -> None:
    """Make everything."""
    checkout = Path(sys.argv[1]).resolve()
    TO.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as text_of_folder, trial_server() as server:
        folder = Path(text_of_folder)
        write_logs(folder)
        with tarfile.open(TO / "logs.tar.xz", "w:xz", preset=9) as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name)
        shapes = {
            "sqlite": AdoptableSchema(dialect="sqlite"),
            "postgresql": AdoptableSchema(dialect="postgresql", by_migrations=True, json="JSONB"),
        }
        for dialect, shape in shapes.items():
            for kind in ("own", "adopted"):
                name = f"{kind}-{dialect}"
                url = f"sqlite:///{folder}/{name}.db"
                if dialect == "postgresql":
                    url = make_url(server).set(database=kind).render_as_string(hide_password=False)
                    with create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
                        connection.exec_driver_sql(f"CREATE DATABASE {kind} TEMPLATE template0")
                old = OldProgram(checkout, url, folder)
                if kind == "own":
                    fill_own(old)
                else:
                    fill_adopted(old, shape, folder)
                (TO / f"{name}.answers.json.xz").write_bytes(lzma.compress(json.dumps(answers(old)).encode(), preset=9))
                old.close()
                if dialect == "sqlite":
                    write_sqlite(folder / f"{name}.db", name)
                else:
                    write_postgresql(url, name)


if __name__ == "__main__":
    main()
