"""What the workers of a fleet do, in one process: lines become parts, and parts become the rows of a load."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.cowrie.lines.salvage import CowrieLineParser
from snapshots.adapters.spark.map_lines import FOLDED, Kind, MapLines
from snapshots.adapters.spark.offsets import Offsets
from snapshots.adapters.spark.serialization import decoded, encoded, packed, unpacked
from snapshots.adapters.spark.store_partitions import SessionRows, as_spark, schema_of
from snapshots.adapters.sql.adopt.part_database import create_part_database, rows_in, session_columns
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.ports.log_source import LineOptions
from snapshots.app.ports.logs import DeadLetter
from snapshots.composition.spark_worker import judged_rows, rows_of_part
from snapshots.domain.session.session import SessionAggregate
from tests.journeys.conftest import Run
from tests.journeys.test_processes import VOLATILE
from tests.mangle import mangled
from tests.strategies import events

pytestmark = pytest.mark.slow

SENT: dict[str, str] = {}
OWN = (Settings(), "beginning")


@pytest.fixture(scope="module", autouse=True)
def beginning(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The file that the driver sends to every worker."""
    SENT["beginning"] = beginning_at(tmp_path_factory.mktemp("sent") / "beginning.db", None)


def beginning_at(path: Path, facts: SqlDatabase | None) -> str:
    target = SqlDatabase(f"sqlite:///{path}")
    create_part_database(target, facts)
    target.close()
    return str(path)


def sent() -> Mapping[str, str]:
    return SENT


def batches_of(lines: Iterable[bytes], path: str, block: int, size: int) -> Iterator[pa.RecordBatch]:
    """Return lines as Spark passes them on."""
    following = iter(lines)
    while some := list(islice(following, size)):
        columns = [[path] * len(some), [block] * len(some), some]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names=["path", "block", "line"])


def folded(lines: Sequence[bytes], cuts: Sequence[int], **options: bool) -> list[tuple[object, ...]]:
    """Let as many workers as there are parts fold a file."""
    rows = []
    for number, (begin, end) in enumerate(pairwise([0, *cuts, len(lines)])):
        fold = MapLines(CowrieLineParser(LineOptions(**options)))  # type: ignore[arg-type]  # flags
        for batch in fold(iter([*batches_of(lines[begin:end], "file:///log", number * 1000, 7)])):
            rows += [tuple(row.values()) for row in batch.to_pylist()]
    return rows


def brought_together(rows: Iterable[tuple[object, ...]]) -> Iterator[pa.RecordBatch]:
    """Return the rows of one worker, in their order."""
    mine = sorted(((row[0], row[1], row[-1]) for row in rows), key=lambda row: (row[0], row[1]))
    kinds = (pa.int8(), pa.string(), pa.binary())
    arrays = [pa.array([row[at] for row in mine], kind) for at, kind in enumerate(kinds)]
    yield pa.RecordBatch.from_arrays(arrays, names=["kind", "key", "payload"])


def of_kind(rows: Iterable[tuple[object, ...]], kind: Kind) -> list[tuple[object, ...]]:
    return [row for row in rows if row[0] == kind]


