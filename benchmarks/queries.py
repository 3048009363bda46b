"""
Measure queries by snapshot columns, compared with the joins that they replace.

    .venv/bin/python benchmarks/queries.py [--sessions 1680000] [--addresses 300000] [--only sqlite|postgresql] [--wide]

Makes sessions with snapshots, and an inventory of their addresses with indexes on ASN, country and type. Each question
is asked by the snapshot columns, as `snapshots query` asks it; by a join of the sessions to that inventory; and by a
join that takes the facts out of the inventory's JSON documents. All three give the same answer here, because the
inventory has the facts of the snapshots. Medians of some rounds in one run, in milliseconds, and how many times as long
the joins take. With --wide each session has a document of 1.8 kB, as cowrieprocessor leaves it.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from sqlalchemy import Connection, TextClause, create_engine, text

from snapshots.adapters.sql.connection.datetimes import timestamp_text
from snapshots.adapters.sql.connection.temporary_server import trial_server
from snapshots.adapters.sql.database import SqlDatabase

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
MINUTES = 500_000
COUNTRIES = ("CN", "US", "DE", "BR", "IN", "NL", "FR", "VN", "RU", "TH")
TYPES = (None, None, None, "DATACENTER", "DATACENTER", "VPN", "TOR")
NETWORKS = 6_000
"""Each has a share of the addresses as 1 by its number, as Zipf's law has it."""

ROUNDS = 5
PAGE = 20_000

SINCE, UNTIL = "2025-06-01 00:00:00.000000", "2025-07-01 00:00:00.000000"
WITHIN = f"s.first_event_at >= '{SINCE}' AND s.first_event_at < '{UNTIL}'"

QUESTIONS = {
    "network, 30 days: count": ("count(*)", f"@asn@ = 7 AND {WITHIN}", ""),
    "network, 30 days: list": (
        "s.session_id, s.first_event_at, s.source_ip",
        f"@asn@ = 7 AND {WITHIN}",
        "ORDER BY s.first_event_at DESC LIMIT 100",
    ),
    "country and type, 30 days": ("count(*)", f"@country@ = 'DE' AND @type@ = 'VPN' AND {WITHIN}", ""),
    "country: count": ("count(*)", "@country@ = 'CN'", ""),
    "country: days": ("@day@, count(*)", "@country@ = 'CN'", "GROUP BY 1 ORDER BY 1"),
    "all by country": ("@country@, count(*)", "1 = 1", "GROUP BY 1 ORDER BY 2 DESC"),
    "all by network, top 20": ("@asn@, count(*)", "1 = 1", "GROUP BY 1 ORDER BY 2 DESC LIMIT 20"),
}
"""What is selected, of which sessions, and how it is grouped and ordered."""

SNAPSHOT = {"asn": "s.snapshot_asn", "country": "s.snapshot_country", "type": "s.snapshot_ip_type"}
JOINED = {"asn": "i.current_asn", "country": "i.current_country", "type": "i.current_ip_type"}


def main() -> None:
    arguments = argparse.ArgumentParser(description="How fast questions are answered by snapshot and by joins.")
    arguments.add_argument("--sessions", type=int, default=1_680_000)
    arguments.add_argument("--addresses", type=int, default=300_000)
    arguments.add_argument("--only", choices=["sqlite", "postgresql"])
    arguments.add_argument("--wide", action="store_true")
    chosen = arguments.parse_args()
    if chosen.only != "postgresql":
        with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder:
            measure("SQLite", f"sqlite:///{Path(folder)}/test.db", chosen)
    if chosen.only != "sqlite":
        with trial_server() as url:
            measure("PostgreSQL", url, chosen)


def measure(title: str, url: str, chosen: argparse.Namespace) -> None:
    build(url, chosen.sessions, chosen.addresses, wide=chosen.wide)
    print(
        f"\n{title}: {chosen.sessions:,} sessions{' of 1.8 kB' if chosen.wide else ''}, {chosen.addresses:,} addresses"
    )
    print("question                    snapshot ms    join ms   times   JSON ms   times")
    engine = create_engine(url)
    with engine.connect() as connection:
        documents = facts_in_documents(connection)
        for name, question in QUESTIONS.items():
            answers, medians = [], []
            for facts, joins in ((SNAPSHOT, False), (JOINED, True), (documents, True)):
                statement = text(sql(connection, question, facts, joins=joins).replace(":", r"\:"))
                answer, median = asked(connection, statement)
                answers.append(sorted(map(str, answer)))
                medians.append(median)
            assert answers[0] == answers[1] == answers[2] or "top" in name, name
            own, join, by_json = medians
            print(f"{name:27} {own:11.2f} {join:10.1f} {join / own:7.1f} {by_json:9.1f} {by_json / own:7.1f}")
    engine.dispose()


def asked(connection: Connection, statement: TextClause) -> tuple[Sequence[object], float]:
    """Return the answer, and the median of its milliseconds after one round that does not count."""
    answer = connection.execute(statement).all()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        connection.execute(statement).all()
        times.append((time.perf_counter() - begun) * 1000)
    return answer, statistics.median(times)


