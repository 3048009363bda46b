"""Spark with workers that are processes of their own: the same rows as a load, whichever process dies. Needs Java."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest

from snapshots.adapters.spark.engine import spark_session
from snapshots.adapters.spark.folder import ParquetFolder, Part
from snapshots.app.errors import StoreBusy
from tests.fakes import Processes
from tests.journeys.conftest import Run
from tests.journeys.test_processes import VOLATILE, rows
from tests.mangle import mangled
from tests.waiting import wait_until

TWO_WORKERS = "local-cluster[2,1,1024]"
TIMES = 4
"""How often the logs are repeated, each under ids of their own, so that there is time to die in the middle."""

Rows = list[dict[str, object]]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs as a fleet has them: plain and compressed, read in parts, with invalid lines."""
    folder = tmp_path_factory.mktemp("logs")
    lines = mangled(3, reused_ids=False)
    for number in range(TIMES):
        part = b"\n".join(line.replace(b'"session":"', b'"session":"%x' % number) for line in lines)
        part += b"" if number == 1 else b"\n"  # the last event of one file lacks its newline
        if number % 3:
            (folder / f"cowrie.json.{number}").write_bytes(part)
        else:
            (folder / f"cowrie.json.{number}.gz").write_bytes(gzip.compress(part))
    return folder


