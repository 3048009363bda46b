"""
Compare the speed of loading with the limit of this machine.

    .venv/bin/python benchmarks/load.py [--events 200000] [--addresses N] [--rounds 3] [--gz] [--postgresql]
        [--onto EVENTS] [--against REVISION] [PATH...]

Each round measures, one after the other on the same file: reading its bytes in lines; decoding the needed fields with
msgspec and counting by session in a dict, with none of our code (the limit); the whole load into a new SQLite file, the
same while keeping every event, without the indexes that only questions need, of a log in which each session comes from
a new address (not with PATH), and, if asked for, into a new PostgreSQL database, each a process of its own, start
included; DuckDB doing the same fold over the same lines on one thread, and storing bad ones, where it is installed
(`pip install duckdb`); and, on a part of the file, a loader that stores every event as a row, 500 per statement, and
updates its session by an upsert. It prints the median of the rounds, the ratios to the limit, and the peak memory of
the loads. Without PATH the log that comes with the program is repeated under new ids and times until there are enough
events; with --addresses its sessions come from so many random addresses. The last line has the share of the time that
is spent on lookups.

With --against it compares only the load with that of another revision, which is built in a folder of its own: both are
run in turns, on all cores and on one, with wall and processor time, the start apart, and the time that storing the
finished rows alone takes (on SQLite).
"""

import argparse
import gzip
import json
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from ipaddress import IPv4Address
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
from sqlalchemy import create_engine, make_url

from compared_loads import compare
from processes import watched
from snapshots.__main__ import main as snapshots
from snapshots.adapters.sql.connection.temporary_server import trial_server
from snapshots.app.enrich.lookup import Lookups

LOG = Path(__file__).parent.parent / "src/snapshots/adapters/cli/data/cowrie.json.gz"


class Fields(msgspec.Struct):
    """What a load needs of a line."""

    session: str
    timestamp: str
    eventid: str
    src_ip: str


SLICE = 20_000
EACH_ITS_OWN = 0
"""Number of addresses in a log in which each session has a new one."""
HELD = 20_000
"""From which round on the events are made that a database holds already."""

peaks: dict[str, float] = {}


def main() -> None:
    arguments = argparse.ArgumentParser(description="How near loading is to the limit.")
    arguments.add_argument("paths", nargs="*", type=Path, help="logs to load, plain JSON lines")
    arguments.add_argument("--events", type=int, default=200_000, help="how many events to make without PATH")
    arguments.add_argument("--addresses", type=int, help="how many new addresses the sessions come from")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--gz", action="store_true", help="read the log compressed")
    arguments.add_argument("--postgresql", action="store_true", help="load into PostgreSQL too")
    arguments.add_argument(
        "--onto", type=int, metavar="EVENTS", help="load also into databases that hold so many others"
    )
    arguments.add_argument("--against", metavar="REVISION", help="only compare the load with that of another revision")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as temporary, ExitStack() as servers:
        folder = Path(temporary)
        log = folder / ("cowrie.json.gz" if chosen.gz else "cowrie.json")
        with opened(log, "wb") as file:
            if chosen.paths:
                file.writelines(path.read_bytes() for path in chosen.paths)
            else:
                file.writelines(made(chosen.events, chosen.addresses))
        with opened(log, "rb") as file:
            lengths = [len(line) for line in file]
        if chosen.against is not None:
            server = servers.enter_context(trial_server()) if chosen.postgresql else None
            new_url = partial(new_database, server) if server is not None else partial(new_file, folder)
            compare(log, len(lengths), folder, against=chosen.against, rounds=chosen.rounds, new_url=new_url)
            return
        steps: dict[str, Callable[[], int]] = {
            "reading lines": lambda: read(log, len(lengths)),
            "decoding and counting (limit)": lambda: count(log, len(lengths)),
            "load into SQLite": lambda: load(log, new_file(folder), len(lengths), "load into SQLite"),
        }
        steps["the same, keeping events"] = lambda: load(
            log, new_file(folder), len(lengths), "the same, keeping events", "--store-events"
        )
        steps["the same without indexes for questions"] = lambda: load(
            log, without_query_indexes(new_file(folder)), len(lengths), "the same without indexes for questions"
        )
        if not chosen.paths:
            steps |= from_new_addresses(folder, chosen.events)
        server = None
        if chosen.postgresql:
            server = servers.enter_context(trial_server())
            steps["load into PostgreSQL"] = lambda: load(
                log, new_database(server), len(lengths), "load into PostgreSQL"
            )
        prepared: Steps = {}
        if chosen.onto:
            more, before = onto(log, folder, len(lengths), chosen.onto, server)
            steps |= more
            prepared |= before
        if find_spec("duckdb") is not None:
            steps["fold in DuckDB"] = lambda: fold_in_duckdb(log, len(lengths))
        steps["row by row, on a slice"] = lambda: by_rows(log, folder, min(SLICE, len(lengths)))
        load(log, new_file(folder), len(lengths), "warming up")  # the bundled tables are unpacked
        rates: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(chosen.rounds):
            for name, step in steps.items():
                prepared.get(name, int)()
                began = time.perf_counter()
                events = step()
                rates[name].append(events / (time.perf_counter() - began))
        share = share_of_lookups(log, folder)
    show(len(lengths), sum(lengths) / 1e6, rates)
    print(f"looking addresses up is {share:.1%} of a load")