def sql(connection: Connection, question: tuple[str, str, str], facts: dict[str, str], *, joins: bool) -> str:
    selected, where, rest = question
    day = "substr(s.first_event_at, 1, 10)"
    if connection.dialect.name == "postgresql":
        day = "date_trunc('day', s.first_event_at AT TIME ZONE 'UTC')"
    join = " JOIN known_addresses i ON i.ip_address = s.source_ip" if joins else ""
    statement = f"SELECT {selected} FROM session_summaries s{join} WHERE {where} {rest}"
    for name, column in {**facts, "day": day}.items():
        statement = statement.replace(f"@{name}@", column)
    return statement


def facts_in_documents(connection: Connection) -> dict[str, str]:
    """Return where the facts stand in the inventory's documents."""
    if connection.dialect.name == "postgresql":
        return {
            "asn": "CAST(i.enrichment->'maxmind'->>'asn' AS bigint)",
            "country": "i.enrichment->'maxmind'->>'country'",
            "type": "i.enrichment->'ip_classification'->>'ip_type'",
        }
    return {
        "asn": "json_extract(i.enrichment, '$.maxmind.asn')",
        "country": "json_extract(i.enrichment, '$.maxmind.country')",
        "type": "json_extract(i.enrichment, '$.ip_classification.ip_type')",
    }


def build(url: str, sessions: int, addresses: int, *, wide: bool) -> None:
    chance = random.Random(7)
    texts = [str(IPv4Address(number)) for number in chance.sample(range(16_777_216, 3_700_000_000), addresses)]
    numbers = chance.choices(range(1, NETWORKS + 1), [1 / rank for rank in range(1, NETWORKS + 1)], k=addresses)
    networks = [(number, chance.choice(COUNTRIES), chance.choice(TYPES)) for number in numbers]
    database = SqlDatabase(url)
    database.migrate()
    with database.engine.begin() as connection:
        is_pg = connection.dialect.name == "postgresql"
        connection.execute(text(f"ALTER TABLE known_addresses ADD COLUMN enrichment {'jsonb' if is_pg else 'TEXT'}"))
        if wide:
            connection.execute(text("ALTER TABLE session_summaries ADD COLUMN enrichment TEXT"))
        for page in pages(len(texts)):
            connection.execute(
                text(
                    "INSERT INTO known_addresses (ip_address, current_asn, current_country, current_ip_type,"
                    " first_seen, last_seen, created_at, updated_at, enrichment)"
                    " VALUES (:a, :n, :c, :k, :t, :t, :t, :t,"
                    f" {'CAST(:d AS jsonb)' if is_pg else ':d'})"
                ),
                [address_row(texts[at], *networks[at]) for at in page],
            )
        extra, value = (", enrichment", ", :d") if wide else ("", "")
        for page in pages(sessions):
            connection.execute(
                text(
                    "INSERT INTO session_summaries (session_id, source_ip, source_ip_rank, source_ip_seen_at,"
                    " first_event_at, last_event_at, event_count, command_count, file_downloads, login_attempts,"
                    " forward_count,"
                    " snapshot_asn, snapshot_country, snapshot_ip_type, enrichment_at, snapshot_method,"
                    " snapshot_source,"
                    f" snapshot_run, snapshot_seal, created_at, updated_at, event_fingerprints{extra}) VALUES"
                    " (:s, :a, 0, :t, :t, :t, 7, 1, 0, 3, 0, :n, :c, :k, :t, 'asof', 'dbip@2025-01-01', 'r',"
                    f" 'none', :t, :t, :f{value})"
                ),
                [session_row(chance, texts, networks, wide=wide) for _ in page],
            )
        for column in ("current_asn", "current_country", "current_ip_type"):
            connection.execute(text(f"CREATE INDEX joined_{column} ON known_addresses ({column})"))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE" if is_pg else "ANALYZE")
    database.close()


def pages(count: int) -> Iterator[range]:
    for at in range(0, count, PAGE):
        yield range(at, min(at + PAGE, count))


def address_row(address: str, asn: int, country: str, kind: str | None) -> dict[str, object]:
    document = {"maxmind": {"asn": asn, "country": country}, "ip_classification": {"ip_type": kind}}
    facts = {"n": asn, "c": country, "k": kind, "d": json.dumps(document)}
    return {"a": address, "t": timestamp_text(BEGIN), **facts}


def session_row(
    chance: random.Random, texts: list[str], networks: list[tuple[int, str, str | None]], *, wide: bool
) -> dict[str, object]:
    at = chance.randrange(len(texts))
    asn, country, kind = networks[at]
    moment = timestamp_text(BEGIN + timedelta(minutes=chance.randrange(MINUTES)))
    row = {"s": f"{chance.getrandbits(48):012x}", "a": texts[at], "t": moment, "n": asn, "c": country, "k": kind}
    return {**row, "f": b"", **({"d": json.dumps({"x": chance.randbytes(880).hex()})} if wide else {})}


if __name__ == "__main__":
    main()
