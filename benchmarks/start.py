"""
Measure what short commands cost: `--version`, `query`, `explain`, and `load` of one line into a new database.

    .venv/bin/python benchmarks/start.py [--rounds 10] [--against REV]

Each round runs every command once, on a database with the example log. It prints the medians of processor and wall
time, and with --against REV, a revision or a checkout with a `.venv`, the ratio to the program of that revision, which
runs in turn. Modules are compiled before.
"""

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from load import LOG
from revisions import Spent, python_of, spent_on

LINE = '{"session":"s","eventid":"cowrie.session.connect","timestamp":"2026-03-01T12:00:00Z","src_ip":"8.8.8.8"}\n'
SESSION = "7b403337ee64"


def main() -> None:
    arguments = argparse.ArgumentParser(description="What short commands cost.")
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--against", metavar="REV", help="measure this revision, too")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as temporary:
        folder = Path(temporary)
        (folder / "cowrie.json").write_text(LINE)
        pythons = {"this": sys.executable}
        if chosen.against:
            pythons[chosen.against] = python_of(chosen.against, folder)
        spent = defaultdict[tuple[str, str], list[Spent]](list)
        for round_ in range(chosen.rounds + 1):
            for number, (revision, python) in enumerate(pythons.items()):
                for name, command in commands(python, folder, number, is_first=not round_).items():
                    found = spent_on(python, command, folder)
                    if round_:  # the first one compiles
                        spent[revision, name].append(found)
    show(spent)


def commands(python: str, folder: Path, number: int, *, is_first: bool) -> dict[str, list[str]]:
    """Return the commands, after loading the example log the first time."""
    demo, new = (f"sqlite:///{folder}/{name}{number}.db" for name in ("demo", "new"))
    if is_first:
        spent_on(python, ["load", "-q", str(LOG), "--db", demo], folder)
    for old in folder.glob(f"new{number}.db*"):
        old.unlink()
    return {
        "--version": ["--version"],
        "query": ["query", "--db", demo],
        "explain": ["explain", SESSION, "--db", demo],
        "load of one line, new database": ["load", "-q", str(folder / "cowrie.json"), "--db", new],
        "the same again": ["load", "-q", str(folder / "cowrie.json"), "--db", new],
    }


def show(spent: dict[tuple[str, str], list[Spent]]) -> None:
    print(f"median of {len(next(iter(spent.values())))} rounds, seconds")
    print(f"{'':32}{'revision':>12}{'processor':>11}{'wall':>8}{'of that':>9}")
    medians = {key: statistics.median(one.processor for one in found) for key, found in spent.items()}
    others = [revision for revision, _ in spent if revision != "this"]
    for (revision, name), found in sorted(spent.items(), key=lambda item: item[0][1]):
        share = f"{medians['this', name] / medians[others[0], name]:.2f}" if others and revision == "this" else ""
        wall = statistics.median(one.wall for one in found)
        print(f"{name:32}{revision:>12}{medians[revision, name]:11.3f}{wall:8.3f}{share:>9}")


if __name__ == "__main__":
    main()
