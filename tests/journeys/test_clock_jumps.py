"""Machines whose clocks disagree, and clocks that are set while the program works."""

import gzip
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import count, cycle
from pathlib import Path

import pytest
from dependency_injector import providers

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.clock import SystemClock
from snapshots.adapters.cowrie.files.find_logs import find_logs
from snapshots.adapters.cowrie.files.watch import FolderWatch
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.intel.open_table import ImportOptions, open_table
from snapshots.app.load.progress import NoLoadObserver
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.runtime import Clock
from snapshots.composition.wiring import Container
from tests.journeys.conftest import OLD
from tests.journeys.test_processes import rows

JUMP = timedelta(hours=2)


class Jumping:
    """The clock of this machine, set two hours ahead and back again and again."""

    def __init__(self, *offsets: timedelta) -> None:
        self._offsets = cycle(offsets)

    def now(self) -> datetime:
        return SystemClock().now() + next(self._offsets)


@contextmanager
def machine(url: str, clock: Clock) -> Iterator[Container]:
    container = Container(settings=Settings(db=url))
    container.own_clock.override(providers.Object(clock))
    yield container
    container.database().close()


def load(container: Container, *paths: Path) -> None:
    container.loader().load(find_logs([str(path) for path in paths], LineDecoder()).contents, NoLoadObserver())


@pytest.fixture
def halves(tmp_path: Path) -> list[Path]:
    """The events of a real log, those of most sessions cut in two."""
    lines = gzip.decompress(OLD.read_bytes()).splitlines(keepends=True)
    folder = tmp_path / "log"
    folder.mkdir()
    made = [folder / "cowrie.json.1", folder / "cowrie.json"]
    made[0].write_bytes(b"".join(lines[::2]))
    made[1].write_bytes(b"".join(lines[1::2]))
    return made


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "asn-2026-01-01.csv"
    path.write_text("".join(f"{n}.0.0.0,{n}.255.255.255,{64500 + n},NET{n}\n" for n in range(1, 224)))
    return path


def work(url: str, clock: Clock, halves: list[Path], table: Path) -> list[dict[str, object]]:
    """Load, follow, and import a table that completes what is open."""
    with machine(url, clock) as container:
        load(container, halves[1])
        turns = count()
        with closing(FolderWatch([str(halves[0].parent)], LineDecoder(), pytest.fail)) as watch:
            container.follower().follow(watch, NoLoadObserver(), lambda: next(turns) > 40, every=0)
        container.inventory_service().import_table(open_table(table, ImportOptions()), lambda _: None, is_forced=True)
        load(container, *halves)
    return rows(url)


@pytest.mark.parametrize("offsets", [(timedelta(0), JUMP), (JUMP, timedelta(0), -JUMP)])
def test_a_clock_that_is_set_while_the_program_works_changes_no_row(
    sql_url: str, tmp_path: Path, halves: list[Path], table: Path, offsets: tuple[timedelta, ...]
) -> None:
    """Two hours ahead and back, between any two readings of it."""
    steady = work(f"sqlite:///{tmp_path}/steady.db", SystemClock(), halves, table)

    assert work(sql_url, Jumping(*offsets), halves, table) == steady


@pytest.mark.parametrize("offset", [JUMP, -JUMP])
def test_a_run_on_a_machine_with_a_wrong_clock_is_not_considered_dead(
    postgresql: str, halves: list[Path], offset: timedelta
) -> None:
    """Whether that machine runs the load, or looks for dead runs."""
    with machine(postgresql, SystemClock()) as right, machine(postgresql, Jumping(offset)) as wrong:
        load(right, halves[0])
        for here, there in ((right, wrong), (wrong, right)):
            run = f"alive-{here is right}"
            with here.database().transaction() as stores:
                stores.runs.begin(run, RunKind.LOAD, at=here.clock().now())
            load(there, halves[1])
            with right.database().view() as stores:
                found = stores.runs.find(run)
            assert found is not None
            assert found.state is RunState.RUNNING
            assert found.state_at(there.clock().now()) is RunState.RUNNING
