"""Processes that read logs for a load."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from snapshots.adapters.cowrie.files.file_state import SECOND, FileStates
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.errors import LogUnreadable
from snapshots.app.load.batch import BatchSize
from snapshots.app.load.read_block import ReadBlock
from snapshots.app.load.remote_source import BlockReader, ReaderEnded, RemoteSource
from snapshots.app.ports.log_source import Layout, LineOptions
from snapshots.composition.log_reader_process import ReaderSettings
from snapshots.composition.log_readers import WORTH_A_PROCESS, LogReaderProcess, LogReaders
from tests.journeys.conftest import Run
from tests.mangle import LOGS
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SIZE = BatchSize(lines=200)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that is worth a process."""
    content = b"".join(gzip.decompress(path.read_bytes()) for path in LOGS)
    path = tmp_path_factory.mktemp("log") / "cowrie.json"
    copies = WORTH_A_PROCESS // len(content) + 1
    path.write_bytes(b"".join(content.replace(b'"session":"', b'"session":"%x' % n) for n in range(copies)))
    return path


@pytest.fixture
def reader() -> Iterator[LogReaderProcess]:
    made = LogReaderProcess(ReaderSettings(LineOptions(), SIZE), pytest.fail)
    yield made
    made.close()


def content(path: Path) -> LogContent:
    return LogContent(path, LineDecoder())


def unpacked(block: ReadBlock) -> tuple[object, ...]:
    """Return a block with the records of its sessions, for comparison."""
    sessions = [(each.logged_id, each.totals, each.unpacked().records) for each in block.sessions]
    return (sessions, *block[2:])


def test_another_process_reads_the_same_blocks(reader: LogReaderProcess, log: Path) -> None:
    """Content after content, from their bookmarks on."""
    mark = next(BlockReader(SIZE).blocks_of(content(log))).mark
    for marks in ((), (mark,)):
        reader.request(content(log), marks)

    received = [[*map(unpacked, reader.blocks())] for _ in range(2)]

    expected = BlockReader(SIZE)
    first, second = content(log), content(log)
    second.resume([mark])
    assert received == [[*map(unpacked, expected.blocks_of(each))] for each in (first, second)]


def test_a_file_that_cannot_be_read_is_an_error_and_the_next_one_is_read(
    reader: LogReaderProcess, log: Path, tmp_path: Path
) -> None:
    """It was deleted since it was found."""
    reader.request(content(tmp_path / "gone"), ())
    reader.request(content(log), ())

    with pytest.raises(LogUnreadable, match="gone cannot be read"):
        next(reader.blocks())
    assert next(reader.blocks()).events > 0


def test_a_killed_reader_is_reported_once(log: Path) -> None:
    """The load goes on without it."""
    warnings: list[str] = []
    reader = LogReaderProcess(ReaderSettings(LineOptions(), SIZE), warnings.append)
    reader.request(content(log), ())
    blocks = reader.blocks()
    next(blocks)
    os.kill(reader.pid, signal.SIGKILL)

    for each in (blocks, reader.blocks()):
        with pytest.raises(ReaderEnded):
            list(each)
    reader.request(content(log), ())
    reader.close()

    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("cores", "options", "is_remote"),
    [(2, LineOptions(), True), (1, LineOptions(), False), (2, LineOptions(keeps_lines=True), False)],
)
def test_large_logs_are_read_by_another_process_on_several_cores(
    log: Path, cores: int, options: LineOptions, *, is_remote: bool
) -> None:
    """Not on one core, and not if each line is stored."""
    readers = LogReaders(SIZE, cores, pytest.fail)

    with readers.reading([LogContent(log, LineDecoder(options)), LogContent(None, LineDecoder(options))]) as sources:
        kinds = [isinstance(source, RemoteSource) for source in sources]

    assert kinds == [is_remote, False]


def test_large_logs_that_are_unchanged_are_not_opened_again(
    log: Path, run: Run, migrated_sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that reads them sends their states to the one that stores them."""
    monkeypatch.setattr("snapshots.composition.load_wiring.usable_cores", lambda: 2)
    yesterday = time.time_ns() - 24 * 3600 * SECOND | 1
    folder = tmp_path / "logs"
    folder.mkdir()
    lines = log.read_bytes().splitlines(keepends=True)
    for n in range(3):
        file = folder / f"cowrie.json.{n}"
        file.write_bytes(b"".join(lines[n::3]))
        os.utime(file, ns=(yesterday, yesterday))
    wait_until(lambda: all(FileStates(Layout.AUTO, time.time_ns()).of(file.stat()) for file in folder.iterdir()))

    def not_known(states: Collection[str]) -> set[str]:
        with closing(SqlDatabase(migrated_sqlite)) as database, database.view() as stores:
            return set(states) - stores.bookmarks.marks_of(states).keys()

    assert run("load", folder)[0] == 0

    now = FileStates(Layout.AUTO, time.time_ns())
    assert not_known([now.of(file.stat()) for file in folder.iterdir()]) == set()
    monkeypatch.setattr(LogContent, "_open", pytest.fail)
    assert run("load", folder)[:2] == (0, "Nothing new in 3 sources. All events are already stored.\n")


def test_small_logs_are_read_here() -> None:
    """A process takes longer to start."""
    small = content(Path("src/snapshots/adapters/cli/data/cowrie.json.gz"))

    with LogReaders(SIZE, 2, pytest.fail).reading([small]) as sources:
        assert list(sources) == [small]


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_reader_ends_with_its_load(log: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Killed, by Ctrl-C, which reaches both, or by SIGTERM: no process stays."""
    command = [sys.executable, "-m", "snapshots", "load", "-q", "--db", f"sqlite:///{tmp_path}/test.db", str(log)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    wait_until(lambda: bool(children_of(process.pid)) or process.poll() is not None)
    children = children_of(process.pid)

    os.killpg(process.pid, number) if number is signal.SIGINT else process.send_signal(number)
    process.communicate(timeout=120)

    assert children
    wait_until(partial(all_ended, children))


def all_ended(pids: list[int]) -> bool:
    return not any(map(is_running, pids))
