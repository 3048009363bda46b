"""Answers as tables for a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapshots.adapters.cli.output.sanitize import count_of, printable
from snapshots.app.admin.adoption import AdoptionPlan, Lock
from snapshots.app.queries.reports import (
    FIELD_NAMES,
    CoverageReport,
    Explanation,
    Inspection,
    LagSpread,
    Report,
    ValueCount,
    impossible_clocks_text,
    methods_text,
)
from snapshots.domain.address.source_ip import SightingKind
from snapshots.domain.facts.observation import IpFacts, label_of
from snapshots.domain.session.behaviour import Behaviour, Trait
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import TypeLeftOut
from snapshots.domain.snapshot.coverage import Coverage
from snapshots.domain.snapshot.snapshot import IpSnapshot

BAR = 12


def show_report(console: Console, report: Report) -> None:
    """Print who attacked."""
    if not report.coverage.sessions.total:
        console.print("No session is stored yet. `snapshots load PATH` loads Cowrie logs.")
        _show_dead_letters(console, report)
        return
    console.print(
        f"{count_of(report.coverage.sessions.total, 'session')} from "
        f"{count_of(report.coverage.addresses.total, 'address', 'addresses')}, "
        f"{_day(report.first_event_at)} to {_day(report.last_event_at)}: "
        f"{count_of(report.events, 'event')}, {count_of(report.logins, 'login')}, "
        f"{count_of(report.commands, 'command')}, {count_of(report.downloads, 'download')}."
    )
    if note := impossible_clocks_text(report):
        console.print(note)
    console.print(f"Networks, countries and types {methods_text(report.coverage.sessions)}.")
    total = report.coverage.sessions.total
    networks = [
        (Text(f"AS{t.value}" if t.value else "not known") + "  " + printable(t.name or "", 40), t)
        for t in report.networks
    ]
    _table(console, "Network", networks, total)
    _table(console, "Country", _labelled(report.countries), total)
    _table(console, "IP type", _labelled(report.types), total)
    _table(console, "Last days (UTC)", _labelled(report.days), total)
    show_coverage(console, report.coverage)
    _show_dead_letters(console, report)
    console.print("\nSources of facts:")
    for source in report.sources:
        console.print(Text("  ") + printable(f"{source.label}: {source.licence}", 160))


def _day(at: datetime | None) -> str:
    return "unknown" if at is None else f"{at:%Y-%m-%d}"


def _show_dead_letters(console: Console, report: Report) -> None:
    if report.dead_letters:
        found = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.dead_letters.items()))
        console.print(f"Lines that are no events, in the table dead_letters: {found}.")


def show_coverage(console: Console, report: CoverageReport) -> None:
    """Print how many sessions and addresses carry a snapshot, and why the others do not."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("Coverage", "sessions", "as of", "inferred", "addresses"):
        table.add_column(title, justify="left" if title == "Coverage" else "right")
    sessions, addresses = report.sessions, report.addresses
    for name, count in sessions.by_field.items():
        among = addresses.by_field[name]
        apart = (f"{counts[name]:,}" for counts in (sessions.asof, sessions.inferred))
        table.add_row(FIELD_NAMES[name], _share(sessions, count), *apart, _share(addresses, among))
    console.print()
    console.print(table)
    console.print("Sessions from private, shared or reserved addresses are left out of the shares.", style="dim")
    console.print("An address counts only if all of its sessions do.", style="dim")
    for method, count in sessions.by_method.items():
        console.print(f"  {method.value}: {count_of(count, 'session')} with facts {method.explanation}")
    for source, count in report.by_source.items():
        console.print(Text(f"  {count_of(count, 'session')} of ") + printable(source, 120))
    if report.lag is not None:
        console.print(f"  {_lag(report.lag)}")
    for gap, count in sorted(sessions.by_gap.items(), key=lambda item: -item[1]):
        if gap is not None:
            console.print(f"  without a snapshot, {gap.value}: {count_of(count, 'session')}. {gap.explanation}")


def show_inspection(console: Console, inspection: Inspection) -> None:
    """Print whether every invariant holds, and which does not."""
    console.print()
    if inspection.adopted:
        adopted = count_of(inspection.adopted, "session")
        console.print(f"Another loader wrote {adopted} of them: without a seal, a change of theirs cannot be seen.")
    if inspection.put_back:
        times = count_of(inspection.put_back, "time")
        console.print(f"The guard put back {times} a value that another loader wrote into a sealed session.")
    part = f" of {inspection.of:,}" if inspection.unseen_share else ""
    if not inspection.violation_count:
        guard = "whether the guard holds was not checked" if inspection.not_checked else "the guard holds"
        console.print(
            f"{count_of(inspection.sealed, 'sealed session')}{part} looked at, none changed without audit, {guard}; "
            f"{count_of(inspection.corrections, 'correction')} on record."
        )
        if part:
            share = f"{inspection.unseen_share:.4%}"
            console.print(f"So at most {share} of all may be changed, at 95 % confidence; --full looks at every one.")
        return
    if part:
        console.print(f"{count_of(inspection.sealed, 'sealed session')}{part} looked at.")
    console.print(f"{count_of(inspection.violation_count, 'violation')} found:")
    for violation in inspection.violations:
        console.print(Text("  ") + printable(violation.where) + f"  {violation.invariant.broken}")
    if inspection.violation_count > len(inspection.violations):
        console.print(f"  and {inspection.violation_count - len(inspection.violations):,} more")


