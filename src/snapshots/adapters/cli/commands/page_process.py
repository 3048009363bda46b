"""Serve the live page in a process of its own, so that it takes no time from a load in this one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import IO, cast

import click

from snapshots.adapters.cli.config_file import META_KEY, ConfigFile
from snapshots.adapters.cli.exit_codes import ExitCode

END_SECONDS = 5.0
"""How long the process may take to end before it is killed: it waits for queries that run."""


@contextmanager
def page_process(arguments: Sequence[str], database: str | None, is_stopped: Callable[[], bool]) -> Iterator[None]:
    """
    Serve the live page while the block runs: `snapshots serve` with the same configuration file.

    If the process ends earlier, a warning goes to stderr, and the block continues. If this process is killed, the
    other one ends, because its standard input does. Ctrl-C in a terminal does not reach it: this process ends it.

    Args:
        arguments: Options of `serve`.
        database: The database; None for the default. It is not on the command line, which all users can read.
        is_stopped: Whether this command ends, so that the end of the other process is no surprise.

    Raises:
        click.exceptions.Exit: The page cannot be served; the other process has printed why.
    """
    config = click.get_current_context().meta.get(META_KEY)
    environment = dict(os.environ)
    if database is not None:
        environment["SNAPSHOTS_DB"] = database
    if isinstance(config, ConfigFile):
        environment["SNAPSHOTS_CONFIG"] = str(config.file)
    process = subprocess.Popen(  # noqa: S603 - our own arguments, without a shell
        [sys.executable, "-P", "-m", "snapshots", "serve", "--has-parent", *arguments],  # -P: not from this folder
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    is_ended = Event()

    def watch() -> None:
        code = process.wait()
        if not is_ended.is_set() and not is_stopped():
            click.echo(
                f"Warning: the page is no longer served (its process ended with exit code {code}); the load continues",
                err=True,
            )

    try:
        if not cast("IO[bytes]", process.stdout).readline():  # the URL, as soon as it listens
            raise click.exceptions.Exit(max(process.wait(), 0) or ExitCode.FAILED)
        Thread(target=watch, daemon=True).start()
        yield
    finally:
        is_ended.set()
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        cast("IO[bytes]", pipe).close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
