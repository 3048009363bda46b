"""Two loaders and a follower next to a backfill with two workers, SNAPSHOTS_RACES times."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.cowrie.files.find_logs import find_logs
from snapshots.adapters.cowrie.files.watch import FolderWatch
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.backfill.progress import NoProgress
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.load.progress import NoLoadObserver
from snapshots.composition.wiring import Container
from tests.cowrieprocessor import AdoptableSchema, put_address, put_session
from tests.strategies import NOON

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("SNAPSHOTS_RACES", "2"))
THEIRS, OURS = 300, 100
ADDRESSES = [f"8.8.{n}.8" for n in range(10)]


@contextmanager
def opened(url: str) -> Iterator[Container]:
    container = Container(settings=Settings.of(db=url))
    yield container
    container.database().close()


def write_log(path: Path, name: str) -> None:
    """Write the connect and the end of some sessions, with the addresses of the others and one of its own."""
    lines = []
    for n in range(OURS):
        event = {"session": f"{name}{n}", "src_ip": [*ADDRESSES, f"9.9.9.{len(name)}"][n % 11], "sensor": "s"}
        for kind, second in (("connect", n), ("closed", n + 1)):
            at = NOON + timedelta(seconds=second)
            lines.append(json.dumps(event | {"eventid": f"cowrie.session.{kind}", "timestamp": f"{at:%FT%T}.000000Z"}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def load(url: str, path: Path) -> None:
    with opened(url) as container:
        container.loader().load(find_logs([str(path)], LineDecoder()).contents, NoLoadObserver())


def follow(url: str, folder: Path) -> None:
    turns = count()
    with opened(url) as container, closing(FolderWatch([str(folder)], LineDecoder(), pytest.fail)) as watch:
        container.follower().follow(watch, NoLoadObserver(), lambda: next(turns) > 40, every=0)


def backfill(url: str) -> None:
    with opened(url) as container:
        assert container.backfill().run(NoProgress(), throttle=Throttle(batch_size=20), jobs=2).is_done


def put_theirs(url: str, round_: int) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for n in range(THEIRS):
            document = {"session_metadata": {"source_ip": ADDRESSES[n % 10]}}
            put_session(connection, f"theirs{round_}-{n}", enrichment=json.dumps(document))
    engine.dispose()


def test_loaders_and_a_backfill_with_two_workers_work_at_the_same_time(unmigrated_url: str, tmp_path: Path) -> None:
    """No deadlock, nothing lost, and every session is counted once."""
    engine = create_engine(unmigrated_url)
    with engine.begin() as connection:
        AdoptableSchema(dialect=connection.dialect.name).make(connection)
        for address in ADDRESSES:
            put_address(connection, address)
    with opened(unmigrated_url) as container:
        container.adoption().adopt(widen=False)
    backfill(unmigrated_url)
    for round_ in range(ROUNDS):
        put_theirs(unmigrated_url, round_)
        for name in ("a", "bb", "ccc"):
            write_log(tmp_path / f"{round_}{name}" / "cowrie.json", f"{name}{round_}-")
        jobs: list[tuple[Callable[[str, Path], None], Path]] = [
            (load, tmp_path / f"{round_}a" / "cowrie.json"),
            (load, tmp_path / f"{round_}bb" / "cowrie.json"),
            (follow, tmp_path / f"{round_}ccc"),
            (lambda url, _: backfill(url), tmp_path),
        ]
        with ThreadPoolExecutor(len(jobs)) as pool:
            for done in [pool.submit(job, unmigrated_url, path) for job, path in jobs]:
                done.result(300)
        backfill(unmigrated_url)  # what was put after the pass over its place

    with engine.connect() as connection:
        unjudged = connection.execute(
            text("SELECT count(*) FROM session_summaries WHERE snapshot_gap IS NULL AND enrichment_at IS NULL")
        ).scalar_one()
        stored, counted = (
            {address: number for address, number in connection.execute(text(query)) if number}
            for query in (
                "SELECT source_ip, count(*) FROM session_summaries GROUP BY source_ip",
                "SELECT ip_address, session_count FROM known_addresses",
            )
        )
        states = set(connection.execute(text("SELECT state FROM runs")).scalars())
    engine.dispose()
    assert (unjudged, sum(stored.values())) == (0, ROUNDS * (THEIRS + 3 * OURS))
    assert counted == stored
    assert states == {"done"}
