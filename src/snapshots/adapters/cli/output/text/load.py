"""The report of a load, as text for a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from snapshots.adapters.cli.output.sanitize import printable
from snapshots.app.load.batch import LoadReport
from snapshots.app.wording import count_of, noun_of

SHOWN_NAMES = 5


def show_load(console: Console, report: LoadReport) -> None:
    """Print the report of a load."""
    if not report.events and not report.dead_letters:
        stored = " All events are already stored." if report.repeated or report.unchanged else ""
        console.print(f"Nothing new in {count_of(report.sources, 'source')}.{stored}")
    else:
        console.print(
            f"Read {count_of(report.lines, 'line')} in {count_of(report.sources, 'source')}: "
            f"{count_of(report.events, 'new event')}, {count_of(report.sessions_added, 'new session')}, "
            f"{report.sealed:,} received a snapshot."
        )
    for count, text in _load_notes(report):
        if count:
            console.print(f"  {count:,} {text}")
    if report.inferred * 2 > report.sealed:
        console.print(
            f"  {report.inferred:,} of the new snapshots are inferred: at least one fact of each is from a table built"
            " after the attack (`snapshots explain SESSION` shows the date of each fact). To get facts as of the"
            " attack, import tables from before it: snapshots facts import --help",
            soft_wrap=True,
        )
    if report.dead_letters and not report.events and not report.repeated and not report.problems:
        console.print("  None of the lines is an event: is it a Cowrie log?")


def _load_notes(report: LoadReport) -> Sequence[tuple[int, str]]:
    """Return counts of a load, each with its label."""
    return (
        (report.repeated, noun_of(report.repeated, "event") + " already stored"),
        (report.left_open, noun_of(report.left_open, "session") + " without a snapshot; `snapshots verify` shows why"),
        (
            report.dead_letters,
            noun_of(report.dead_letters, "invalid line") + " stored in dead_letters with file, offset and reason",
        ),
        (report.known_dead_letters, noun_of(report.known_dead_letters, "invalid line") + " already in dead_letters"),
        (report.not_kept, noun_of(report.not_kept, "invalid line") + " counted but not stored: too many in one file"),
        (
            report.unfinished,
            noun_of(report.unfinished, "source")
            + " with an incomplete last line or archive; the next load reads it again",
        ),
        (report.empty, noun_of(report.empty, "empty source")),
        (report.reused_ids, noun_of(report.reused_ids, "session") + " stored as id~hash, because the ID was reused"),
        (
            report.completed,
            noun_of(report.completed, "session") + " of earlier loads sealed with facts that were learned since",
        ),
        (
            report.late_sightings,
            noun_of(report.late_sightings, "sealed session") + " with an earlier sighting in this load; not changed",
        ),
    )


def show_expired(console: Console, expired: Sequence[str]) -> None:
    """Print which tables are too old for the newest attacks."""
    for text in expired:
        console.print(Text("  ") + printable(text, 400), soft_wrap=True)


def skipped(paths: Sequence[Path], reason: str = "") -> Text:
    """Return the message about files in folders that are not read; it names the first ones."""
    names = ", ".join(path.name for path in paths[:SHOWN_NAMES])
    more = f", and {len(paths) - SHOWN_NAMES:,} more" if len(paths) > SHOWN_NAMES else ""
    why = f"({reason})" if reason else "without Cowrie events"
    return Text(f"Skipped {count_of(len(paths), 'file')} {why}: ") + printable(names, 200) + more
