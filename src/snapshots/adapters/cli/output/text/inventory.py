"""What is known about addresses, as text for a terminal."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table

from snapshots.adapters.cli.output.sanitize import printable
from snapshots.adapters.feeds.inventory_documents import build_state
from snapshots.app.enrich.inventory import LookedUp
from snapshots.app.queries.inventory_reports import (
    NOT_COMPARABLE,
    Drift,
    SourceState,
    expired_text,
)
from snapshots.app.queries.reports import FIELD_NAMES
from snapshots.app.queries.validity import expired_texts
from snapshots.domain.snapshot.validity import KindValidity


def lookup_text(done: LookedUp) -> str:
    """Return the number of addresses that were looked up, and the results."""
    text = f"{done.addresses:,} addresses looked up, {done.learned:,} observations added or extended"
    if done.completed.judged:
        text += f"; of {done.completed.judged:,} open sessions {done.completed.sealed:,} received a snapshot"
    return f"{text}."


def unused_text(unused: Mapping[str, int]) -> str:
    """Return the number of rows of a table that are not used, or only in part, by the reason."""
    reasons = ", ".join(
        f"{number:,} {reason}" for reason, number in sorted(unused.items(), key=lambda u: (-u[1], u[0]))
    )
    count = sum(unused.values())
    return f"{count:,} {'row is' if count == 1 else 'rows are'} not or only partly used ({reasons})."


def show_sources(console: Console, found: Sequence[SourceState]) -> None:
    """Print the registered builds as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    longest = max((len(state.registered.build.label) for state in found), default=0)
    for name in ("build", "state", "observations", "file", "license"):
        table.add_column(name, min_width=longest if name == "build" else None)
    for state in found:
        build = state.registered.build
        table.add_row(
            build.label,
            build_state(state),
            f"{state.observations:,}",
            printable(build.origin, 60),
            printable(build.licence, 60),
        )
    console.print(table)


SOURCES_LEGEND = (
    "state: fresh = new enough for the addresses of today; ageing = due for a newer build, still used; expired = too"
    " old for attacks of today; history = a newer build of the source is registered; retracted = not used."
    " observations: facts about addresses that begin with the build."
)


def show_legend(console: Console) -> None:
    """Print what the states of builds mean."""
    console.print(SOURCES_LEGEND, soft_wrap=True)


def show_validity(console: Console, validity: Sequence[KindValidity], now: datetime) -> None:
    """Print until when each kind of fact is valid for new attacks, and how to renew expired tables."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("fact", "newest table", "for attacks until", "state today"):
        table.add_column(name)
    for each in validity:
        state = "expired" if each.is_expired(now) else "valid"
        table.add_row(each.kind.value, printable(each.build.label, 90), f"{each.valid_until:%Y-%m-%d %H:%M}", state)
    console.print()
    console.print(table)
    console.print(
        "for attacks until: later attacks get no such fact from the table. A list of one type renews that type only.",
        soft_wrap=True,
    )
    for text in expired_texts(validity, now):
        console.print(printable(text, 400), soft_wrap=True)


def drift_csv(found: Drift) -> str:
    """Return the changes of each fact as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("fact", "then", "now", "sessions", "addresses"))
    for fact, moves in found.moves.items():
        writer.writerows((fact, m.then or "", m.now or "", m.sessions, m.addresses) for m in moves)
    return text.getvalue()


def show_drift(console: Console, found: Drift) -> None:
    """Print how many sessions hold facts that differ from the newest tables."""
    console.print(f"Newest tables: {', '.join(found.newest_tables) or 'none'}")
    for fact, count in found.changed.items():
        compared = found.compared[fact]
        share = f" ({count / compared:.1%})" if compared else ""
        console.print(
            f"\n{FIELD_NAMES[fact]}: {count:,} of {compared:,} sessions{share} differ from the newest table."
            f" {found.sealed - compared:,} of {found.sealed:,} cannot be compared."
        )
        if found.expired[fact]:
            console.print(f"Of these, {expired_text(found.expired[fact])}", soft_wrap=True)
        for move in found.moves[fact]:
            counts = f"{move.sessions:,} sessions, {move.addresses:,} addresses"
            console.print(f"  {move.then or '-'} -> {move.now or '-'}: {counts}")
    if any(found.compared[fact] < found.sealed for fact in found.compared):
        console.print(f"\n{NOT_COMPARABLE}")
