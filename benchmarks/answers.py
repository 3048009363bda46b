"""
Measure how much processor time questions to a large database take.

    .venv/bin/python benchmarks/answers.py [--sessions 1680000] [--addresses 300000] [--only sqlite|postgresql]
        [--rounds 3] [--commands report verify ...] [--folder FOLDER] [--against REVISION]

Makes two years of sealed sessions, and asks each question by a process of its own, start included. It prints the least
processor time of the rounds, that of a PostgreSQL server included, and the wall time. With --against, each round
also asks the program of another revision, which must have tables of the same version; the answers are compared. With
--folder, the SQLite database is kept there and used again.
"""

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url

from history import build, sample_session
from snapshots.adapters.sql.connection.temporary_server import trial_server

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")

COMMANDS: Mapping[str, Sequence[str]] = {
    "nothing": ("query", "--limit", "1"),
    "report": ("report", "--format", "json"),
    "report --html": ("report", "--html", "OUT"),
    "verify": ("verify",),
    "verify --full": ("verify", "--full"),
    "drift": ("drift", "--format", "json"),
    "explain": ("explain", "SESSION", "--format", "json"),
    "query --by asn": ("query", "--by", "asn", "--format", "json"),
    "query, 30 days": ("query", "--by", "asn", "--since", "2026-10-20", "--format", "json"),
    "query, today": ("query", "--by", "asn", "--network-at", "today", "--format", "json"),
    "metrics": ("verify", "--run", "00000000-0000-4000-8000-202411000000", "--metrics-file", "OUT"),
    "export": ("export", "OUT", "--format", "csv"),
}
"""Arguments of each command; OUT is a file that it writes, SESSION a session."""


class Used(NamedTuple):
    """The processor and wall time of a command in seconds, and its answer."""

    processor: float
    wall: float
    answer: bytes


def main() -> None:
    arguments = argparse.ArgumentParser(description="How much processor time questions take.")
    arguments.add_argument("--sessions", type=int, default=1_680_000)
    arguments.add_argument("--addresses", type=int, default=300_000)
    arguments.add_argument("--only", choices=["sqlite", "postgresql"])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--commands", nargs="*", choices=[*COMMANDS], default=[*COMMANDS])
    arguments.add_argument("--folder", type=Path, help="keep the SQLite database here")
    arguments.add_argument("--against", metavar="REVISION")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder:
        programs = {"new": ROOT / "src"}
        if chosen.against:
            programs["old"] = checked_out(chosen.against, Path(folder) / "old")
        if chosen.only != "postgresql":
            kept = (chosen.folder or Path(folder)).resolve() / f"{chosen.sessions}-{chosen.addresses}.db"
            if not kept.exists():
                build(f"sqlite:///{kept}", chosen.sessions, chosen.addresses)
            measure("SQLite", f"sqlite:///{kept}", chosen, programs, lambda: 0.0)
        if chosen.only != "sqlite":
            with trial_server() as url:
                build(url, chosen.sessions, chosen.addresses)
                measure("PostgreSQL", url, chosen, programs, server_time(url))


def checked_out(revision: str, folder: Path) -> Path:
    """Return the sources of a revision."""
    packed = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def measure(
    title: str, url: str, chosen: argparse.Namespace, programs: Mapping[str, Path], of_server: Callable[[], float]
) -> None:
    session = sample_session(url)
    print(f"\n{title}: {chosen.sessions:,} sessions, {chosen.addresses:,} addresses; seconds of processor (wall)")
    print("command          " + "".join(f"{name:>22}" for name in programs))
    for command in chosen.commands:
        used: dict[str, list[Used]] = {name: [] for name in programs}
        for _ in range(chosen.rounds):
            for name, source in programs.items():
                used[name].append(run(COMMANDS[command], url, session, source, of_server))
        if len({each[0].answer for each in used.values()}) > 1:
            print(f"  the answers of {command} differ")
        least = {name: min(each) for name, each in used.items()}
        print(f"{command:17}" + "".join(f"{each.processor:14.2f} ({each.wall:5.1f})" for each in least.values()))


def run(command: Sequence[str], url: str, session: str, source: Path, of_server: Callable[[], float]) -> Used:
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder, printed_to(folder) as printed:
        out = Path(folder) / "out"
        words = [{"OUT": str(out), "SESSION": session}.get(word, word) for word in command]
        before, begun = of_server(), time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "snapshots", *words, "--db", url],
            stdout=printed,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(source)},
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        processor = usage.ru_utime + usage.ru_stime + of_server() - before
        printed.seek(0)
        lines = printed.read().splitlines() if child.returncode == 0 else [b"failed"]
        answer = b"\n".join(line for line in lines if b'"made_at"' not in line)
        return Used(processor, wall, answer + (out.read_bytes() if out.exists() and "--html" not in words else b""))


@contextmanager
def printed_to(folder: str) -> Iterator[io.BufferedRandom]:
    with (Path(folder) / "printed").open("w+b") as printed:
        yield printed


def server_time(url: str) -> Callable[[], float]:
    """Return a function for the processor time of all processes of a server in seconds."""
    server = int((Path(str(make_url(url).query["host"])) / "data/postmaster.pid").read_text().split()[0])

    def spent() -> float:
        time.sleep(0.3)  # until the processes of closed connections have ended
        living = [
            Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            for child in Path(f"/proc/{server}/task/{server}/children").read_text().split()
        ]
        own = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in [*own[11:15], *(t for each in living for t in each[11:13])]) / TICKS

    return spent


if __name__ == "__main__":
    main()
