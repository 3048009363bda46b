"""
How fast addresses are looked up in each source, and read as of a moment from the inventory.

    .venv/bin/python benchmarks/lookup.py [--addresses 300000] [--observations 3] [--sightings 20000] [--rounds 3]

The first table gives addresses a second for each source, next to the reader of maxminddb alone on the same file. The
second asks an inventory of so many addresses with some observations each as of so many sightings, in SQLite and
PostgreSQL: by the program's own statement (index seeks around the span of each address, on PostgreSQL by LATERAL), by
a plain window function over all observations of the addresses, and by fetching all of them. All answers are compared.
Medians of the rounds.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
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
from snapshots.domain.facts.observation import IpFacts, SourceBuild
from snapshots.domain.facts.source_builds import BuildCalendar

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def main() -> None:
    arguments = argparse.ArgumentParser(description="How fast addresses are looked up.")
    arguments.add_argument("--addresses", type=int, default=300_000)
    arguments.add_argument("--observations", type=int, default=3, help="of each address, over 300 days")
    arguments.add_argument("--sightings", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
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
            SqlFactSources(connection).register(build, registered_at=BEGIN)
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
            histories: dict[IpAddress, list[object]] = {}
            for row in connection.execute(query).mappings():
                observation = observation_in(row)
                histories.setdefault(observation.address, []).append(observation)
            return {s: BuildCalendar().nearest(histories[s.address], s.seen_at) for s in sightings}  # type: ignore[arg-type]  # observations

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
