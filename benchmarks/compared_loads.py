"""Alternate loads of this revision and of another one, and measure what storing the finished rows alone takes."""

import os
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from revisions import Spent, python_of, spent_on
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.session_encoder import COLUMNS

BATCH = 1_500
"""Sessions per transaction, as in a load."""


def compare(log: Path, lines: int, folder: Path, *, against: str, rounds: int, new_url: Callable[[], str]) -> None:
    """
    Print wall and processor time of loads by both revisions, their start apart, and the floor.

    Args:
        log: A log in plain or compressed lines.
        lines: Number of its lines.
        folder: For databases and the other revision.
        against: The other revision, or a checkout of it with a virtual environment.
        rounds: Number of alternations.
        new_url: Makes an empty database, and returns its URL.
    """
    load = ["load", "-q"]
    small = folder / "start.json"
    small.write_bytes(b"")
    programs = {against: python_of(against, folder), "this revision": sys.executable}
    found: defaultdict[tuple[str, str], list[Spent]] = defaultdict(list)
    for number in range(rounds + 1):  # the first round compiles modules and unpacks tables
        for name, python in programs.items():
            start = spent_on(python, [*load, str(small), "--db", new_url()], folder)
            loaded = spent_on(python, [*load, str(log), "--db", new_url()], folder)
            with one_core():
                alone = spent_on(python, [*load, str(log), "--db", url := new_url()], folder)
            if number:
                found[name, "start"].append(start)
                found[name, "load"].append(loaded)
                found[name, "load on one core"].append(alone)
            if number and python == sys.executable and url.startswith("sqlite"):
                found["finished rows", "store"].append(stored_alone(url, folder))
    print(f"{lines:,} lines, median of {rounds} rounds, {os.cpu_count()} cores; us per line without the start")
    print(f"{'':44}{'wall s':>10}{'processor s':>13}{'wall us':>10}{'processor us':>14}")
    for (name, step), spent in found.items():
        whole = _median(spent)
        start = _median(found[name, "start"]) if step.startswith("load") else Spent(0.0, 0.0)
        wall, processor = (whole.wall - start.wall, whole.processor - start.processor)
        print(
            f"{name + ', ' + step:44}{whole.wall:10.2f}{whole.processor:13.2f}{wall / lines * 1e6:10.2f}"
            f"{processor / lines * 1e6:14.2f}"
        )
    for step in ("load", "load on one core"):
        old, new = found[against, step], found["this revision", step]
        wall = statistics.median(o.wall / n.wall for o, n in zip(old, new, strict=True))
        processor = statistics.median(n.processor / o.processor for o, n in zip(old, new, strict=True))
        print(f"{step}: {wall:.2f} times as fast, {processor:.2f} of the processor time")


@contextmanager
def one_core() -> Iterator[None]:
    """Let processes that are started in this block use one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _median(spent: Sequence[Spent]) -> Spent:
    return Spent(statistics.median(each.processor for each in spent), statistics.median(each.wall for each in spent))


def stored_alone(url: str, folder: Path) -> Spent:
    """Measure storing the rows of a loaded SQLite file in another one, batch by batch."""
    loaded, target = SqlDatabase(url), folder / "floor.db"
    for old in folder.glob("floor.db*"):
        old.unlink()
    names = ", ".join(COLUMNS)
    with loaded.reading() as connection:
        sessions = connection.exec_driver_sql(f"SELECT {names} FROM session_summaries ORDER BY rowid").fetchall()
        addresses = connection.exec_driver_sql("SELECT * FROM known_addresses").fetchall()
    loaded.close()
    database = SqlDatabase(f"sqlite:///{target}")
    database.migrate()
    driver = database.engine.raw_connection().driver_connection
    if driver is None:
        sys.exit("no connection")
    driver.commit()
    driver.isolation_level = None  # BEGIN and COMMIT are sent below
    began, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    marks = ", ".join("?" * len(addresses[0]))
    driver.executemany(f"INSERT INTO known_addresses VALUES ({marks})", [tuple(row) for row in addresses])
    driver.execute(f"CREATE TEMPORARY TABLE stage AS SELECT {names} FROM session_summaries WHERE FALSE")
    marks = ", ".join("?" * len(COLUMNS))
    for at in range(0, len(sessions), BATCH):
        driver.execute("BEGIN IMMEDIATE")
        driver.execute("DELETE FROM stage")
        driver.executemany(f"INSERT INTO stage VALUES ({marks})", [tuple(row) for row in sessions[at : at + BATCH]])
        driver.execute(
            f"INSERT INTO session_summaries ({names}) SELECT * FROM stage WHERE TRUE"
            " ON CONFLICT (session_id) DO UPDATE SET updated_at = excluded.updated_at"
        )
        driver.execute("COMMIT")
    driver.close()
    after = resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
    return Spent(processor, time.perf_counter() - began)
