"""A database is lost, and restored from a backup as the guide describes."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import create_engine, make_url, text

from snapshots.app.backfill.progress import NoProgress
from snapshots.app.backfill.stages import APPLYING
from snapshots.app.backfill.throttle import Throttle
from tests.cowrieprocessor import AdoptableSchema, put_address
from tests.journeys.conftest import NEW, OLD, Run
from tests.journeys.test_backfill_races import ADDRESSES, THEIRS, opened, put_theirs
from tests.journeys.test_backup import client_programs
from tests.journeys.test_copy import by_hand, first
from tests.journeys.test_follow import Follower, stored
from tests.journeys.test_processes import rows
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

GUIDE = Path("docs/how-to/retain-and-back-up.md").read_text()
Restore = Callable[[str, Path], None]


def restoring(heading: str) -> str:
    """Return the shell commands in a section of the guide."""
    section = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(commands)


def execute(commands: str, folder: Path, **environment: str) -> None:
    """Execute commands in a shell that ends at the first error, with this program in its PATH."""
    path = f"{Path(sys.executable).parent}:{environment.pop('PATH', '')}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", commands],
        cwd=folder,
        env=os.environ | environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def restore(tmp_path: Path) -> Restore:
    """Follow the guide, after the database was damaged or dropped."""

    def as_described(url: str, backup: Path) -> None:
        target = make_url(url)
        if target.get_backend_name() == "sqlite":
            path = Path(str(target.database))
            commands = restoring("Restore a SQLite file").replace("backups/snapshots-20261130T000000Z.db", str(backup))
            execute(commands.replace("snapshots.db", path.name), path.parent, SNAPSHOTS_DB=url)
            return
        commands = restoring("Restore a PostgreSQL database").replace("snapshots-20261130T000000Z.dump", str(backup))
        commands = commands.replace("DATABASE snapshots", f"DATABASE {target.database}")
        commands = commands.replace("TO snapshots", f"TO {target.database}")
        commands = re.sub(r"\bold\b", f"{target.database}_old", commands)
        commands = re.sub(r"\brestored\b", f"{target.database}_restored", commands)
        programs = str(client_programs(url))
        host = str(target.query["host"]) if "host" in target.query else str(target.host)
        execute(commands, tmp_path, PATH=programs, PGHOST=host, PGUSER=str(target.username))

    return as_described


def lose(url: str) -> None:
    """Damage a SQLite file in its middle, or drop a table of a PostgreSQL database."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        path = Path(str(target.database))
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 3)
            file.write(Random(5).randbytes(path.stat().st_size // 3))
        return
    with by_hand(url) as connection:
        connection.exec_driver_sql("DROP TABLE session_summaries CASCADE")


@pytest.fixture(autouse=True)
def dropped(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drop the database that the guide leaves as the old one."""
    yield
    server = request.getfixturevalue("server") if "postgresql" in request.node.name else None
    if server is None:
        return
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        names = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
        for name in names:
            if name.startswith(f"snapshots_test_{os.getpid()}_") and name.endswith("_old"):
                connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


def test_a_database_lost_while_a_follower_wrote_is_restored_and_completed_from_the_logs(
    sql_url: str, run: Run, tmp_path: Path, restore: Restore
) -> None:
    """Nothing counts twice, and nothing is lost."""
    whole, folder = tmp_path / "whole.json", tmp_path / "log"
    lines = [line for log in (OLD, NEW) for line in gzip.decompress(log.read_bytes()).splitlines(keepends=True)]
    whole.write_bytes(b"".join(lines))
    folder.mkdir()
    expected = f"sqlite:///{tmp_path}/expected.db"
    assert run("load", "-q", whole, "--db", expected)[0] == 0
    log, half, backup = folder / "cowrie.json", len(lines) // 2, tmp_path / "backup"
    log.write_bytes(b"".join(lines[:half]))
    follower = Follower(sql_url, folder)
    try:
        wait_until(lambda: stored(sql_url) > 0)
        with log.open("ab") as file:  # while the backup is made, the follower has work
            file.write(b"".join(lines[half : half + half // 2]))
        assert run("backup", "--full", "--db", sql_url, backup)[0] == 0
        with log.open("ab") as file:
            file.write(b"".join(lines[half + half // 2 :]))
        wait_until(lambda: stored(sql_url) == stored(expected))
    finally:
        follower.kill()

    lose(sql_url)
    restore(sql_url, backup)
    assert stored(sql_url) <= stored(expected)
    assert run("load", "-q", folder, "--db", sql_url)[0] == 0

    assert list(rows(sql_url)) == list(rows(expected))
    assert run("verify", "--full", "--db", sql_url)[0] == 0
    assert "Nothing new" in run("load", folder, "--db", sql_url)[1]


class BacksUp(NoProgress):
    """Back up while a backfill applies staged verdicts, after its first batch."""

    def __init__(self, back_up: Callable[[], None]) -> None:
        self._back_up = back_up
        self._stage = ""
        self.is_done = False

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        self._stage = name

    def batch_done(self, handled: int, seconds: float) -> None:
        if self._stage == APPLYING and not self.is_done:
            self.is_done = True
            self._back_up()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_amid_a_backfill_can_be_restored_and_resumed(
    request: pytest.FixtureRequest, kind: str, run: Run, tmp_path: Path, restore: Restore
) -> None:
    """The staged verdicts are not in it: they are computed again."""
    url = request.getfixturevalue("postgresql") if kind == "postgresql" else f"sqlite:///{tmp_path}/theirs.db"
    with by_hand(url) as connection:
        AdoptableSchema(dialect=kind).make(connection)
        for address in ADDRESSES:
            put_address(connection, address)
    put_theirs(url, 0)
    assert run("adopt", "--db", url)[0] == 0
    backup = tmp_path / "backup"
    staged = []

    def back_up() -> None:
        if kind == "sqlite":
            staged.append((tmp_path / "theirs.db-spans").stat().st_size)
        else:
            staged.append(int(first(url, "SELECT count(*) FROM verdict_spans")))
        assert run("backup", "--full", "--db", url, backup)[0] == 0

    observer = BacksUp(back_up)
    with opened(url) as container:
        assert container.backfill().run(observer, throttle=Throttle(batch_size=20), jobs=1).is_done
    expected = sealed(url)
    assert staged[0] > 0

    lose(url)
    restore(url, backup)

    assert 0 < len(sealed(url)) < THEIRS
    code, out, err = run("backfill", "--resume", "--db", url)
    assert code == 0, out + err
    assert sealed(url) == expected
    assert len(expected) == THEIRS
    assert run("verify", "--full", "--db", url)[0] == 0


def sealed(url: str) -> dict[str, tuple[object, ...]]:
    """Return the facts of sealed sessions by ID."""
    query = (
        "SELECT session_id, source_ip, snapshot_asn, snapshot_country, snapshot_ip_type, snapshot_source"
        " FROM session_summaries WHERE enrichment_at IS NOT NULL"
    )
    with by_hand(url) as connection:
        return {name: tuple(facts) for name, *facts in connection.exec_driver_sql(query)}
