"""Logs that everything happened to, against a slow and obvious reading of them."""

import gzip
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import RowMapping, Table, select

from snapshots.adapters.clock import SystemClock, new_run, stopwatch
from snapshots.adapters.cowrie.files.find_logs import find_logs
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.rows.session_logins import SqlSessionLogins
from snapshots.adapters.sql.schema.tables import known_addresses, known_networks, metadata, session_summaries
from snapshots.app.load.batch import BatchSize, LoadReport
from snapshots.app.load.loader import BulkLoader
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.log_source import EventLines, LineOptions
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts, SourceBuild
from tests.fakes import Processes, late_completion, runtime, snapshot_service
from tests.mangle import in_files, mangled, real_events
from tests.oracle import rows_of

pytestmark = pytest.mark.slow

SEEDS = range(4)
COUNTED = [
    "first_event_at",
    "last_event_at",
    "event_count",
    "command_count",
    "login_attempts",
    "file_downloads",
    "file_uploads",
    "protocol",
    "client_version",
    "hassh",
    "username",
    "password_hash",
    "login_succeeded",
    "download_hash",
    "duration_ms",
]
"""Columns of a session that do not depend on when its connect was read."""


class KnowsEverybody:
    """A source that states one network for every address."""

    build = SourceBuild(name="all", built_at=datetime(2026, 1, 1, tzinfo=UTC), licence="", sha256="", origin="bundled")

    versions = frozenset({4, 6})
    size = 0
    typed_shares: Mapping[IpType, float] = {}

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        return {address: IpFacts(asn=64500, organization="Example", country="DE") for address in addresses}


class EverybodysShelf:
    """Has that source only."""

    def current(self) -> Sequence[KnowsEverybody]:
        return [KnowsEverybody()]

    def open(self, build: SourceBuild, *, is_overwritten: bool = False) -> KnowsEverybody:
        return KnowsEverybody()


def load(database: SqlDatabase, paths: Sequence[Path], *, lines: int = 50_000) -> LoadReport:
    service = snapshot_service(database, EverybodysShelf(), clock=SystemClock())
    loader = BulkLoader(
        database,
        service,
        late_completion(database, service, clock=SystemClock()),
        runtime=runtime(SystemClock(), stopwatch=stopwatch, new_run=new_run),
        liveness=Processes(),
        size=BatchSize(lines=lines, seconds=1000),
    )
    decoder = LineDecoder(LineOptions(keeps_lines=True))
    return loader.load(find_logs([str(path) for path in paths], decoder).contents, NoLoadObserver())


def stored(database: SqlDatabase) -> dict[tuple[str, Any], dict[str, Any]]:
    """Return the rows as the oracle would."""
    with database.reading() as connection:
        found = connection.execute(select(session_summaries)).mappings().all()
        logins = defaultdict(list, SqlSessionLogins(connection).of([row["session_id"] for row in found]))
    rows = {}
    for row in found:
        has_connect = row["source_ip_rank"] == 0
        connect = (row["source_ip_seen_at"], row["source_ip"], row["source_port"]) if has_connect else None
        rows[row["logged_id"] or row["session_id"], connect] = {
            "source_ip": row["source_ip"],
            "sealed": row["enrichment_at"] is not None,
            "logins": {(each.username, each.password_hash): [*each[3:5]] for each in logins[row["session_id"]]},
            **{name: row[name] for name in COUNTED},
        }
    assert len(rows) == len(found), "two rows are one session"
    return rows


def exact(database: SqlDatabase) -> list[dict[str, Any]]:
    """Return the rows with everything but when and by which run they were written."""
    volatile = {"snapshot_run", "snapshot_seal", "created_at", "updated_at", "gap_checked_at", "gap_run"}
    with database.reading() as connection:
        found = connection.execute(select(session_summaries).order_by("session_id")).mappings().all()
    return [{name: value for name, value in row.items() if name not in volatile} for row in found]


