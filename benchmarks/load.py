"""
How near loading is to the limit of this machine.

    .venv/bin/python benchmarks/load.py [--events 200000] [--addresses N] [--rounds 3] [PATH...]

Each round measures, one after the other on the same file: reading its bytes in lines; decoding the needed
fields with msgspec and counting by session in a dict, with none of our code (the limit); and the whole load
into a new SQLite file. It prints the median of the rounds and the ratios to the limit. Without PATH the log
that comes with the program is repeated under new ids and times until there are enough events; with --addresses its
sessions come from so many addresses that nobody knew. The last line says which part of loading is looking addresses up.
"""

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from snapshots.__main__ import main as snapshots
from snapshots.app.lookup import Lookups

LOG = Path(__file__).parent.parent / "src/snapshots/adapters/cli/data/cowrie.json.gz"


class Fields(msgspec.Struct):
    """What a load needs of a line."""

    session: str
    timestamp: str
    eventid: str
    src_ip: str


def main() -> None:
    arguments = argparse.ArgumentParser(description="How near loading is to the limit.")
    arguments.add_argument("paths", nargs="*", type=Path, help="logs to load, plain JSON lines")
    arguments.add_argument("--events", type=int, default=200_000, help="how many events to make without PATH")
    arguments.add_argument("--addresses", type=int, help="how many new addresses the sessions come from")
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder:
        log = Path(folder) / "cowrie.json"
        with log.open("wb") as file:
            if chosen.paths:
                file.writelines(path.read_bytes() for path in chosen.paths)
            else:
                file.writelines(made(chosen.events, chosen.addresses))
        events = sum(1 for _ in log.open("rb"))
        megabytes = log.stat().st_size / 1e6
        steps: dict[str, Callable[[], None]] = {
            "reading lines": lambda: read(log),
            "decoding and counting (limit)": lambda: count(log),
            "whole load": lambda: load(log, Path(folder)),
        }
        load(log, Path(folder))  # the bundled tables are unpacked and everything is imported
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(chosen.rounds):
            for name, step in steps.items():
                began = time.perf_counter()
                step()
                seconds[name].append(time.perf_counter() - began)
        share = share_of_lookups(log, Path(folder))
    show(events, megabytes, seconds)
    print(f"looking addresses up is {share:.1%} of a load")


def made(events: int, addresses: int | None = None) -> Iterator[bytes]:
    """Yield lines of the log over and over, each time an hour earlier and with other session ids."""
    chance = random.Random(3)
    known = [str(IPv4Address(chance.randrange(2**24, 2**31))) for _ in range(addresses or 0)]
    lines = [json.loads(line) for line in gzip.decompress(LOG.read_bytes()).splitlines()]
    for number in range(events):
        round_, at = divmod(number, len(lines))
        event = dict(lines[at])
        moment = datetime.fromisoformat(event["timestamp"]) - timedelta(hours=round_)
        event["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        event["session"] = f"{round_:04x}{event['session'][4:]}"
        if known:
            event["src_ip"] = known[hash(event["session"]) % len(known)]
        yield json.dumps(event, separators=(",", ":")).encode() + b"\n"


def read(log: Path) -> None:
    with log.open("rb") as file:
        for _ in file:
            pass


def count(log: Path) -> None:
    decode = msgspec.json.Decoder(Fields).decode
    counts: dict[str, int] = {}
    with log.open("rb") as file:
        for line in file:
            session = decode(line).session
            counts[session] = counts.get(session, 0) + 1


def load(log: Path, folder: Path) -> None:
    for old in folder.glob("test.db*"):
        old.unlink()
    if snapshots(["load", str(log), "-q", "--db", f"sqlite:///{folder}/test.db"]):
        sys.exit("the load failed")


def share_of_lookups(log: Path, folder: Path) -> float:
    """Return which part of a load is registering addresses, looking them up and learning."""
    spent = 0.0

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal spent
            began = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                spent += time.perf_counter() - began

        return call

    with mock.patch.object(Lookups, "catch_up", timed(Lookups.catch_up)):
        began = time.perf_counter()
        load(log, folder)
        return spent / (time.perf_counter() - began)


def show(events: int, megabytes: float, seconds: dict[str, list[float]]) -> None:
    limit = statistics.median(seconds["decoding and counting (limit)"])
    print(f"{events:,} events, {megabytes:,.0f} MB, median of {len(next(iter(seconds.values())))} rounds")
    print(f"{'':32}{'seconds':>9}{'spread':>14}{'events/s':>13}{'of the limit':>14}")
    for name, times in seconds.items():
        median = statistics.median(times)
        spread = f"{min(times):.2f}..{max(times):.2f}"
        print(f"{name:32}{median:9.2f}{spread:>14}{events / median:13,.0f}{limit / median:14.1%}")


if __name__ == "__main__":
    main()
