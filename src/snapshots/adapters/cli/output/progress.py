"""Progress bars, on a terminal only."""

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from snapshots.adapters.cli.output.sanitize import printable
from snapshots.app.load.progress import BatchLoaded


class _Bar:
    """A progress bar that is shown during a block, on a terminal only."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            *columns,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class LoadBar(_Bar):
    """
    Shows how many bytes of a load have been read; silent if stderr is not a terminal.

    Args:
        console: The console of stderr.
        total: Bytes of all files; None if a stream is among them.
    """

    def __init__(self, console: Console, total: int | None) -> None:
        super().__init__(
            console,
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("", total=total)
        self._read = 0
        self._size = 0

    def source_opened(self, name: str, size: int | None) -> None:
        """Show the name of the file, and count the previous files as read."""
        self._read += self._size
        self._size = size or 0
        if not self._progress.disable:
            self._progress.update(self._task, description=printable(Path(name).name, 28).plain, completed=self._read)

    def bytes_read(self, count: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=self._read + count)

    def source_damaged(self, name: str, damage: str) -> None:
        """Do nothing: `LoggedLoad` prints a warning."""

    def batch_loaded(self, batch: BatchLoaded) -> None:
        """Do nothing: the bar shows bytes."""


class CopyBar(_Bar):
    """
    Shows how many rows of each table have been copied; silent if stderr is not a terminal.

    Args:
        console: The console of stderr.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("")

    def table_opened(self, table: str, rows: int) -> None:
        """Start a new bar."""
        self._progress.update(self._task, description=table, total=rows, completed=0)

    def rows_copied(self, count: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=count)


class CountBar(_Bar):
    """
    Shows a count without a total; silent if stderr is not a terminal. Call it with the count so far.

    Args:
        console: The console of stderr.
        title: What is counted.
    """

    def __init__(self, console: Console, title: str) -> None:
        super().__init__(
            console,
            TextColumn("{task.completed:,.0f}", markup=False),
        )
        self._task = self._progress.add_task(printable(title, 40).plain, total=None)

    def __call__(self, count: int) -> None:
        """Show a count."""
        self._progress.update(self._task, completed=count)


class WorkBar(_Bar):
    """
    Shows progress, rate and waits of a backfill; prints only the waits if stderr is not a terminal.

    Args:
        console: The console of stderr.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        super().__init__(
            console,
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("", total=None, rate="")
        self._stage = ""
        self._wait_reason = ""

    def stage_begun(  # the bar shows neither the run nor what is counted
        self,
        name: str,
        total: int,
        *,
        run: str,  # noqa: ARG002 - of the protocol
        counts_sessions: bool = True,  # noqa: ARG002 - of the protocol
    ) -> None:
        """Start a new bar."""
        self._stage = name.replace("_", " ")
        self._progress.reset(self._task, total=total or None, description=self._stage, rate="")

    def batch_done(self, handled: int, seconds: float) -> None:
        """Move the bar."""
        rate = f"{handled / seconds:,.0f}/s" if seconds > 0 else ""
        self._progress.update(self._task, advance=handled, rate=rate, description=self._stage)

    def waiting_for(self, reason: str) -> None:
        """Show the reason; without a terminal, print it once."""
        self._progress.update(self._task, description=f"waiting: {reason}" if reason else self._stage)
        if reason and reason != self._wait_reason and not self._console.is_terminal:
            self._console.print(f"Waiting: {reason}")
        self._wait_reason = reason