def true_inventory(database: SqlDatabase) -> bool:
    """Whether every address has the right number and times of its sessions."""
    rows = [row for row in exact(database) if row["source_ip"] is not None]
    with database.reading() as connection:
        known = connection.execute(select(known_addresses)).mappings().all()
    for address in known:
        own = [row for row in rows if row["source_ip"] == address["ip_address"]]
        if len(own) != address["session_count"]:
            return False
        if own and (
            min(row["first_event_at"] for row in own) != address["first_seen"]
            or max(row["last_event_at"] for row in own) != address["last_seen"]
        ):
            return False
    with database.reading() as connection:
        networks = connection.execute(select(known_networks)).mappings().all()
    return all(
        _is_true(network, [a for a in known if a["current_asn"] == network["asn_number"]]) for network in networks
    )


def _is_true(network: RowMapping, addresses: Sequence[RowMapping]) -> bool:
    """Whether a network has the right number of addresses and sessions, and the right times."""
    counts = (len(addresses), sum(a["session_count"] for a in addresses))
    seen = (
        min((a["first_seen"] for a in addresses), default=network["first_seen"]),
        max((a["last_seen"] for a in addresses), default=network["last_seen"]),
    )
    return (network["unique_ip_count"], network["total_session_count"]) == counts and (
        network["first_seen"],
        network["last_seen"],
    ) == seen


@pytest.fixture
def database(sql_database: SqlDatabase) -> SqlDatabase:
    return sql_database


@pytest.mark.parametrize("seed", range(8))
def test_lines_that_are_decoded_together_are_those_that_are_decoded_one_by_one(seed: int, tmp_path: Path) -> None:
    """Of a log in which ordinary lines stand among all others."""
    log, random = tmp_path / "cowrie.json", Random(seed)
    lines = [json.dumps(event, separators=(",", ":")).encode() for event in real_events()]
    for line in random.sample(mangled(seed), 50):
        lines.insert(random.randrange(len(lines)), line)
    log.write_bytes(b"\n".join(lines))
    decoder = LineDecoder(LineOptions(keeps_lines=True))
    found = [
        line
        for part in LogContent(log, decoder).parts()
        for line in (part.one_by_one() if isinstance(part, EventLines) else [part])
    ]

    assert found == list(LogContent(log, decoder).lines())
    assert any(isinstance(part, EventLines) for part in LogContent(log, decoder).parts())


@pytest.mark.parametrize("seed", SEEDS)
def test_one_file_is_stored_as_the_reference_implementation_expects(
    database: SqlDatabase, tmp_path: Path, seed: int
) -> None:
    """Second addresses, claimed ones, reused ids, equal times, zones, NULs: every row is right."""
    lines = mangled(seed)
    (tmp_path / "cowrie.json").write_bytes(b"\n".join(lines))

    load(database, [tmp_path / "cowrie.json"])

    assert stored(database) == rows_of(lines)
    assert true_inventory(database)


@pytest.mark.parametrize("seed", SEEDS)
def test_split_shuffled_and_overlapping_files_yield_the_same_rows(tmp_path: Path, seed: int) -> None:
    """However the events are spread over files, in whatever order the files are named, also twice."""
    lines = mangled(seed)
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "cowrie.json").write_bytes(b"\n".join(lines))
    one, many = SqlDatabase(f"sqlite:///{tmp_path}/one.db"), SqlDatabase(f"sqlite:///{tmp_path}/many.db")
    load(one, [whole])

    paths = in_files(lines, tmp_path, seed)
    load(many, paths)
    first = exact(many)
    again = load(many, paths[::-1])

    assert first == exact(one)
    assert exact(many) == first
    assert stored(many) == stored(one)
    assert (again.events, again.dead_letters, again.sealed) == (0, 0, 0)
    assert true_inventory(many)
    one.close()
    many.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_small_batches_yield_the_same_rows(database: SqlDatabase, tmp_path: Path, seed: int) -> None:
    """A session that spans batches, in chronological order as Cowrie writes, ends the same."""
    lines = mangled(seed, reused_ids=False) * 4
    (tmp_path / "cowrie.json").write_bytes(b"\n".join(lines))

    load(database, [tmp_path / "cowrie.json"], lines=1024)

    assert stored(database) == rows_of(lines)
    assert true_inventory(database)


