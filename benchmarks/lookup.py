"""
How fast addresses are looked up in each source, and read as of a moment from the inventory.

    .venv/bin/python benchmarks/lookup.py [--addresses 300000] [--observations 3] [--sightings 20000] [--rounds 3]
        [--sessions 30000] [--only new-addresses]

First it loads so many sessions of seven events into SQLite, from as many random addresses and from 100 of them, each in
a process of its own, and prints the processor time of both, their ratio, and the cost of a new address: registering
it, looking it up in every bundled source and the types by network, and storing and reading its facts. The times are the
least of the rounds, because other programs only add to them.

The first table gives addresses a second for each source, next to the reader of maxminddb alone on the same file. The
second asks an inventory of so many addresses with some observations each as of so many sightings, in SQLite and
PostgreSQL: by the program's own statement (index seeks around the span of each address, on PostgreSQL by LATERAL), by
a plain window function over all observations of the addresses, and by fetching all of them. All answers are compared.
Medians of the rounds.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import islice, repeat
from pathlib import Path

import maxminddb
from sqlalchemy import func, select

from snapshots.adapters.intel.bundled import BUNDLED, open_bundled
from snapshots.adapters.intel.iporigin import IporiginSource
from snapshots.adapters.intel.layouts.table import Row
from snapshots.adapters.intel.ranges import RangeSource
from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.connection.temporary_server import trial_server
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.row_decoder import observation_in
from snapshots.adapters.sql.schema.tables import ip_observations, known_addresses
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.adapters.sql.stores.inventory import SqlIpInventory
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild
from snapshots.domain.facts.source_builds import BuildCalendar

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
SESSIONS_BEGIN = datetime(2026, 8, 1, tzinfo=UTC)
FEW = 100
"""Addresses of the load with which that from new addresses is compared."""

EVENTS: Sequence[Mapping[str, object]] = (
    {"eventid": "cowrie.session.connect", "src_port": 40000, "dst_port": 2222, "protocol": "ssh"},
    {"eventid": "cowrie.client.version", "version": "SSH-2.0-Go"},
    {"eventid": "cowrie.client.kex", "hassh": "0a07365cc01fa9fc82608ba4019af499"},
    {"eventid": "cowrie.login.failed", "username": "root", "password": "1234"},
    {"eventid": "cowrie.login.success", "username": "root", "password": "admin"},
    {"eventid": "cowrie.command.input", "input": "uname -a"},
    {"eventid": "cowrie.session.closed", "duration": 6.0},
)
"""The events of each session."""


def main() -> None:
    arguments = argparse.ArgumentParser(description="How fast addresses are looked up.")
    arguments.add_argument("--addresses", type=int, default=300_000)
    arguments.add_argument("--observations", type=int, default=3, help="of each address, over 300 days")
    arguments.add_argument("--sightings", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--sessions", type=int, default=30_000, help="of the loads from new addresses")
    arguments.add_argument("--only", choices=["new-addresses"], help="measure nothing else")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder:
        new_addresses(Path(folder), chosen.sessions, chosen.rounds)
    if chosen.only:
        return
    chance = random.Random(1)
    numbers = chance.sample(range(16_777_216, 3_700_000_000), chosen.addresses)
    addresses = [IpAddress(str(IPv4Address(number))) for number in numbers]
    sources(addresses[:100_000], chosen.rounds)
    sightings = [
        Sighting(address=chance.choice(addresses), seen_at=BEGIN + timedelta(minutes=chance.randrange(600_000)))
        for _ in range(chosen.sightings)
    ]
    with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder, trial_server() as url:
        for name, where in (("SQLite", f"sqlite:///{folder}/lookup.db"), ("PostgreSQL", url)):
            as_of(name, SqlDatabase(where), addresses, sightings, chosen)


def new_addresses(folder: Path, sessions: int, rounds: int) -> None:
    """Compare the processor time of loading sessions from as many new addresses with that of sessions from FEW."""
    seconds: dict[int, list[float]] = {FEW: [], sessions: []}
    for count in seconds:
        (folder / f"{count}.json").write_bytes(b"".join(session_lines(sessions, random_addresses(count))))
    loaded(folder, FEW)  # the bundled tables are unpacked
    for _ in range(rounds):
        for count, spent in seconds.items():
            spent.append(loaded(folder, count))
    few, new = min(seconds[FEW]), min(seconds[sessions])
    cost = (new - few) / (sessions - FEW)
    print(f"{sessions:,} sessions of {len(EVENTS)} events: {few:.2f} s of processor time from {FEW} addresses")
    print(f"from {sessions:,} new addresses {new:.2f} s, {new / few:.2f} times; {cost * 1e3:.3f} ms a new address\n")


def random_addresses(count: int) -> Sequence[IpAddress]:
    chance = random.Random(7)
    drawn = (IpAddress(str(IPv4Address(chance.randrange(2**24, 2**31 + 2**30)))) for _ in repeat(None))
    return list(islice((address for address in drawn if address.is_routable), count))


def session_lines(sessions: int, addresses: Sequence[IpAddress]) -> Iterator[bytes]:
    for number in range(sessions):
        at = SESSIONS_BEGIN + timedelta(seconds=80 * number)
        common: dict[str, object] = {
            "src_ip": addresses[number % len(addresses)].text,
            "session": f"{number:012x}",
            "sensor": "a",
        }
        for seconds, fields in enumerate(EVENTS):
            stamp = f"{at + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"
            yield json.dumps(common | fields | {"timestamp": stamp}).encode() + b"\n"


def loaded(folder: Path, count: int) -> float:
    """Load a log into a new database in a process of its own, and return its processor time."""
    for old in folder.glob("new.db*"):
        old.unlink()
    log, url = str(folder / f"{count}.json"), f"sqlite:///{folder}/new.db"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "snapshots", "load", log, "-q", "--db", url], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sources(addresses: Sequence[IpAddress], rounds: int) -> None:
    build = SourceBuild(name="ranges", built_at=BEGIN, licence="", sha256="", origin="")
    facts = [IpFacts(asn=n + 1) for n in range(1000)]
    ranges = RangeSource(build, (Row(4, n * 8192, n * 8192 + 8191, facts[n % 1000]) for n in range(2**19)))
    dbip = open_bundled(BUNDLED[0])
    path = next(Path.home().joinpath(".cache/snapshots").glob(f"dbip-{BUNDLED[0].sha256[:16]}.mmdb"))
    bare = maxminddb.open_database(path)
    origin, iporigin = open_bundled(BUNDLED[1]), IporiginSource()
    steps: dict[str, Callable[[], object]] = {
        "maxminddb, bare": lambda: [bare.get(address.text) for address in addresses],
        "dbip (the same file)": lambda: dbip.look_up(addresses),
        "origin-asn": lambda: origin.look_up(addresses),
        "iporigin": lambda: iporigin.look_up(addresses),
        "524,288 ranges": lambda: ranges.look_up(addresses),
    }
    seconds = timed(steps, rounds)
    print(f"{len(addresses):,} addresses; medians of {rounds} rounds\n")
    print("source                  addresses/s   of the bare reader")
    for name, spent in seconds.items():
        print(f"{name:22}  {len(addresses) / spent:11,.0f}   {seconds['maxminddb, bare'] / spent:5.2f}")


def as_of(
    name: str,
    database: SqlDatabase,
    addresses: Sequence[IpAddress],
    sightings: Sequence[Sighting],
    chosen: argparse.Namespace,
) -> None:
    step = 300 // max(1, chosen.observations - 1)
    database.migrate()
    with database.changing_tables() as connection:
        for at in range(0, len(addresses), 20_000):
            page = addresses[at : at + 20_000]
            stamps = dict.fromkeys(("first_seen", "last_seen", "created_at", "updated_at"), BEGIN)
            connection.execute(known_addresses.insert(), [{"ip_address": a.text, **stamps} for a in page])
            rows = [
                {
                    "ip_address": address.text,
                    "source": "a",
                    "observed_at": BEGIN + timedelta(days=days),
                    "confirmed_until": BEGIN + timedelta(days=days),
                    "learned_at": BEGIN,
                    "asn": days + 1,
                    "ip_types": "",
                }
                for address in page
                for days in range(0, step * chosen.observations, step)
            ]
            connection.execute(ip_observations.insert(), rows)
        for days in range(0, step * chosen.observations, step):
            build = SourceBuild(name="a", built_at=BEGIN + timedelta(days=days), licence="", sha256="", origin="")
            SqlFactSources(connection).register_build(build, registered_at=BEGIN)
        connection.exec_driver_sql("ANALYZE")
    with database.reading() as connection:
        inventory = SqlIpInventory(connection, SqlFactSources(connection))

        def fetched() -> object:
            histories = inventory.history_of({sighting.address for sighting in sightings})
            return {s: BuildCalendar().nearest(histories[s.address], s.seen_at) for s in sightings}

        def windowed() -> object:
            wanted = select_texts(connection, list({s.address.text for s in sightings})).cte("wanted")
            table = ip_observations.c
            order = func.row_number().over(partition_by=(table.ip_address, table.source), order_by=table.observed_at)
            query = select(ip_observations, order).join(wanted, table.ip_address == wanted.c.value)
            histories: dict[IpAddress, list[IpObservation]] = {}
            for *row, _ in connection.execute(query):
                histories.setdefault(IpAddress(row[0]), []).append(observation_in(row))
            return {s: BuildCalendar().nearest(histories[s.address], s.seen_at) for s in sightings}

        steps: dict[str, Callable[[], object]] = {
            "ours": lambda: inventory.as_of(sightings),
            "window function": windowed,
            "all observations": fetched,
        }
        assert inventory.as_of(sightings) == fetched() == windowed()
        seconds = timed(steps, chosen.rounds)
    database.close()
    print(f"\n{name}: {len(sightings):,} sightings, {len(addresses):,} addresses x {chosen.observations} observations")
    for way, spent in seconds.items():
        print(f"{way:30}  {len(sightings) / spent:9,.0f}/s   {spent / seconds['all observations']:5.2f} of all")


def timed(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each step, the steps taken in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(spent) for name, spent in seconds.items()}


if __name__ == "__main__":
    main()