Steps = dict[str, Callable[[], int]]


def from_new_addresses(folder: Path, events: int) -> Steps:
    """Return the load of a plain log in which each session comes from an address of its own."""
    log, name = folder / "new-addresses.json", "a new address each session"
    with log.open("wb") as file:
        file.writelines(made(events, EACH_ITS_OWN))
    return {name: lambda: load(log, new_file(folder), events, name)}


def onto(log: Path, folder: Path, events: int, held_events: int, server: str | None) -> tuple[Steps, Steps]:
    """Return loads into databases with other events, and the preparation of each."""
    held, base = folder / "held.json", folder / "base.db"
    with held.open("wb") as file:
        file.writelines(made(held_events, first=HELD))
    load(held, f"sqlite:///{base}", 0, "held")
    name = "onto SQLite that holds more"

    def copied() -> int:
        shutil.copyfile(base, new_file(folder).removeprefix("sqlite:///"))
        return 0

    prepared: Steps = {name: copied}
    steps: Steps = {name: lambda: load(log, f"sqlite:///{folder}/test.db", events, name)}
    if server is not None:
        load(held, new_database(server, "held"), 0, "held")
        other = "onto PostgreSQL that holds more"
        prepared[other] = lambda: len(new_database(server, "onto", template="held"))
        steps[other] = lambda: load(log, of_server(server, "onto"), events, other)
    held.unlink()
    return steps, prepared


def opened(log: Path, mode: str) -> Any:
    return gzip.open(log, mode, compresslevel=3) if log.suffix == ".gz" else log.open(mode)


