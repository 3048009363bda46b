"""A PostgreSQL server that crashes and comes back under every long command."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from snapshots.adapters.sql.connection.temporary_server import trial_server
from tests.journeys.conftest import Run
from tests.journeys.test_processes import restart, rows

pytestmark = pytest.mark.slow

NOTHING_YET = ("--max-age", "0", "--max-lag", "0")
"""Options of a load that leave every session open."""

Prepare = Callable[[Run, str], None]


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    with trial_server() as url:
        yield url


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "asn-2026-01-01.csv"
    path.write_text("".join(f"{n}.0.0.0,{n}.255.255.255,{64500 + n},NET{n}\n" for n in range(1, 224)))
    return path


def ask(url: str, query: str) -> int:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(query)).scalar() or 0)
    finally:
        engine.dispose()


def fresh(server: str, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def facts(url: str) -> list[tuple[object, ...]]:
    names = ("session_id", "event_count", "source_ip", "snapshot_asn", "snapshot_country", "snapshot_gap")
    return [tuple(row[name] for name in names) for row in rows(url)]


@pytest.mark.parametrize("kind", ["load", "follow", "backfill", "undo", "import"])
def test_a_crash_of_the_server_loses_nothing_and_the_run_ends(
    own_server: str, run: Run, logs: Path, table: Path, kind: str
) -> None:
    """Once the run is recorded. An import may end with exit code 1 and is repeated; all others continue."""
    events = 0
    if kind == "follow":
        counted = fresh(own_server, "counted")
        assert run("load", "-q", "--db", counted, logs)[0] == 0
        events = ask(counted, "SELECT sum(event_count) FROM session_summaries")
    ends = []
    for name in (f"calm_{kind}", f"crash_{kind}"):
        url = fresh(own_server, name)
        ends.append(url)
        if kind not in {"load", "follow"}:
            assert run("load", "-q", "--db", url, *NOTHING_YET, logs)[0] == 0
        commands: dict[str, list[object]] = {
            "load": ["load", "-q", "--db", url, logs],
            "follow": ["load", "-q", "--follow", "--poll-interval", "0.2", "--db", url, logs],
            "backfill": ["backfill", "-q", "--rejudge-all", "--batch-size", "20", "--rate", "100", "--db", url],
            "import": ["inventory", "import", "--force", "--db", url, table],
        }
        if kind == "undo":
            done = run("backfill", "--rejudge-all", "--batch-size", "20", "--format", "json", "--db", url)
            commands["undo"] = ["undo", "--db", url, json.loads(done[1])["run"]]
        command = [sys.executable, "-m", "snapshots", *map(str, commands[kind])]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if name.startswith("crash"):
            recorded = "load" if kind == "follow" else kind
            while process.poll() is None and not is_under_way(url, recorded):
                pass
            restart(url, "immediate")
        if kind == "follow":
            finish_following(process, url, events)
        _, err = process.communicate(timeout=120)
        assert process.returncode in ({0, 1} if kind == "import" else {0}), err
        assert "Traceback" not in err
        if process.returncode:
            assert run(*commands[kind])[0] == 0
        states = {record["state"] for record in json.loads(run("runs", "--db", url, "--format", "json")[1])}
        assert "running" not in states or process.returncode, err
        assert run("verify", "--db", url)[0] == 0

    assert facts(ends[1]) == facts(ends[0])


def is_under_way(url: str, kind: str) -> bool:
    if not ask(url, "SELECT count(*) FROM pg_tables WHERE tablename = 'runs'"):
        return False
    return ask(url, f"SELECT count(*) FROM runs WHERE kind = '{kind}' AND state = 'running'") > 0


def finish_following(process: subprocess.Popen[str], url: str, events: int) -> None:
    """Stop a follower once it has stored so many events."""
    while process.poll() is None:
        if is_under_way(url, "load") and ask(url, "SELECT sum(event_count) FROM session_summaries") == events:
            break
    process.send_signal(signal.SIGTERM)