def show_plan(console: Console, plan: AdoptionPlan, *, is_done: bool) -> None:
    """Print what adopting a database does to it, or did."""
    console.print(f"Found: {plan.found}, {count_of(plan.sessions, 'session')}.")
    for step in plan.steps:
        size = f", over {step.bytes:,} bytes" if step.bytes else ""
        lock = "" if step.lock is Lock.NONE else f"; locks {step.lock.value}"
        console.print(f"  {step.table}: {step.what}{size}{lock}", soft_wrap=True)
    for note in plan.notes:
        console.print(f"Note: {note}.", soft_wrap=True)
    if not plan.steps:
        console.print("Nothing is left to do.")
    else:
        console.print("Done." if is_done else "Nothing was changed: this was a dry run.")


def show_correction(console: Console, before: IpSnapshot | None, after: IpSnapshot) -> None:
    """Print what a correction changed."""
    for (name, was), (_, now) in zip(_named_facts(before), _named_facts(after), strict=True):
        if was != now:
            console.print(f"{name}: {was or 'not known'} -> {now}")
    console.print(f"source: {before.source if before else 'another loader'} -> {after.source}")


def _named_facts(snapshot: IpSnapshot | None) -> list[tuple[str, int | str | None]]:
    if snapshot is None:
        return [("ASN", None), ("country", None), ("IP type", None)]
    ip_type = snapshot.ip_type.value if snapshot.ip_type else None
    return [("ASN", snapshot.asn), ("country", snapshot.country), ("IP type", ip_type)]


SHOWN_COMMANDS = 10


def _behaviour_rows(behaviour: Behaviour) -> Iterator[tuple[str, Text]]:
    """Yield what a session's events said, as far as they said anything."""
    client = [behaviour.first(trait) for trait in (Trait.PROTOCOL, Trait.CLIENT_VERSION, Trait.HASSH)]
    if any(client):
        yield "client", printable(", ".join(part for part in client if part), 300)
    if behaviour.username is not None or behaviour.login_succeeded is not None:
        secret = behaviour.password or (
            f"SHA-256 {behaviour.password_hash}" if behaviour.password_hash else "no password"
        )
        outcome = "one login succeeded" if behaviour.login_succeeded else "no login succeeded"
        yield "tried first", printable(f"{behaviour.username or 'no user name'}, {secret}; {outcome}", 400)
    commands = behaviour.texts(Trait.COMMAND)
    for number, text in enumerate(commands[:SHOWN_COMMANDS]):
        yield "" if number else "commands", printable(text, 300)
    if len(commands) > SHOWN_COMMANDS:
        yield "", Text(f"and {len(commands) - SHOWN_COMMANDS} more")
    if behaviour.command_signature is not None:
        yield "signature", Text(behaviour.command_signature)
    for name, trait in (("SSH key", Trait.KEY), ("download", Trait.DOWNLOAD), ("URL", Trait.URL)):
        for number, text in enumerate(behaviour.texts(trait)):
            yield "" if number else name, printable(text, 300)
    if behaviour.duration_ms is not None:
        yield "lasted", Text(f"{behaviour.duration_ms / 1000:,.1f} s")


def show_explanation(console: Console, explanation: Explanation) -> None:
    """Print what led to what a session holds."""
    session, snapshot = explanation.session, explanation.session.snapshot
    sighting = session.sighting
    rows: list[tuple[str, Text | str]] = [
        ("session", printable(session.session_id)),
        ("sensor", printable(session.sensor or "not known")),
        ("events", f"{session.event_count:,}, {_moment(session.first_event_at)} to {_moment(session.last_event_at)}"),
    ]
    rows += _behaviour_rows(session.behaviour)
    if explanation.namesakes:
        rows.append(("same id", printable(", ".join(explanation.namesakes), 300)))
    if sighting is None:
        rows.append(("source IP", "none"))
    else:
        rows.append(
            (
                "source IP",
                f"{sighting.address.text}, seen {_moment(sighting.seen_at)} by {_seen_by(session)}",
            )
        )
    if snapshot is not None:
        organization = printable(f" {explanation.organization}" if explanation.organization else "", 60)
        rows += [
            ("ASN", _fact(str(snapshot.asn or ""), "asn", explanation, organization)),
            ("country", _fact(snapshot.country or "", "country", explanation)),
            ("IP type", _fact(snapshot.ip_type.value if snapshot.ip_type else "", "ip_type", explanation)),
            ("method", f"{snapshot.method.value}: facts {snapshot.method.explanation}"),
            ("sources", printable(snapshot.source, 200)),
            ("newest table", f"{_moment(snapshot.enrichment_at)}, even if it has no entry for the address"),
            ("sealed by run", str(explanation.run)),
        ]
    elif session.gap is not None:
        rows.append(("no snapshot", f"{session.gap.value}: {session.gap.explanation}"))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), value)
    console.print(table)
    seen_at = sighting.seen_at if sighting is not None else session.first_event_at
    for said in sorted(explanation.considered, key=lambda said: (said.source, said.observed_at)):
        when = "by then" if said.observed_at <= seen_at else "after"
        label = label_of(said.source, said.observed_at)
        taken = "; taken" if snapshot is not None and label in snapshot.source.split() else ""
        console.print(f"  {said.observed_at:%Y-%m-%d} {said.source}: {facts_text(said.facts)} ({when}{taken})")
    if snapshot is not None:
        known = explanation.known_then
        console.print(f"  learned here by then: {'nothing' if known is None else _snapshot_text(known)}")
    for left_out in explanation.types_left_out:
        console.print(f"  {_left_out_text(left_out)}", soft_wrap=True)