def made(events: int, addresses: int | None = None, *, first: int = 0) -> Iterator[bytes]:
    """Yield lines of the log over and over, each time an hour earlier and with other session ids."""
    chance = random.Random(3)
    known = [str(IPv4Address(chance.randrange(2**24, 2**31))) for _ in range(addresses or 0)]
    own: defaultdict[str, str] = defaultdict(lambda: str(IPv4Address(chance.randrange(2**24, 2**31))))
    lines = [json.loads(line) for line in gzip.decompress(LOG.read_bytes()).splitlines()]
    for number in range(events):
        round_, at = divmod(number, len(lines))
        round_ += first
        event = dict(lines[at])
        moment = datetime.fromisoformat(event["timestamp"]) - timedelta(hours=round_)
        event["timestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        event["session"] = f"{round_:04x}{event['session'][4:]}"
        if known:
            event["src_ip"] = known[hash(event["session"]) % len(known)]
        elif addresses == EACH_ITS_OWN:
            event["src_ip"] = own[event["session"]]
        yield json.dumps(event, separators=(",", ":")).encode() + b"\n"


def read(log: Path, events: int) -> int:
    with opened(log, "rb") as file:
        for _ in file:
            pass
    return events


def count(log: Path, events: int) -> int:
    decode = msgspec.json.Decoder(Fields).decode
    counts: dict[str, int] = {}
    with opened(log, "rb") as file:
        for line in file:
            session = decode(line).session
            counts[session] = counts.get(session, 0) + 1
    return events


def new_file(folder: Path) -> str:
    for old in folder.glob("test.db*"):
        old.unlink()
    return f"sqlite:///{folder}/test.db"


def without_query_indexes(url: str) -> str:
    for command in (["migrate"], ["indexes", "--drop"]):
        with redirect_stdout(StringIO()):
            snapshots([*command, "--db", url])
    return url


def new_database(server: str, name: str = "loaded", *, template: str = "template1") -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    engine.dispose()
    return of_server(server, name)


def of_server(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def load(log: Path, url: str, events: int, name: str, *options: str) -> int:
    _, peak = watched([sys.executable, "-m", "snapshots", "load", str(log), "-q", "--db", url, *options])
    peaks[name] = max(peaks.get(name, 0.0), peak)
    return events


FOLD = """
SELECT session, min(seen), max(seen), count(*), count(*) FILTER (eventid = 'cowrie.command.input'),
 count(*) FILTER (eventid LIKE 'cowrie.login.%'), count(*) FILTER (eventid = 'cowrie.session.file_download'),
 arg_min(src_ip, (eventid <> 'cowrie.session.connect', seen)) FROM (
  SELECT j->>'session' AS session, (j->>'timestamp')::TIMESTAMPTZ AS seen, j->>'eventid' AS eventid,
   j->>'src_ip' AS src_ip
  FROM (SELECT CASE WHEN json_valid(line) THEN line::JSON END AS j FROM lines) WHERE j IS NOT NULL)
GROUP BY session
"""


def fold_in_duckdb(log: Path, events: int) -> int:
    """Fold as a user of DuckDB would who does not want a bad line to end it, nor to vanish."""
    database = import_module("duckdb").connect(config={"threads": 1})
    database.execute(
        "CREATE TEMP TABLE lines AS SELECT line FROM read_csv(?, columns={'line': 'VARCHAR'}, delim='\\x01', quote='',"
        " escape='', header=false, auto_detect=false, max_line_size=16777216)",
        [str(log)],
    )
    database.execute(f"CREATE TABLE sessions AS {FOLD}")
    database.execute("CREATE TABLE dead_letters AS SELECT line FROM lines WHERE NOT json_valid(line)")
    database.close()
    return events


def by_rows(log: Path, folder: Path, events: int) -> int:
    """Store every event as a row, 500 in a statement, and add each to its session by an upsert."""
    (folder / "rows.db").unlink(missing_ok=True)
    database = sqlite3.connect(folder / "rows.db")
    database.execute(
        "CREATE TABLE raw_events (id INTEGER PRIMARY KEY, session TEXT, eventid TEXT, at TEXT, payload TEXT)"
    )
    database.execute("CREATE INDEX of_session ON raw_events (session)")
    database.execute("CREATE TABLE sessions (session TEXT PRIMARY KEY, first TEXT, last TEXT, events INTEGER, ip TEXT)")
    with opened(log, "rb") as file:
        lines = list(islice(file, events))
    for at in range(0, len(lines), 500):
        rows = []
        for line in lines[at : at + 500]:
            event = json.loads(line)
            rows += [event["session"], event["eventid"], event["timestamp"], json.dumps(event)]
            database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, 1, ?) ON CONFLICT (session) DO UPDATE SET first ="
                " min(first, excluded.first), last = max(last, excluded.last), events = events + 1",
                (event["session"], event["timestamp"], event["timestamp"], event.get("src_ip")),
            )
        values = ", ".join(["(?, ?, ?, ?)"] * (len(rows) // 4))
        database.execute(f"INSERT INTO raw_events (session, eventid, at, payload) VALUES {values}", rows)
        database.commit()
    database.close()
    return len(lines)


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
        if snapshots(["load", str(log), "-q", "--db", new_file(folder)]):
            sys.exit("the load failed")
        return spent / (time.perf_counter() - began)


def show(events: int, megabytes: float, rates: dict[str, list[float]]) -> None:
    limit = statistics.median(rates["decoding and counting (limit)"])
    print(f"{events:,} events, {megabytes:,.0f} MB, median of {len(next(iter(rates.values())))} rounds")
    print(f"{'':32}{'events/s':>12}{'spread':>22}{'of the limit':>14}{'peak MB':>10}")
    for name, found in rates.items():
        median = statistics.median(found)
        spread = f"{min(found):,.0f}..{max(found):,.0f}"
        peak = f"{peaks[name]:,.0f}" if peaks.get(name) else "-"
        print(f"{name:32}{median:12,.0f}{spread:>22}{median / limit:14.1%}{peak:>10}")


if __name__ == "__main__":
    main()
