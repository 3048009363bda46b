"""How one session got its data, as text for a terminal."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapshots.adapters.cli.output.sanitize import printable
from snapshots.app.queries.common_passwords import common_passwords
from snapshots.app.queries.explained import anonymizers_ruled_out
from snapshots.app.queries.reports import FIELD_NAMES, Explanation
from snapshots.app.queries.validity import AnonymizerList
from snapshots.app.wording import count_of
from snapshots.domain.address.source_ip import SightingKind
from snapshots.domain.facts.build_moment import moment_text
from snapshots.domain.facts.observation import IpFacts, labels_of
from snapshots.domain.session.behaviour import Behaviour, Trait
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.fact_methods import fact_methods
from snapshots.domain.snapshot.nearest_statements import TypeLeftOut
from snapshots.domain.snapshot.snapshot import IpSnapshot

SHOWN_COMMANDS = SHOWN_LOGINS = 10


def _behaviour_rows(behaviour: Behaviour) -> Iterator[tuple[str, Text]]:
    """Yield the known behavior of a session as rows."""
    client = [behaviour.first(trait) for trait in (Trait.PROTOCOL, Trait.CLIENT_VERSION, Trait.HASSH)]
    if any(client):
        yield "client", printable(", ".join(part for part in client if part), 300)
    if behaviour.username is not None or behaviour.login_succeeded is not None:
        secret = behaviour.password or _hash_text(behaviour.password_hash)
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
        yield "duration", Text(f"{behaviour.duration_ms / 1000:,.1f} s")


def _login_rows(explanation: Explanation) -> Iterator[tuple[str, Text]]:
    """Yield what a session with several login attempts tried, and how many attempts are not known."""
    total = explanation.session.login_attempts
    if total < 2:
        return
    for number, login in enumerate(explanation.logins[:SHOWN_LOGINS]):
        secret = login.password or common_passwords().get(login.password_hash or "") or _hash_text(login.password_hash)
        what = "all others" if login.is_others else f"{login.username or 'no user name'}, {secret}"
        won = f", {login.successes:,} succeeded" if login.successes else ""
        yield "" if number else "tried", printable(f"{what}: {count_of(login.attempts, 'attempt')}{won}", 400)
    if len(explanation.logins) > SHOWN_LOGINS:
        yield "", Text(f"and {len(explanation.logins) - SHOWN_LOGINS:,} more")
    missing = total - sum(login.attempts for login in explanation.logins)
    if missing > 0:
        yield "", Text(f"{count_of(missing, 'attempt')} without stored credentials")


def _hash_text(password_hash: str | None) -> str:
    return f"SHA-256 {password_hash}" if password_hash else "no password"


def show_explanation(console: Console, explanation: Explanation, lists: Sequence[AnonymizerList]) -> None:
    """
    Print the address and the snapshot of a session, and the observations that they come from.

    Args:
        console: Where to print.
        explanation: The session.
        lists: The lists of anonymizers before the attack.
    """
    session, snapshot = explanation.session, explanation.session.snapshot
    sighting = session.sighting
    rows: list[tuple[str, Text | str]] = [
        ("session", printable(session.session_id)),
        ("sensor", printable(session.sensor or "not known")),
        ("events", f"{session.event_count:,}, {_moment(session.first_event_at)} to {_moment(session.last_event_at)}"),
    ]
    rows += _behaviour_rows(session.behaviour)
    rows += _login_rows(explanation)
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
            *(("", Text(text)) for text in anonymizers_ruled_out(explanation, lists)),
            ("method", f"{snapshot.method.value}: facts {snapshot.method.explanation}"),
            ("sources", printable(" ".join(snapshot.builds), 250)),
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
    for observation in sorted(explanation.considered, key=lambda each: (each.source, each.observed_at)):
        when = "by then" if observation.observed_at <= seen_at else "after"
        labels = labels_of(observation.source, observation.observed_at)
        used = "; used" if snapshot is not None and not labels.isdisjoint(snapshot.source.split()) else ""
        source = f"{moment_text(observation.observed_at)} {observation.source}"
        console.print(f"  {source}: {facts_text(observation.facts)} ({when}{used})")
    if snapshot is not None:
        known = explanation.known_then
        stored = "nothing about this address" if known is None else _snapshot_text(known)
        console.print(f"  already stored in this database when the attack happened: {stored}")
    for text in _doubts(explanation):
        console.print(Text("  ") + printable(text, 400), soft_wrap=True)


def _doubts(explanation: Explanation) -> Iterator[str]:
    """Yield which facts were not used, and on which facts sources disagree."""
    for asn in explanation.asns_left_out:
        yield f"AS{asn.asn} ({asn.source}) was not in use before {asn.in_use_since:%Y-%m-%d}, so it is not used"
    for fact, answers in explanation.disagreements.items():
        stated = ", ".join(f"{answer} ({source})" for source, answer in answers.items())
        yield f"sources disagree on the {FIELD_NAMES[fact]}: {stated}"
    for left_out in explanation.types_left_out:
        yield _left_out_text(left_out)


def _fact(value: str, name: str, explanation: Explanation, more: Text | None = None) -> Text:
    """Return a fact with its source, the date of the source, and the distance to the attack."""
    if not value:
        return Text("not known")
    shown = Text(value) + (more or Text())
    source = explanation.stated.get(name)
    snapshot, sighting = explanation.session.snapshot, explanation.session.sighting
    if source is None or sighting is None or snapshot is None:
        return shown
    near = fact_methods(snapshot, sighting.seen_at).get(name)
    words = f"; {near.method.value}{', by network' if near.is_by_network else ''}" if near is not None else ""
    days = (source.stated_at - sighting.seen_at) / timedelta(days=1)
    when = f"{abs(days):,.1f} days {'after' if days > 0 else 'before'} the attack"
    return shown + Text("  (") + printable(source.name, 64) + Text(f", {moment_text(source.stated_at)}, {when}{words})")


def _left_out_text(left_out: TypeLeftOut) -> str:
    """Return why a type is not used, and which other types of the same observation are not used instead."""
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
    """Return facts as one line, such as "AS4134 CN DATACENTER"."""
    stated = (
        f"AS{facts.asn}" if facts.asn else "",
        facts.country or "",
        *sorted(kind.value for kind in facts.ip_types),
    )
    return " ".join(word for word in stated if word) or "no entry for the address"


def _moment(at: datetime) -> str:
    return f"{str(at)[:19]} UTC"  # strftime would write the year 1 as such