def lasting(rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    kept = [{name: value for name, value in row.items() if name not in VOLATILE} for row in rows]
    return sorted(kept, key=lambda row: str(row["session_id"]))


def made_of(rows: Iterable[tuple[object, ...]], run: str = "run") -> list[dict[str, object]]:
    """Let a worker make the rows of sessions."""
    make = SessionRows(partial(rows_of_part, OWN), session_columns(), run, sent)
    return [row for batch in make(brought_together(rows)) for row in batch.to_pylist()]


@given(st.lists(events(), min_size=1, max_size=8), st.integers(0, 8))
def test_a_session_is_reassembled_from_its_parts(found: list, at: int) -> None:  # type: ignore[type-arg]  # of events
    """However it was split."""
    whole = SessionAggregate.of("s", found)
    parts = [SessionAggregate.of("s", part) for part in (found[:at], found[at:])]

    assert decoded("s", *map(encoded, parts)) == whole


@pytest.mark.parametrize("seed", range(3))
def test_the_rows_equal_those_of_a_load(seed: int, run: Run, tmp_path: Path) -> None:
    """All columns, on damaged real logs, wherever a file is split; invalid lines too."""
    lines = mangled(seed)
    log = tmp_path / "cowrie.json"
    log.write_bytes(b"\n".join(lines) + b"\n")
    assert run("load", log, "-q")[0] == 0
    database = SqlDatabase(f"sqlite:///{tmp_path}/test.db")

    rows = folded(lines, [len(lines) // 3, len(lines) // 2])

    assert lasting(made_of(of_kind(rows, Kind.READ))) == lasting(rows_in(database))
    parts = [(row[3], row[4], *unpacked(row[5])) for row in of_kind(rows, Kind.PART)]  # type: ignore[arg-type]  # bytes
    starts = Offsets(parts)
    assert starts.size == log.stat().st_size
    found = of_kind(rows, Kind.DEAD_LETTER)
    dead_letters = [starts.dead_letter(f"file://{log}", *row[3:6]) for row in found]  # type: ignore[arg-type]  # likewise
    first = {each.identity: each for each in sorted(dead_letters, key=lambda each: -each.offset)}
    with database.view() as stores:
        assert set(first.values()) == {kept.dead_letter for kept in stores.dead_letters.page(after="", limit=1000)}
    database.close()


def test_stored_sessions_grow_with_a_second_job(tmp_path: Path, run: Run) -> None:
    """A session that is read in two jobs is one, and repeating a job changes nothing."""
    lines = mangled(1)
    half = len(lines) // 2
    first = made_of(of_kind(folded(lines[:half], []), Kind.READ), "one")
    held = [(Kind.HELD, row["logged_id"] or row["session_id"], packed(row)) for row in first]

    both = made_of([*held, *of_kind(folded(lines, []), Kind.READ)], "two")
    again = made_of([(Kind.HELD, row["logged_id"] or row["session_id"], packed(row)) for row in both], "three")

    log = tmp_path / "cowrie.json"
    for part in (lines[:half], lines):
        log.write_bytes(b"\n".join(part) + b"\n")
        run("load", log, "-q")
    database = SqlDatabase(f"sqlite:///{tmp_path}/test.db")
    assert lasting(both) == lasting(rows_in(database))
    assert again == both
    database.close()


def test_open_rows_are_evaluated_again_with_the_facts_of_a_database(tmp_path: Path, run: Run) -> None:
    """Rows without a snapshot receive one from tables that were imported elsewhere."""
    table = tmp_path / "mine.csv"
    table.write_text("start,end,asn,country\n0.0.0.0,223.255.255.255,64500,DE\n")
    read = of_kind(folded(mangled(0), []), Kind.READ)
    too_old = (Settings(max_age_days=0), "beginning")
    make = SessionRows(partial(rows_of_part, too_old), session_columns(), "one", sent)
    opened = [row for batch in make(brought_together(read)) for row in batch.to_pylist()]
    assert {row["enrichment_at"] for row in opened} == {None}
    held = [(Kind.HELD, row["logged_id"] or row["session_id"], packed(row)) for row in opened]

    judge = SessionRows(partial(judged_rows, OWN), session_columns(), "two", sent)
    sealed = [row for batch in judge(brought_together(held)) for row in batch.to_pylist()]

    assert lasting(sealed) == lasting(made_of(read))
    assert {row["snapshot_run"] for row in sealed} == {"two", None}

    log = tmp_path / "cowrie.json"
    log.write_bytes(b"\n".join(mangled(0)) + b"\n")
    assert run("load", log, "-q")[0] == 0
    assert run("inventory", "import", table, "--force", "--name", "mine", "--as-of", "2026-11-01")[0] == 0
    source = SqlDatabase(f"sqlite:///{tmp_path}/test.db")
    facts = {"facts": beginning_at(tmp_path / "facts.db", source)}
    source.close()
    own = partial(rows_of_part, (Settings(), "facts"))
    known = SessionRows(own, session_columns(), "one", lambda: facts)
    asns = {row["snapshot_asn"] for batch in known(brought_together(read)) for row in batch.to_pylist()}
    assert 64500 in asns


def folder_of(rows: Sequence[Mapping[str, object]], dead_letters: Sequence[DeadLetter], to: Path) -> Path:
    """Write the folder that `fleet load` leaves, two files of sessions in different partitions."""
    for number, part in enumerate((rows[::2], rows[1::2])):
        partition = to / "sessions" / "day=2026-03-01" / f"sensor=s{number}"
        partition.mkdir(parents=True)
        parquet.write_table(pa.Table.from_pylist(part, schema_of(session_columns())), partition / "part-0.parquet")
    (to / "dead_letters").mkdir()
    found = [
        {
            "identity": x.identity,
            "source": x.source,
            "position": x.offset,
            "reason": x.reason.value,
            "payload": x.payload,
        }
        for x in dead_letters
    ]
    parquet.write_table(pa.Table.from_pylist(found), to / "dead_letters" / "part-0.parquet")
    return to


def test_a_folder_is_imported_into_a_database(run: Run, tmp_path: Path, postgresql: str) -> None:
    """The same rows as a load of the logs; `verify` passes, and the logs hold nothing new afterwards."""
    lines = mangled(1)
    log = tmp_path / "cowrie.json"
    log.write_bytes(b"\n".join(lines) + b"\n")
    assert run("load", log, "-q")[0] == 0
    database = SqlDatabase(f"sqlite:///{tmp_path}/test.db")
    with database.view() as stores:
        dead_letters = [kept.dead_letter for kept in stores.dead_letters.page(after="", limit=1000)]
    rows = made_of(of_kind(folded(lines, []), Kind.READ))
    folder = folder_of(rows, dead_letters, tmp_path / "lake")

    code, out, err = run("fleet", "import", folder, "--db", postgresql)

    assert (code, err) == (0, "")
    assert f"{len(rows):,} new sessions" in out
    target = SqlDatabase(postgresql)
    assert lasting(rows_in(target)) == lasting(rows_in(database))
    with target.view() as stores:
        assert [kept.dead_letter for kept in stores.dead_letters.page(after="", limit=1000)] == dead_letters
    assert run("verify", "--db", postgresql)[0] == 0
    assert "Nothing new" in run("fleet", "import", folder, "--db", postgresql)[1]
    assert "Nothing new" in run("load", log, "--db", postgresql)[1]
    for each in (database, target):
        each.close()


def test_a_folder_of_an_earlier_version_is_imported(run: Run, tmp_path: Path) -> None:
    """It has no columns for login attempts and uploads: attempts lack credentials, and uploads are unknown."""
    folder = folder_of(made_of(of_kind(folded(mangled(1), []), Kind.READ)), [], tmp_path / "lake")
    for file in (folder / "sessions").rglob("*.parquet"):
        parquet.write_table(parquet.ParquetFile(file).read().drop(["login_counts", "file_uploads"]), file)

    assert run("fleet", "import", folder)[0] == 0

    database = SqlDatabase(f"sqlite:///{tmp_path}/test.db")
    rows = list(rows_in(database))
    assert {(row["login_counts"], row["file_uploads"]) for row in rows} == {("[]", None)}
    assert sum(row["login_attempts"] for row in rows) > 0
    assert run("verify")[0] == 0
    database.close()


def test_a_session_stored_with_other_values_is_not_imported(run: Run, tmp_path: Path) -> None:
    """A folder holds sums of events, which cannot be merged; the logs can be loaded."""
    lines = mangled(1)
    log = tmp_path / "cowrie.json"
    log.write_bytes(lines[0] + b"\n")
    assert run("load", log, "-q")[0] == 0
    folder = folder_of(made_of(of_kind(folded(lines, []), Kind.READ)), [], tmp_path / "lake")

    code, _, err = run("fleet", "import", folder)

    assert code == 1
    assert "1 sessions of" in err
    assert "load their logs with `snapshots load`" in err
    assert run("load", log, "-q")[0] == 0


@pytest.mark.parametrize(
    ("marker", "message"),
    [("sessions", "snapshots fleet load --to FOLDER"), ("_at-work.json", "a job writes to"), ("", "cannot be read")],
)
def test_a_folder_that_cannot_be_imported_is_refused(marker: str, message: str, run: Run, tmp_path: Path) -> None:
    """Without sessions, in the middle of a job, or missing."""
    folder = folder_of([], [], tmp_path / "lake")
    if marker == "sessions":
        (folder / "sessions").rename(folder / "other")
    elif marker:
        (folder / marker).touch()
    else:
        folder = tmp_path / "missing"

    code, _, err = run("fleet", "import", folder)

    assert code == 1
    assert message in err
    assert "Traceback" not in err


def test_a_damaged_folder_is_an_error(run: Run, tmp_path: Path) -> None:
    """It names the folder."""
    folder = folder_of([], [], tmp_path / "lake")
    (folder / "sessions" / "day=2026-03-01" / "sensor=s0" / "part-0.parquet").write_bytes(b"no parquet")

    code, _, err = run("fleet", "import", f"file://{folder}")

    assert (code, "Traceback" in err) == (1, False)
    assert "cannot be read" in err


def test_records_split_by_a_container_runtime_are_not_joined() -> None:
    """A worker's part of a file may begin inside one. Both records become dead letters, so nothing is lost."""
    event = b'{"session":"a","eventid":"cowrie.session.connect","src_ip":"8.8.8.8","timestamp":"2026-03-01T12:00:00Z"}'
    records = [
        b"2026-03-01T12:00:00.1Z stdout P " + event[:40],
        b"2026-03-01T12:00:00.1Z stdout F " + event[40:],
    ]

    rows = folded(records, [])

    assert len(of_kind(rows, Kind.DEAD_LETTER)) == 2
    assert not of_kind(rows, Kind.READ)


def test_an_event_after_a_hole_is_read_as_by_a_load(tmp_path: Path, run: Run) -> None:
    """After a power failure, megabytes of NUL bytes precede it."""
    event = b'{"session":"a","eventid":"cowrie.session.connect","src_ip":"8.8.8.8","timestamp":"2026-03-01T12:00:00Z"}'
    lines = [b"\x00" * 17_000_000 + event]
    log = tmp_path / "cowrie.json"
    log.write_bytes(lines[0] + b"\n")
    run("load", log, "-q")
    database = SqlDatabase(f"sqlite:///{tmp_path}/test.db")

    rows = folded(lines, [])

    assert lasting(made_of(of_kind(rows, Kind.READ))) == lasting(rows_in(database))
    database.close()


def test_a_long_beginning_without_an_event_is_read_once() -> None:
    """Files may begin with anything."""
    rows = folded([b"x"] * 20_000, [])

    assert len(of_kind(rows, Kind.DEAD_LETTER)) == 20_000
    assert not of_kind(rows, Kind.READ)


def test_a_spark_worker_emits_sessions_before_they_exceed_its_memory() -> None:
    """A session may be emitted in several parts, and no event is lost."""
    lines = [
        b'{"session":"s%d","eventid":"cowrie.x","timestamp":"2026-01-01T00:00:%02d.%06dZ"}' % (n % 3, n % 60, n)
        for n in range(250_000)
    ]
    batches = [*MapLines(CowrieLineParser(LineOptions()))(batches_of(lines, "file:///log", 0, 50_000))]

    parts = [row for batch in batches for row in batch.to_pylist() if row["kind"] == Kind.READ]
    assert len(parts) > 3
    assert sum(len(decoded(row["key"], row["payload"]).events) for row in parts) == 250_000
    assert {batch.schema for batch in batches} == {FOLDED}


def test_columns_have_a_name_in_both_engines() -> None:
    """Every kind that a session's row holds."""
    assert "session_id string" in as_spark(session_columns())
    assert "event_fingerprints binary" in as_spark(session_columns())
    assert set(session_columns()) > {"login_succeeded", "first_event_at"}
