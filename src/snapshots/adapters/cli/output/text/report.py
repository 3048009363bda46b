"""Report, coverage and verification, as text for a terminal."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapshots.adapters.cli.output.fitted_table import Content, FittedColumn, fitted, print_fitted
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.inspection import Inspection
from snapshots.app.queries.reports import (
    FIELD_NAMES,
    CoverageReport,
    LagSpread,
    Report,
    ValueCount,
    builds_by_source,
    heaviest_text,
    impossible_clocks_text,
    methods_text,
    nearness_lines,
)
from snapshots.app.wording import count_of
from snapshots.domain.snapshot.coverage import Coverage

BAR = 12


def show_report(console: Console, report: Report, selection: str = "") -> None:
    """Print the report; *selection* describes the filter of its sessions, "" for all."""
    if selection:
        console.print(Text("Sessions: ") + printable(selection, 400), soft_wrap=True)
        if not report.coverage.sessions.total:
            console.print("No sessions match.")
            return
    if not report.coverage.sessions.total:
        console.print("No sessions are stored yet. To load Cowrie logs: snapshots load PATH")
        _show_dead_letters(console, report)
        return
    console.print(
        f"{count_of(report.coverage.sessions.total, 'session')} from "
        f"{count_of(report.coverage.addresses.total, 'address', 'addresses')}, "
        f"{_day(report.first_event_at)} to {_day(report.last_event_at)}: "
        f"{count_of(report.events, 'event')}, {count_of(report.logins, 'login')}, "
        f"{count_of(report.commands, 'command')}, {count_of(report.downloads, 'download')}, "
        f"{count_of(report.uploads, 'upload')}."
    )
    if note := impossible_clocks_text(report):
        console.print(note)
    console.print(f"At least one of network, country and type {methods_text(report.coverage.sessions)}.")
    networks = [
        (Text(f"AS{t.value}" if t.value else "not known") + "  " + printable(t.name or "", 40), t)
        for t in report.networks
    ]
    _table(console, "Network", networks)
    _table(console, "Country", _countries(report.countries))
    _table(console, "IP type", _labeled(report.types))
    _table(console, "Last days (UTC)", _days(report.days))
    show_coverage(console, report.coverage)
    _show_dead_letters(console, report)
    console.print("\nSources of facts:")
    for source in builds_by_source(report.sources):
        days = f" ({source.days})" if "@" not in source.name else ""
        console.print(Text("  ") + printable(f"{source.name}{days}: {source.licence}", 160))


def _day(at: datetime | None) -> str:
    return "unknown" if at is None else f"{at:%Y-%m-%d}"


def _show_dead_letters(console: Console, report: Report) -> None:
    if report.dead_letters:
        found = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.dead_letters.items()))
        console.print(f"Lines that are not events, in the table dead_letters: {found}.")


def show_coverage(console: Console, report: CoverageReport) -> None:
    """Print how many sessions and addresses have a snapshot, and why the others have none."""
    sessions, addresses = report.sessions, report.addresses
    console.print()
    console.print(_coverage_table(report))
    console.print("Sessions from private, shared or reserved addresses are excluded from the shares.", style="dim")
    console.print("An address is counted only if all of its sessions are.", style="dim")
    if heaviest := heaviest_text(report):
        console.print(f"{heaviest}.", style="dim")
    for line in nearness_lines(sessions, addresses):
        console.print(f"  {line}")
    for method, count in sessions.by_method.items():
        console.print(f"  {method.value}: {count_of(count, 'session')} with facts {method.explanation}")
    for source, count in report.by_source.items():
        console.print(Text(f"  {count_of(count, 'session')} of ") + printable(source, 120))
    if report.lag is not None:
        console.print(f"  {_lag(report.lag)}")
    for fact, differing in report.disagreements.items():
        console.print(
            f"  sources disagree on the {FIELD_NAMES[fact]} of"
            f" {count_of(differing.addresses, 'address', 'addresses')} ({count_of(differing.sessions, 'session')}),"
            " as of the last event of each; `snapshots explain SESSION` shows their answers"
        )
    for gap, count in sorted(sessions.by_gap.items(), key=lambda item: -item[1]):
        if gap is not None:
            console.print(f"  without a snapshot, {gap.value}: {count_of(count, 'session')}. {gap.explanation}")


def _coverage_table(report: CoverageReport) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("Coverage", "sessions", "as of", "inferred", "addresses"):
        table.add_column(title, justify="left" if title == "Coverage" else "right")
    sessions, addresses = report.sessions, report.addresses
    for name, count in sessions.by_field.items():
        among = addresses.by_field[name]
        apart = (f"{counts[name]:,}" for counts in (sessions.asof, sessions.inferred))
        table.add_row(FIELD_NAMES[name], _share(sessions, count), *apart, _share(addresses, among))
    return table


def show_inspection(console: Console, inspection: Inspection) -> None:
    """Print the violations that were found."""
    console.print()
    if inspection.adopted:
        adopted = count_of(inspection.adopted, "session")
        console.print(f"Another loader wrote {adopted} of them; these have no seal, so changes cannot be detected.")
    if inspection.put_back:
        times = count_of(inspection.put_back, "time")
        console.print(f"The guard reverted {times} a value that another loader wrote into a sealed session.")
    part = f" of {inspection.of:,}" if inspection.unseen_share else ""
    if not inspection.violation_count:
        guard = "the guard holds" if inspection.guard_was_tried else "whether the guard holds was not checked"
        console.print(
            f"{count_of(inspection.sealed, 'sealed session')}{part} checked, none changed without audit, {guard}; "
            f"{count_of(inspection.corrections, 'correction')} on record."
        )
        if part:
            share = f"{inspection.unseen_share:.4%}"
            console.print(f"At most {share} of all sessions are changed (95% confidence). --full checks all of them.")
        return
    if part:
        console.print(f"{count_of(inspection.sealed, 'sealed session')}{part} checked.")
    console.print(f"{count_of(inspection.violation_count, 'violation')} found:")
    for violation in inspection.violations:
        console.print(Text("  ") + printable(violation.where) + f"  {violation.invariant.broken}")
    if inspection.violation_count > len(inspection.violations):
        console.print(f"  and {inspection.violation_count - len(inspection.violations):,} more")


def _labeled(tallies: Iterable[ValueCount]) -> list[tuple[Text, ValueCount]]:
    return [(printable(tally.value or "not known"), tally) for tally in tallies]


def _countries(tallies: Iterable[ValueCount]) -> list[tuple[Text, ValueCount]]:
    """Return countries by code and name."""
    names = {code: f"{code}  {found[0]}" for code, found in COUNTRY_NAMES.items()}
    return [(printable(names.get(tally.value or "", tally.value or "not known")), tally) for tally in tallies]


def _days(tallies: Sequence[ValueCount]) -> list[tuple[Text, ValueCount | None]]:
    """Return days in order, with a row for each gap between them."""
    rows: list[tuple[Text, ValueCount | None]] = []
    last: date | None = None
    for tally in tallies:
        day = date.fromisoformat(tally.value or "")
        if last is not None and (gap := (day - last).days - 1):
            rows.append((Text(f"  {count_of(gap, 'day')} without sessions", style="dim"), None))
        rows.append((Text(str(day)), tally))
        last = day
    return rows


def _table(console: Console, title: str, rows: Sequence[tuple[Text, ValueCount | None]]) -> None:
    counts: dict[str, Sequence[int | None]] = {
        "sessions": [tally.sessions if tally is not None else None for _, tally in rows],
        "as of": [tally.asof if tally is not None else None for _, tally in rows],
        "inferred": [tally.inferred if tally is not None else None for _, tally in rows],
        "addresses": [tally.addresses if tally is not None else None for _, tally in rows],
    }
    is_gap = [tally is None for _, tally in rows]
    most = max((tally.sessions for _, tally in rows if tally is not None), default=0)
    bars = ["" if tally is None else "█" * round(BAR * tally.sessions / most) or "▏" for _, tally in rows]
    columns = [
        FittedColumn(title, Content.TEXT, [label for label, _ in rows]),
        *(
            FittedColumn(name, Content.NUMBER, [Text(_number(n, gap)) for n, gap in zip(found, is_gap, strict=True)])
            for name, found in counts.items()
        ),
        FittedColumn("", Content.EXACT, [Text(bar, style="cyan") for bar in bars]),
    ]
    console.print()
    print_fitted(console, fitted(columns, console.width))


def _number(value: int | None, is_gap: bool) -> str:  # noqa: FBT001 - of a row
    if value is None:
        return "" if is_gap else "-"
    return f"{value:,}"


def _share(coverage: Coverage, count: int) -> str:
    share = coverage.share(count)
    return "-" if share is None else f"{count:,} of {coverage.reachable:,}  {share:7.2%}"


def _lag(lag: LagSpread) -> str:
    days = [span / timedelta(days=1) for span in (lag.least, lag.median, lag.greatest)]
    return "newest data minus time of attack, in days: minimum {:,.1f}, median {:,.1f}, maximum {:,.1f}".format(*days)