@pytest.mark.parametrize("seed", SEEDS)
def test_files_loaded_one_by_one_in_any_order_count_the_same(database: SqlDatabase, tmp_path: Path, seed: int) -> None:
    """A session that was sealed before its connect was read stays as it is; what it counts is exact all the same."""
    lines = mangled(seed, reused_ids=False)

    for path in in_files(lines, tmp_path, seed):
        load(database, [path])

    assert counted(stored(database)) == counted(rows_of(lines))
    assert true_inventory(database)


def counted(rows: Mapping[tuple[str, Any], Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[column] for column in (*COUNTED, "logins")] for (name, _), row in rows.items()}


VOLATILE = {"run", "snapshot_run", "snapshot_seal", "created_at", "updated_at", "gap_checked_at", "learned_at"}
VOLATILE |= {"gap_run", "heartbeat_at", "registered_at", "began_at", "ended_at", "stored_at", "digest", "settings"}
VOLATILE |= {"writer"}  # the connection that sealed
EMPTY_AFTER_A_SMALL_LOAD = {
    *("snapshot_corrections", "snapshot_prunings", "snapshot_put_backs"),
    *("adoptions", "inventory_placeholders", "session_fingerprints", "quarantined_sessions", "passwords"),
}


def test_both_databases_hold_the_same_rows(tmp_path: Path, postgresql: str) -> None:
    """Every table, row by row, but for the names of runs and the times of loading."""
    paths = in_files(mangled(1), tmp_path, 1)
    databases = [SqlDatabase(f"sqlite:///{tmp_path}/test.db"), SqlDatabase(postgresql)]
    for database in databases:
        load(database, paths[:4])
        load(database, paths)

    for table in metadata.sorted_tables:
        one, other = (everything(database, table) for database in databases)
        assert one == other, table.name
        assert one or table.name in EMPTY_AFTER_A_SMALL_LOAD
    for database in databases:
        database.close()


def everything(database: SqlDatabase, table: Table) -> list[str]:
    """Return the rows of a table as sorted texts, without what differs from run to run."""
    with database.reading() as connection:
        rows = connection.execute(select(table)).mappings().all()
    return sorted(str([(name, value) for name, value in row.items() if name not in VOLATILE]) for row in rows)


def test_a_file_that_grows_in_any_steps_is_stored_as_a_whole(database: SqlDatabase, tmp_path: Path) -> None:
    """Cut inside lines and sessions, loaded after each step."""
    lines = mangled(99, reused_ids=False)
    content = b"\n".join(lines)
    random = Random(99)
    path = tmp_path / "cowrie.json"

    for end in [*sorted(random.sample(range(len(content)), 8)), len(content)]:
        path.write_bytes(content[:end])
        load(database, [path])

    assert counted(stored(database)) == counted(rows_of(lines))
    with database.reading() as connection:
        reasons = connection.exec_driver_sql("SELECT DISTINCT reason FROM dead_letters").scalars().all()
    assert "unfinished_line" not in reasons


def test_a_damaged_copy_read_first_does_not_hide_events_of_the_original(database: SqlDatabase, tmp_path: Path) -> None:
    """The same beginning, the same length, the same end: only the middle was lost, and comes back."""
    content = b"\n".join(mangled(7, reused_ids=False)) + b"\n"
    path = tmp_path / "cowrie.json"
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"\x00" * 4096 + content[middle + 4096 :])
    load(database, [path])

    path.write_bytes(content)
    load(database, [path])

    assert counted(stored(database)) == counted(rows_of(content.split(b"\n")))


def test_compressed_copies_are_recognized(database: SqlDatabase, tmp_path: Path) -> None:
    """Compressed after it was read, a file is the same content."""
    content = b"\n".join(mangled(3)) + b"\n"
    (tmp_path / "cowrie.json").write_bytes(content)
    load(database, [tmp_path / "cowrie.json"])
    (tmp_path / "old.gz").write_bytes(gzip.compress(content))

    report = load(database, [tmp_path / "old.gz"])

    assert (report.unchanged, report.lines) == (1, 0)
