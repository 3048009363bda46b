"""
Measure what many small files cost, compared with one file of the same lines.

    .venv/bin/python benchmarks/small_files.py [--files 10000] [--rounds 3] [--against REV] [--postgresql]

Each round loads, by turns, one file with all lines and a folder with one file per line, each into a new database, and
each a second time, when nothing is new. The files are dated to yesterday, because those of the last hour may still be
written, and the second load would compare their content. It prints the medians of processor and wall time, start
included, the ratio to the load of one file, and the share of the second load in the first. With --against REV, a
revision or a checkout with a `.venv`, the program of that revision does the same in turn.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from load import made, new_database
from revisions import Spent, python_of, spent_on
from snapshots.adapters.sql.connection.temporary_server import trial_server

SETTLE_SECONDS = 2.5
"""Files that changed less than two seconds ago may be compared by their content."""


def main() -> None:
    arguments = argparse.ArgumentParser(description="The cost of many small files.")
    arguments.add_argument("--files", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--against", metavar="REV", help="measure this revision, too")
    arguments.add_argument("--postgresql", action="store_true", help="load into PostgreSQL instead of SQLite")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as temporary, ExitStack() as servers:
        folder = Path(temporary)
        server = servers.enter_context(trial_server()) if chosen.postgresql else None
        inputs = write_inputs(folder, chosen.files)
        pythons = {"this revision": sys.executable}
        if chosen.against:
            pythons[chosen.against] = python_of(chosen.against, folder)
        for python in pythons.values():
            spent_on(python, ["load", "-q", str(inputs["one file"]), "--db", database(folder, server)], folder)
        spent = defaultdict[tuple[str, str, str], list[Spent]](list)
        for _ in range(chosen.rounds):
            for revision, python in pythons.items():
                for name, path in inputs.items():
                    url = database(folder, server)
                    for load in ("new", "again"):
                        arguments_ = ["load", "-q", str(path), "--db", url]
                        spent[revision, name, load].append(spent_on(python, arguments_, folder))
    show(chosen.files, spent)


def write_inputs(folder: Path, files: int) -> dict[str, Path]:
    one, many = folder / "one" / "cowrie.json", folder / "many"
    one.parent.mkdir()
    many.mkdir()
    lines = list(made(files))
    one.write_bytes(b"".join(lines))
    for number, line in enumerate(lines):
        (many / f"cowrie.{number:06}.json").write_bytes(line)
    yesterday = time.time() - 24 * 3600
    for file in (one, *many.iterdir()):
        os.utime(file, (yesterday, yesterday))
    time.sleep(SETTLE_SECONDS)
    return {"one file": one, f"{files:,} files": many}


def database(folder: Path, server: str | None) -> str:
    """Return the URL of an empty database."""
    if server is not None:
        return new_database(server)
    for old in folder.glob("test.db*"):
        old.unlink()
    return f"sqlite:///{folder}/test.db"


def show(files: int, spent: dict[tuple[str, str, str], list[Spent]]) -> None:
    print(f"{files:,} lines, median of {len(next(iter(spent.values())))} rounds, seconds")
    print(f"{'':34}{'load':>7}{'processor':>11}{'wall':>8}{'to one file':>13}{'to the first':>14}")
    medians = {key: statistics.median(one.processor for one in found) for key, found in spent.items()}
    for (revision, name, load), found in spent.items():
        processor, wall = medians[revision, name, load], statistics.median(one.wall for one in found)
        to_one = f"{processor / medians[revision, 'one file', load]:.2f}"
        to_first = f"{processor / medians[revision, name, 'new']:.2f}"
        print(f"{f'{revision}, {name}':34}{load:>7}{processor:11.2f}{wall:8.2f}{to_one:>13}{to_first:>14}")


if __name__ == "__main__":
    main()
