"""
Measure how fast `backfill` seals stored sessions, compared with rewriting the table.

    .venv/bin/python benchmarks/backfill.py [--sessions 200000] [--addresses 39000] [--only sqlite|postgresql]
        [--jobs 1 4]

Makes a database as cowrieprocessor leaves it: sessions with a document of about 1.8 kB that names the address, and
none of the five columns filled. In one run, each on a copy of its own, it measures rewriting the table by CREATE
TABLE AS (the path in the document evaluated once, the facts joined), `snapshots backfill` with the guard on and one
observation of each address, the same as of three observations of each, and the algorithm of one SELECT and one
UPDATE for each session, on a slice. A second backfill, which has nothing to do, is timed apart. --jobs repeats the
backfills with other
numbers of workers than one per core. The last column is the peak memory of all processes of the client together; pages
that they share are counted once.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, make_url, text

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.connection.datetimes import timestamp_text
from snapshots.adapters.sql.connection.temporary_server import trial_server
from snapshots.adapters.sql.schema.tables import ip_observations
from snapshots.app.enrich.lookup import ENRICHMENT
from snapshots.composition.wiring import Container
from snapshots.domain.address.source_ip import IpAddress

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.cowrieprocessor import AdoptableSchema

from processes import watched

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
SLICE = 5_000
STAMPS = ("first_seen", "last_seen", "created_at", "updated_at")


def main() -> None:
    arguments = argparse.ArgumentParser(description="How fast stored sessions are given their snapshots.")
    arguments.add_argument("--sessions", type=int, default=200_000)
    arguments.add_argument("--addresses", type=int, default=39_000)
    arguments.add_argument("--as-of-addresses", type=int, default=None, help="default: as many")
    arguments.add_argument("--only", choices=["sqlite", "postgresql"])
    arguments.add_argument("--jobs", type=int, nargs="*", default=[], help="further numbers of workers")
    chosen = arguments.parse_args()
    if chosen.only != "postgresql":
        with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder:
            measure("SQLite", SqliteCopies(Path(folder)), chosen)
    if chosen.only != "sqlite":
        with trial_server() as url:
            measure("PostgreSQL", PostgresqlCopies(url), chosen)


class SqliteCopies:
    """Databases as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def original(self, name: str) -> str:
        """Return the URL of an empty database."""
        return f"sqlite:///{self._folder}/{name}.db"

    def copy(self, name: str) -> str:
        """Return the URL of a copy of a database; the copy before it is gone."""
        shutil.copy(self._folder / f"{name}.db", self._folder / "copy.db")
        for rest in ("copy.db-wal", "copy.db-shm"):
            (self._folder / rest).unlink(missing_ok=True)
        return self.original("copy")


