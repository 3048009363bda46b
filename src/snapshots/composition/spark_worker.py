"""
What a Spark worker does with a partition: the same steps as on one machine, in a SQLite database of its own.

The functions are pickled by name. Each opens its own resources and removes them.
"""

import gc
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dependency_injector import providers

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.adopt.part_database import put_rows, rows_in
from snapshots.app.backfill.progress import NoProgress
from snapshots.app.garbage import GC_THRESHOLDS
from snapshots.app.load.cluster import Files, Row
from snapshots.app.load.progress import NoLoadObserver
from snapshots.composition.wiring import Container
from snapshots.domain.session.session import SessionAggregate


def rows_of_part(
    own: tuple[Settings, str], run: str, held: Iterator[Row], sessions: Iterator[SessionAggregate], files: Files
) -> Iterator[Row]:
    """
    Yield the rows of a partition: stored sessions, merged with the sessions that were read.

    Args:
        own: The settings, and the path of the template database on the driver.
        run: The run that writes.
        held: Stored rows.
        sessions: Sessions that were read; consumed after *held*.
        files: Local paths of distributed files.
    """
    with _part(own, files) as container:
        put_rows(container.database(), held)
        loader = container.loader()
        loader.load_by(lambda name: loader.store(name, sessions, NoLoadObserver()), NoLoadObserver(), run=run)
        yield from rows_in(container.database())


def judged_rows(
    own: tuple[Settings, str], run: str, held: Iterator[Row], _read: Iterator[SessionAggregate], files: Files
) -> Iterator[Row]:
    """Yield the rows of stored sessions without a snapshot, evaluated again."""
    with _part(own, files) as container:
        put_rows(container.database(), held)
        container.new_run.override(providers.Object(lambda: run))
        container.backfill().run(NoProgress(), again=True)
        yield from rows_in(container.database())


@contextmanager
def _part(own: tuple[Settings, str], files: Files) -> Iterator[Container]:
    """Copy the template database, and remove the copy at the end of the block."""
    gc.set_threshold(*GC_THRESHOLDS)
    settings, beginning = own
    with tempfile.TemporaryDirectory(prefix="snapshots-part-") as folder:
        path = Path(folder) / "part.db"
        shutil.copyfile(files[beginning], path)
        container = Container(settings=_here(settings, files).model_copy(update={"db": f"sqlite:///{path}"}))
        try:
            yield container
        finally:
            _leave(container)


def _leave(container: Container) -> None:
    """Close the database, and free memory: Spark reuses the process for other partitions."""
    container.database().close()
    container.reset_singletons()
    gc.collect()


def _here(settings: Settings, files: Files) -> Settings:
    """Return the settings with the local paths of distributed files."""
    names = ("mmdb", "network_types")
    return settings.model_copy(
        update={name: tuple(Path(files[str(path)]) for path in getattr(settings, name)) for name in names}
    )