def _fact(value: str, name: str, explanation: Explanation, more: Text | None = None) -> Text:
    """Return a fact with its source, the date of the source, and the distance to the attack."""
    if not value:
        return Text("not known")
    shown = Text(value) + (more or Text())
    source = explanation.stated.get(name)
    sighting = explanation.session.sighting
    if source is None or sighting is None:
        return shown
    days = (source.stated_at - sighting.seen_at) / timedelta(days=1)
    when = f"{abs(days):,.1f} days {'after' if days > 0 else 'before'} the attack"
    return shown + Text("  (") + printable(source.name, 64) + Text(f", {source.stated_at:%Y-%m-%d}, {when})")


def _left_out_text(left_out: TypeLeftOut) -> str:
    """Return why a type is not used, and which types of the same statement are not used instead."""
    kind = left_out.ip_type.value
    days, most = _days_that_differ(left_out.distance, left_out.bound)
    if left_out.is_after:
        text = f"{kind} was stated {days} days after the attack; the limit is {most}"
    else:
        text = f"{kind} was {days} days old at the time of the attack; the limit is {most}"
    others = " and ".join(other.value for other in left_out.others)
    return f"{text}; {others}, stated with it, is not used instead" if others else text


def _days_that_differ(distance: timedelta, bound: timedelta) -> tuple[str, str]:
    """Return a distance and the limit that it exceeds in days, with enough digits to differ."""
    days, most = distance / timedelta(days=1), bound / timedelta(days=1)
    for digits in range(3):
        if (shown := f"{days:,.{digits}f}") != f"{most:,.{digits}f}":
            return shown, f"{most:,.{digits}f}"
    return f"more than {most:,.2f}", f"{most:,.2f}"


def _seen_by(session: SessionSummary) -> str:
    """Return which kind of event the address comes from, and which kinds were not read."""
    if session.connect_was_seen:
        return "its connect"
    when = "read before it was sealed" if session.is_sealed else "read so far"
    if session.sighting is not None and session.sighting.kind is SightingKind.FORWARD:
        return f"a forwarded connection; nothing else {when}"
    return f"another event; no connect {when}"


def _snapshot_text(snapshot: IpSnapshot) -> str:
    types = frozenset({snapshot.ip_type} if snapshot.ip_type is not None else ())
    return facts_text(IpFacts(asn=snapshot.asn, country=snapshot.country, ip_types=types))


def facts_text(facts: IpFacts) -> str:
    """Return facts in a few words."""
    stated = (
        f"AS{facts.asn}" if facts.asn else "",
        facts.country or "",
        *sorted(kind.value for kind in facts.ip_types),
    )
    return " ".join(word for word in stated if word) or "does not know the address"


def _labelled(tallies: Iterable[ValueCount]) -> list[tuple[Text, ValueCount]]:
    return [(printable(tally.value or "not known"), tally) for tally in tallies]


def _table(console: Console, title: str, rows: Sequence[tuple[Text, ValueCount]], total: int) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, min_width=28)
    for column in ("sessions", "as of", "inferred", "addresses"):
        table.add_column(column, justify="right")
    table.add_column("")
    for label, tally in rows:
        bar = "█" * round(BAR * tally.sessions / total) if total else ""
        numbers = (tally.sessions, tally.asof, tally.inferred, tally.addresses)
        counts = ("-" if number is None else f"{number:,}" for number in numbers)
        table.add_row(label, *counts, Text(bar or "▏", style="cyan"))
    console.print()
    console.print(table)


def _share(coverage: Coverage, count: int) -> str:
    share = coverage.share(count)
    return "-" if share is None else f"{count:,} of {coverage.reachable:,}  {share:7.2%}"


def _lag(lag: LagSpread) -> str:
    days = [span / timedelta(days=1) for span in (lag.least, lag.median, lag.greatest)]
    return "newest data minus time of attack, in days: minimum {:,.1f}, median {:,.1f}, maximum {:,.1f}".format(*days)


def _moment(at: datetime) -> str:
    return f"{str(at)[:19]} UTC"  # strftime would write the year 1 as such