@pytest.fixture(scope="module")
def expected(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    url = f"sqlite:///{tmp_path_factory.mktemp('one')}/one.db"
    subprocess.run([*program(), "load", "-q", "--db", url, str(logs)], check=True)
    return rows(url)


@pytest.fixture(scope="module", autouse=True)
def java() -> None:
    """The commands of the README need none; these tests name what is missing."""
    assert shutil.which("java"), "install a Java 17, or leave these tests out: -m 'not spark'"


def program() -> list[str]:
    return [sys.executable, "-m", "snapshots"]


def fleet(*arguments: object, master: str = TWO_WORKERS, folder: Path) -> subprocess.Popen[str]:
    """Begin a job in a process group of its own; what its workers leave behind is in a folder."""
    folder.mkdir(exist_ok=True)
    settings = [
        f"spark.executorEnv.TMPDIR={folder}",
        f"spark.local.dir={folder}",
        "spark.executor.memory=512m",
        "spark.sql.files.maxPartitionBytes=400000",
    ]
    command = [*program(), "fleet", *map(str, arguments), "--master", master]
    return subprocess.Popen(
        [*command, *(part for setting in settings for part in ("--conf", setting))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(folder), "SPARK_WORKER_DIR": str(folder)},
        start_new_session=True,
    )


def done(job: subprocess.Popen[str]) -> str:
    out, err = job.communicate(timeout=900)
    assert job.returncode == 0, err[-3000:]
    return out


def in_folder(folder: Path) -> Rows:
    found = pyarrow.dataset.dataset(folder / "sessions", partitioning="hive").to_table().to_pylist()
    kept = [
        {name: value for name, value in row.items() if name not in VOLATILE | {"day", "sensor", "login_counts"}}
        for row in found
    ]
    return sorted(kept, key=lambda row: str(row["session_id"]))


def wait_in_job(happened: Callable[[], bool], job: subprocess.Popen[str]) -> None:
    wait_until(lambda: happened() or job.poll() is not None, seconds=500)
    assert job.poll() is None, job.communicate()


def executors(job: subprocess.Popen[str]) -> Iterator[int]:
    """Yield the processes of a job's workers."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = b"CoarseGrainedExecutorBackend" in (entry / "cmdline").read_bytes()
            if is_worker and os.getpgid(int(entry.name)) == job.pid:
                yield int(entry.name)
        except OSError:
            continue


@pytest.mark.spark
def test_a_folder_holds_the_rows_of_a_load_though_a_worker_dies(logs: Path, expected: Rows, tmp_path: Path) -> None:
    """All columns; its work is done again by another, and the whole job again changes nothing."""
    to, work = tmp_path / "lake", tmp_path / "work"
    job = fleet("load", logs, "--to", to, folder=work)
    wait_in_job(lambda: any(work.glob("**/snapshots-part-*")), job)
    os.kill(next(executors(job)), signal.SIGKILL)

    out = done(job)

    assert f"{len(expected):,} new sessions" in out
    assert in_folder(to) == expected
    assert "Nothing new" in done(fleet("load", logs, "--to", to, master="local[2]", folder=work))
    assert in_folder(to) == expected


@pytest.mark.spark
def test_sessions_of_a_folder_are_backfilled(logs: Path, expected: Rows, tmp_path: Path) -> None:
    """With the rows that one machine would have written."""
    to, work = tmp_path / "lake", tmp_path / "work"
    local: dict[str, Any] = {"master": "local[2]", "folder": work}
    none_is_new_enough = ("--max-age", "0", "--max-type-lag", "0")
    done(fleet("load", logs, "--to", to, *none_is_new_enough, **local))
    assert {row["enrichment_at"] for row in in_folder(to)} == {None}

    out = done(fleet("backfill", "--at", to, **local))

    assert f"sealed:asof: {sum(row['snapshot_method'] == 'asof' for row in expected):,}" in out
    assert in_folder(to) == expected

    url = f"sqlite:///{tmp_path}/imported.db"
    subprocess.run([*program(), "fleet", "import", str(to), "--db", url], check=True)
    assert rows(url) == expected
    subprocess.run([*program(), "verify", "--db", url], check=True)
    again = [*program(), "load", "--db", url, str(logs)]
    assert "Nothing new" in subprocess.run(again, check=True, stdout=subprocess.PIPE, text=True).stdout


class Stopped(BaseException):
    """The driver ends here, as by kill -9."""


class Stopping(ParquetFolder):
    """A folder in which a job ends before a step."""

    def __init__(self, spark: Any, root: str, steps: int) -> None:
        super().__init__(spark, root)
        self.steps = steps

    def _step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Stopped

    def _remove(self, below: str) -> None:
        self._step()
        super()._remove(below)

    def _copy(self, old: str, new: str) -> None:
        self._step()
        super()._copy(old, new)
        self._step()

    def _write(self, below: str, value: object) -> None:
        self._step()
        super()._write(below, value)


@pytest.mark.spark
def test_a_job_changes_a_folder_completely_or_not_at_all(tmp_path: Path) -> None:
    """The next job completes or removes an interrupted one, and a repeated job has the same result."""
    before = [("a", "2026-01-01", "x", 1), ("b", "2026-01-02", "x", 1), ("c", "2026-01-03", "_y", 1)]
    after = [("a", "2026-01-02", "x", 2), ("b", "2026-01-02", "x", 2), ("c", "2026-01-03", "_y", 1)]
    touched = [Part("day=2026-01-01", "sensor=x"), Part("day=2026-01-02", "sensor=x")]
    written = tmp_path / "written"
    with spark_session("local[1]", {"spark.local.dir": str(tmp_path)}) as spark:
        for rows, path in ((before, "sessions"), (after[:2], "_written-two")):
            frame = spark.createDataFrame(rows, "id string, day string, sensor string, n int").coalesce(1)
            frame.write.partitionBy("day", "sensor").parquet(str(written / path))

        def held(folder: ParquetFolder) -> list[tuple[Any, ...]]:
            with folder.locked(Processes()):
                assert not [path for path in Path(folder.root).glob("_*") if "two" in path.name]
            found = pyarrow.dataset.dataset(f"{folder.root}/sessions", partitioning="hive").to_table().to_pylist()
            return sorted((row["id"], str(row["day"]), row["sensor"], row["n"]) for row in found)

        seen, is_done = set(), False
        for steps in range(99):
            stopping = Stopping(spark, str(tmp_path / f"lake{steps}"), steps)
            shutil.copytree(written, stopping.root)
            with suppress(Stopped):
                stopping.complete("two", touched)
            is_done = stopping.steps > 0
            folder = ParquetFolder(spark, stopping.root)
            found = held(folder)
            assert found in (before, after)
            seen.add(found == after)
            shutil.copytree(written / "_written-two", f"{folder.root}/_written-two")
            folder.complete("two", touched)
            assert held(folder) == after
            if is_done:
                break
        assert seen == {True, False}
        assert is_done

        folder = ParquetFolder(spark, str(tmp_path / "lake0"))
        with folder.locked(Processes("one")):
            with pytest.raises(StoreBusy, match="another job works"), folder.locked(Processes("two")):
                pass
            with folder.locked(Processes("two", "one")):
                pass


@pytest.mark.spark
def test_uploads_of_attackers_are_not_read(tmp_path: Path) -> None:
    """They may look like logs; but a named file is read, whatever its folder is called."""
    named = tmp_path / "a strange place" / "ü" / "tty"
    event = (
        '{"session":"%s","eventid":"cowrie.session.connect","src_ip":"8.8.8.8","timestamp":"2026-03-01T12:00:00Z"}\n'
    )
    for name in ("log/cowrie.json", "downloads/forged.json", "log/tty/x.json", "log/cowrie.log"):
        path = named / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(event % name[-9:-5])

    done(fleet("load", named, "--to", tmp_path / "lake", master="local[1]", folder=tmp_path / "work"))

    assert [row["session_id"] for row in in_folder(tmp_path / "lake")] == ["wrie"]


@pytest.mark.spark
def test_a_usage_error_is_one_sentence(tmp_path: Path, run: Run) -> None:
    """No traceback, neither of Python nor of Java."""
    job = fleet("load", tmp_path / "nothing", "--to", tmp_path / "lake", master="local[2]", folder=tmp_path / "work")
    _, err = job.communicate(timeout=600)
    assert "there is no" in err
    assert "Traceback" not in err

    for url in ("sqlite:///x.db", "postgresql://x", "postgresql+psycopg://x/y"):
        for command in (("load", "x", "--to"), ("backfill", "--at")):
            code, _, err = run("fleet", *command, url, "--master", "local")
            assert (code, "snapshots fleet import FOLDER --db URL" in err) == (2, True)
    assert run("fleet", "load", "x", "--master", "local", "--to", "x", "--conf", "y")[0] == 2
