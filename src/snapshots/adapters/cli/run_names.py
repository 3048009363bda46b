"""Find runs by how their names begin."""

import click

from snapshots.adapters.cli.services import Application
from snapshots.app.safe_text import escaped

SHOWN = 5
"""Runs that are listed if several begin alike."""

SHORTEST_RUN = len("20261129T17")
"""Minimum characters of the beginning of a run's name: the day and the hour."""


def completed_run(application: Application, text: str) -> str | None:
    """
    Return the name of the run that begins like a text; None if there is none.

    Raises:
        click.UsageError: Several runs begin like it, or it is shorter than `SHORTEST_RUN`.
    """
    found = application.run_names(text, SHOWN + 1)
    if text in found:
        return text
    if found and len(text) < SHORTEST_RUN:
        raise click.UsageError(f"{escaped(text)[:40]!r} is too short for the name of a run (such as 20261129T171724)")
    if len(found) > 1:
        raise click.UsageError(f"several runs start with {escaped(text)[:40]!r}: {', '.join(found[:SHOWN])}")
    return next(iter(found), None)
