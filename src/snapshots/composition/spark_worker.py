"""
What a worker of a fleet does with its part: the same as one machine does with everything.

The functions are sent to other processes by name; each opens what it works with there, and leaves nothing behind.
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
from snapshots.app.load.batch import GC_THRESHOLDS, ReadSession
from snapshots.app.load.cluster import Files, Row
from snapshots.app.load.progress import NoLoadObserver
from snapshots.composition.wiring import Container


def rows_of_part(
    own: tuple[Settings, str], run: str, held: Iterator[Row], sessions: Iterator[ReadSession], files: Files
) -> Iterator[Row]:
    """
    Yield the rows of sessions, those that were stored before and those that were read since.

    Args:
        own: How it is done, in a database of the part's own, and the file with which that begins, by its path where it
            came from.
        run: The run that writes.
        held: Rows that were stored before.
        sessions: What was read, looked at when *held* is at its end.
        files: Where files are on this machine.
    """
    with _part(own, files) as container:
        put_rows(container.database(), held)
        loader = container.loader()
        loader.load_by(lambda name: loader.store(name, sessions, NoLoadObserver()), NoLoadObserver(), run=run)
        yield from rows_in(container.database())


def judged_rows(
    own: tuple[Settings, str], run: str, held: Iterator[Row], _read: Iterator[ReadSession], files: Files
) -> Iterator[Row]:
    """Yield the rows of sessions that were stored without a snapshot, judged anew; none was read since."""
    with _part(own, files) as container:
        put_rows(container.database(), held)
        container.new_run.override(providers.Object(lambda: run))
        container.backfill().run(NoProgress(), again=True)
        yield from rows_in(container.database())


@contextmanager
def _part(own: tuple[Settings, str], files: Files) -> Iterator[Container]:
    """Open a database of the part's own, with what it begins with, and remove it at the end of the block."""
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
    """Close the database, and give back what a process that lives on would else keep of each part."""
    container.database().close()
    container.reset_singletons()
    gc.collect()


def _here(settings: Settings, files: Files) -> Settings:
    """Return the settings with files where they are on this machine."""
    return settings.model_copy(update={"mmdb": tuple(Path(files[str(path)]) for path in settings.mmdb)})
