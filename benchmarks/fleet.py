"""
What a second worker brings, and what an event costs on Spark.

    .venv/bin/python benchmarks/fleet.py [--events 1000000] [--files 16] [--workers 1 2] [--rounds 1]

Makes logs and loads them into a folder of Parquet files, on clusters of so many workers with one core each (`local-
cluster`, real processes), each in a process of its own and after a small job that warms it up: starting Spark is left
out. It also folds the same lines with expressions of Spark alone, which count and take the earliest time of each
session and nothing else, and loads them into a SQLite file as one machine does. Prints events a second, CPU time for
each event over all processes, and the ratio to one worker.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from load import made
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.cowrie.lines.salvage import CowrieLineParser
from snapshots.adapters.process import CurrentProcess
from snapshots.adapters.spark.engine import spark_session
from snapshots.adapters.spark.load import SparkLoad
from snapshots.adapters.sql.adopt.part_database import create_part_database, session_columns
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.load.cluster import FleetInput
from snapshots.app.ports.log_source import LineOptions
from snapshots.composition.spark_worker import rows_of_part

MASTER = "local-cluster[{},1,1536]"


def main() -> None:
    arguments = argparse.ArgumentParser(description="What a second worker brings.")
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--files", type=int, default=16)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--measure", nargs=3, metavar=("WORKERS", "LOGS", "WHAT"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.measure:
        workers, logs, what = chosen.measure
        print(json.dumps(measure(int(workers), Path(logs), what)))
        return
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as temporary:
        logs = Path(temporary) / "logs"
        logs.mkdir()
        lines, each = made(chosen.events), -(-chosen.events // chosen.files)
        for number in range(chosen.files):
            with (logs / f"cowrie.json.{number}").open("wb") as file:
                file.writelines(line for line, _ in zip(lines, range(each), strict=False))
        began, cpu = time.perf_counter(), sum(os.times()[2:4])
        command = [sys.executable, "-m", "snapshots", "load", "-q", "--db", f"sqlite:///{temporary}/one.db", str(logs)]
        subprocess.run(command, check=True)
        times = {("load on one machine", 1): [(time.perf_counter() - began, sum(os.times()[2:4]) - cpu)]}
        for _ in range(chosen.rounds):
            for workers in chosen.workers:
                for what in ("load", "expressions"):
                    seconds, cpu = measured(workers, logs, what)
                    times.setdefault((f"{what} on Spark", workers), []).append((seconds, cpu))
    print(f"{chosen.events:,} events in {chosen.files} files, medians of {chosen.rounds}\n")
    print(f"{'':24}{'workers':>8}{'events/s':>12}{'CPU µs/event':>14}{'to one worker':>15}")
    for (what, workers), found in times.items():
        seconds, cpu = sorted(found)[len(found) // 2]
        alone = sorted(times.get((what, min(chosen.workers)), found))
        ratio = alone[len(alone) // 2][0] / seconds
        print(f"{what:24}{workers:8}{chosen.events / seconds:12,.0f}{cpu / chosen.events * 1e6:14.1f}{ratio:15.2f}")


def measured(workers: int, logs: Path, what: str) -> tuple[float, float]:
    """Measure in a process of its own, with a Spark of its own."""
    command = [sys.executable, __file__, "--measure", str(workers), str(logs), what]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, start_new_session=True)
    seconds, cpu = json.loads(done.stdout.splitlines()[-1])
    return seconds, cpu


def measure(workers: int, logs: Path, what: str) -> tuple[float, float]:
    """Return the seconds that the work takes, and the CPU seconds of all processes in this one's group."""
    with tempfile.TemporaryDirectory(prefix="snapshots-fleet-") as folder:
        settings = {
            "spark.executor.memory": "1g",
            "spark.local.dir": folder,
            "spark.executorEnv.TMPDIR": folder,
            "spark.sql.files.maxPartitionBytes": "32m",
        }
        beginning = f"{folder}/beginning.db"
        create_part_database(SqlDatabase(f"sqlite:///{beginning}"), None)
        rows_of = partial(rows_of_part, (Settings(), beginning))
        with spark_session(MASTER.format(workers), settings) as spark:

            def load(paths: list[str], to: str) -> None:
                source = FleetInput(paths=paths, options=LineOptions())
                SparkLoad(spark, source, CowrieLineParser(source.options), [beginning]).into_folder(
                    "run", to, rows_of, session_columns(), CurrentProcess()
                )

            work: Callable[[list[str], str], None] = load if what == "load" else partial(fold, spark)
            work([str(min(logs.iterdir()))], f"{folder}/warm")
            began, cpu = time.perf_counter(), cpu_of_group()
            work([str(logs)], f"{folder}/out")
            return time.perf_counter() - began, cpu_of_group() - cpu


def fold(spark: Any, paths: list[str], to: str) -> None:
    """Count the events of each session, and take its earliest time, by expressions alone."""
    lines = spark.read.text(paths)
    fields = lines.selectExpr(
        "from_json(value, 'session string, timestamp string, eventid string, src_ip string') AS e"
    )
    fields.groupBy("e.session").agg({"e.timestamp": "min", "*": "count"}).write.parquet(to)


def cpu_of_group() -> float:
    """Return the CPU seconds of every process of this group, and of those that they waited for."""
    group, ticks = os.getpgid(0), 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