class PostgresqlCopies:
    """Databases on a server."""

    def __init__(self, server: str) -> None:
        self._server = make_url(server)

    def original(self, name: str) -> str:
        """Return the URL of an empty database."""
        self._do(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
        return self._server.set(database=name).render_as_string(hide_password=False)

    def copy(self, name: str) -> str:
        """Return the URL of a copy of a database; the copy before it is gone."""
        self._do("DROP DATABASE IF EXISTS copy WITH (FORCE)", f"CREATE DATABASE copy TEMPLATE {name}", "CHECKPOINT")
        return self._server.set(database="copy").render_as_string(hide_password=False)

    def _do(self, *statements: str) -> None:
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()


def measure(title: str, copies: SqliteCopies | PostgresqlCopies, chosen: argparse.Namespace) -> None:
    build(copies.original("plain"), chosen.sessions, chosen.addresses, observations=1)
    many = chosen.as_of_addresses or chosen.addresses
    build(copies.original("asof"), chosen.sessions, many, observations=3)
    results: dict[str, tuple[float, int, float | None, float | None]] = {}
    ways: list[tuple[str, str, int, Way]] = [
        ("rewriting the table", "plain", chosen.sessions, rewritten),
        ("snapshots backfill", "plain", chosen.sessions, backfilled()),
        ("as of 3 observations", "asof", chosen.sessions, backfilled()),
    ]
    for jobs in chosen.jobs:
        ways.append((f"plain, --jobs {jobs}", "plain", chosen.sessions, backfilled("--jobs", str(jobs))))
        ways.append((f"as of, --jobs {jobs}", "asof", chosen.sessions, backfilled("--jobs", str(jobs))))
    ways.append(("one row at a time", "plain", min(SLICE, chosen.sessions), row_by_row))
    for name, original, sessions, step in ways:
        url = copies.copy(original)
        results[name] = timed(url, sessions, step)
    limit = results["rewriting the table"]
    print(f"\n{title}: {chosen.sessions:,} sessions, {chosen.addresses:,} addresses (as of: {many:,} x 3)")
    print("way                    sessions/s   of the limit   log bytes/session   peak MB")
    for name, (seconds, sessions, written, peak) in results.items():
        rate = sessions / seconds
        share = rate / (limit[1] / limit[0])
        shown = f"{written:,.0f}" if written is not None else "-"
        print(f"{name:22} {rate:10,.0f}   {share:12.2f}   {shown:>17}   {f'{peak:,.0f}' if peak else '-':>7}")
    plain, as_of = (results[name][0] for name in ("snapshots backfill", "as of 3 observations"))
    baseline = results["one row at a time"]
    ratio = (limit[1] / plain) / (baseline[1] / baseline[0])
    print(f"as of, of plain: {plain / as_of:.2f}; backfill, of one row at a time: {ratio:.1f} times")


def build(url: str, sessions: int, addresses: int, *, observations: int) -> None:
    engine = create_engine(url)
    chance = random.Random(7)
    numbers = chance.sample(range(16_777_216, 3_700_000_000), addresses * 11 // 10)
    texts = [a for a in (str(IPv4Address(n)) for n in numbers) if IpAddress.parse(a).is_routable][:addresses]
    networks = [(chance.randrange(1, 400_000), chance.choice(("CN", "US", "DE", "BR", "IN"))) for _ in range(6_000)]
    with engine.begin() as connection:
        AdoptableSchema(dialect=connection.dialect.name).make(connection)
        connection.execute(
            text(
                "INSERT INTO ip_inventory (ip_address, first_seen, last_seen, session_count, enrichment, created_at,"
                " updated_at) VALUES (:a, :t, :t, 1, '{}', :t, :t)"
            ),
            [{"a": address, "t": timestamp_text(BEGIN)} for address in texts],
        )
        for page in pages(sessions):
            connection.execute(
                text(
                    "INSERT INTO session_summaries (session_id, first_event_at, last_event_at, event_count,"
                    " command_count, file_downloads, login_attempts, ssh_key_injections, unique_ssh_keys, vt_flagged,"
                    " dshield_flagged, enrichment, created_at, updated_at) VALUES"
                    " (:s, :t, :t, 7, 1, 0, 3, 0, 0, :no, :no, :d, :t, :t)"
                ),
                [session(chance, texts) for _ in page],
            )
    adopt(url)
    with engine.begin() as connection:
        newest = connection.execute(text("SELECT max(number) FROM fact_sources")).scalar_one()
        rows = [
            {"ip_address": address, "source": ENRICHMENT, "observed_at": BEGIN + timedelta(days=150 * n)}
            | {"confirmed_until": BEGIN + timedelta(days=150 * n), "learned_at": BEGIN, "ip_types": ""}
            | dict(zip(("asn", "country"), chance.choice(networks), strict=True))
            for address in texts
            for n in range(observations)
        ]
        for at in range(0, len(rows), 50_000):
            connection.execute(ip_observations.insert(), rows[at : at + 50_000])
        connection.execute(text("UPDATE known_addresses SET looked_up_until = :n"), {"n": newest})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE")
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def adopt(url: str) -> None:
    """Adopt the database, and register the sources that come with the program."""
    container = Container(settings=Settings.of(db=url))
    container.adoption().adopt(widen=False)
    with container.database().transaction() as stores:
        container.service().register_sources(stores)
    container.database().close()


def pages(count: int) -> Iterator[range]:
    for at in range(0, count, 20_000):
        yield range(at, min(at + 20_000, count))


def session(chance: random.Random, addresses: list[str]) -> dict[str, object]:
    at = timestamp_text(BEGIN + timedelta(minutes=chance.randrange(500_000)))
    address = chance.choice(addresses)
    document = {
        "session_metadata": {"source_ip": address},
        "dshield": {"ip": {"number": address, "count": 17, "attacks": 4, "asname": "EXAMPLE-NET", "ascountry": "US"}},
        "urlhaus": "elf,mirai,mozi",
        "spur": [chance.randbytes(12).hex() for _ in range(18)],
        "virustotal": {
            chance.randbytes(32).hex(): {"positives": n, "scans": chance.randbytes(90).hex()} for n in range(3)
        },
    }
    return {"s": f"{chance.getrandbits(48):012x}", "t": at, "no": False, "d": json.dumps(document)}


Way = Callable[[str, Engine, int], float | None]


def timed(url: str, sessions: int, step: Way) -> tuple[float, int, float | None, float | None]:
    """Return the seconds of a way, its sessions, the bytes of log for each, and its own peak memory in megabytes."""
    engine = create_engine(url)
    with engine.connect() as connection:
        before = log_bytes(connection)
    begun = time.perf_counter()
    peak = step(url, engine, sessions)
    seconds = time.perf_counter() - begun
    with engine.connect() as connection:
        after = log_bytes(connection)
    engine.dispose()
    written = (after - before) / sessions if before is not None and after is not None else None
    return seconds, sessions, written, peak


def log_bytes(connection: Connection) -> int | None:
    if connection.dialect.name != "postgresql":
        return None
    return int(connection.execute(text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")).scalar_one())


def rewritten(_url: str, engine: Engine, _sessions: int) -> None:
    path = "$.session_metadata.source_ip"
    with engine.begin() as connection:
        is_pg = connection.dialect.name == "postgresql"
        address = "enrichment->'session_metadata'->>'source_ip'" if is_pg else f"json_extract(enrichment, '{path}')"
        connection.exec_driver_sql(
            f"CREATE TABLE rewritten AS WITH found AS MATERIALIZED (SELECT s.*, {address} AS ip"
            " FROM session_summaries s) SELECT found.*, o.asn, o.country, o.observed_at FROM found"
            " LEFT JOIN ip_observations o ON o.ip_address = found.ip"
        )


def backfilled(*options: str) -> Way:
    """Return a way that measures a backfill, and prints how long a second one takes."""

    def backfill(url: str, _engine: Engine, sessions: int) -> float:
        command = [sys.executable, "-m", "snapshots", "backfill", "--db", url, "--format", "json", *options]
        printed, peak = watched(command)
        done = json.loads(printed)
        assert sum(done["sealed"].values()) == sessions, done
        print(f"  backfill itself: {done['seconds']:.1f} s", file=sys.stderr)
        if not options:
            begun = time.perf_counter()
            again = json.loads(watched(command)[0])
            seconds = time.perf_counter() - begun
            print(f"  a second backfill: {seconds:.1f} s, judged {again['judged']}", file=sys.stderr)
        return peak

    return backfill


def row_by_row(_url: str, engine: Engine, sessions: int) -> None:
    """Do what one SELECT, one look-up and one UPDATE for each session do, a thousand in a transaction."""
    with engine.connect() as connection:
        names = connection.execute(text("SELECT session_id FROM session_summaries LIMIT :n"), {"n": sessions})
        for number, (name,) in enumerate(names.all()):
            document = connection.execute(
                text("SELECT enrichment FROM session_summaries WHERE session_id = :s"), {"s": name}
            ).scalar_one()
            document = json.loads(document) if isinstance(document, str) else document
            address = document["session_metadata"]["source_ip"]
            observation = connection.execute(
                text("SELECT asn, country, observed_at FROM ip_observations WHERE ip_address = :a"), {"a": address}
            ).first()
            connection.execute(
                text(
                    "UPDATE session_summaries SET source_ip = :a, snapshot_asn = :n, snapshot_country = :c,"
                    " enrichment_at = :t WHERE session_id = :s"
                ),
                {"a": address, "n": observation.asn, "c": observation.country, "t": observation.observed_at, "s": name},
            )
            if number % 1000 == 999:
                connection.commit()
        connection.commit()


if __name__ == "__main__":
    main()
