"""Values of templates: sessions in words, times relative to now, filters as chips."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from markupsafe import Markup

from snapshots.adapters.html.formats import counted, share, visible
from snapshots.adapters.html.looks import LABELS, Certainty, Look, badge
from snapshots.adapters.web.selection import Selection
from snapshots.app.queries.reports import FIELD_NAMES, Explanation
from snapshots.app.queries.session_queries import SessionRow
from snapshots.domain.facts.fact_kind import FactKind
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.snapshot.coverage import Coverage

SPANS = (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("1y", "1 year"))
"""Periods before now that a page offers."""

YEAR = timedelta(days=365)

LONGEST_NAME = 24
"""Characters of a user name in a headline."""

SHORT = 12
"""Characters of a hash that are shown; filters accept them."""


KINDS: Mapping[str, str] = {
    kind.value: f"IP type: {LABELS[kind.value]}" if kind.ip_type else FIELD_NAMES[kind.value.lower()]
    for kind in FactKind
}
"""Names of the kinds of facts."""


class Chip(NamedTuple):
    """A filter of the address line, and the link that removes it."""

    words: str
    remove: str


class Choice(NamedTuple):
    """A link among several, one of which is the current page."""

    words: str
    target: str
    is_current: bool


def chips(selection: Selection) -> Sequence[Chip]:
    """Return the filters of the address line."""
    return [
        Chip(f"{name.replace('-', ' ')} {value}", selection.without_filter(name, value))
        for name, value in selection.pairs
    ]


def empty(selection: Selection) -> Markup:
    """Return what to do if no session matches: the filters that can be removed; "" without any."""
    removals = [Markup('<a href="{}">{}</a>').format(chip.remove, visible(chip.words, 80)) for chip in chips(selection)]
    if not removals:
        return Markup("")
    words = Markup("No sessions match. Remove {}").format(Markup(" or ").join(removals))
    if selection.path != "/" or selection.asks_for_all:
        return words + "?"
    other, target = (
        ("the newest week", selection.newest) if selection.period else ("all times", selection.of_period(None))
    )
    return words + Markup(', or look at <a href="{}">{}</a>?').format(target, other)


def spans(selection: Selection, *, begins_with_newest: bool) -> Sequence[Choice]:
    """
    Return the periods that a page offers.

    Args:
        selection: The sessions of the page.
        begins_with_newest: Whether its default is the newest week, and not all times.
    """
    given = dict(selection.pairs)
    has_period = bool(given.keys() & {"since", "until"})
    own = given.get("since") if "until" not in given else None
    is_all = not has_period and (selection.asks_for_all or not begins_with_newest)
    newest = [Choice("Newest week", selection.newest, not has_period and not is_all)] if begins_with_newest else []
    before = [Choice(words, selection.of_period(text), own == text) for text, words in SPANS]
    return [*newest, *before, Choice("All", selection.of_period(None), is_all)]


def did(line: SessionRow) -> str:
    """Return what a session did, in words."""
    done = []
    if line.login_succeeded:
        done.append("logged in")
    elif line.logins:
        done.append(f"tried {counted(line.logins, 'login')}")
    if line.commands:
        done.append(f"typed {counted(line.commands, 'command')}")
    if line.downloads:
        done.append(f"fetched {counted(line.downloads, 'file')}")
    return ", ".join(done) or "connected only"


def sentence(explanation: Explanation, logins: Sequence[StoredLogin]) -> str:
    """Return what a session did, as a sentence such as "Logged in as root, typed 5 commands and left after 12 s"."""
    session = explanation.session
    names = [login.username for login in logins if login.successes]
    tries = session.login_attempts
    done = []
    if names:
        done.append(f"logged in as {visible(names[0], LONGEST_NAME) or 'a user without a name'}")
    elif tries:
        done.append(f"tried {counted(tries, 'login')}")
    for count, words, one in (
        (session.command_count, "typed", "command"),
        (session.file_downloads, "fetched", "file"),
        (session.file_uploads or 0, "sent", "file"),
        (session.forward_count, "asked for", "connection to another host"),
    ):
        if count:
            many = "connections to other hosts" if one.startswith("connection") else None
            done.append(f"{words} {counted(count, one, many)}")
    done = done or ["connected"]
    seconds = round((session.last_event_at - session.first_event_at).total_seconds())
    if seconds:
        done.append(f"left after {lasted(seconds)}")
    text = " and ".join([", ".join(done[:-1]), done[-1]] if len(done) > 1 else done)
    return f"{text[0].upper()}{text[1:]}."


def lasted(seconds: int) -> str:
    """Return a length of time in words, such as "12 seconds" or "3 minutes"."""
    if seconds < 120:
        return counted(seconds, "second")
    return counted(round(seconds / 60), "minute") if seconds < 7200 else counted(round(seconds / 3600), "hour")


def stated(coverage: Coverage) -> str:
    """Return the headline of the page of facts: how many sessions have each fact."""
    if not coverage.reachable:
        return "No session has an address that tables can know."
    nouns = (("asn", "a network"), ("country", "a country"), ("ip_type", "an IP type"))
    whole = [noun for fact, noun in nouns if coverage.by_field[fact] == coverage.reachable]
    others = [
        f"{share(coverage.by_field[fact], coverage.reachable)} {noun}"
        for fact, noun in nouns
        if coverage.by_field[fact] != coverage.reachable
    ]
    listed = f"{', '.join(whole[:-1])} and {whole[-1]}" if len(whole) > 1 else "".join(whole)
    all_have = [f"every session has {listed}"] if whole else []
    if not all_have:
        others[0] = others[0].replace(" a", " of the sessions have a", 1)
    text = ", ".join([*all_have, *others])
    return f"{text[0].upper()}{text[1:]}."


def doubts(explanation: Explanation) -> Sequence[str]:
    """Return which facts of a session were not used, and on which its sources disagree."""
    found = [
        f"AS{asn.asn} ({asn.source}) was not in use before {asn.in_use_since:%Y-%m-%d}, so it is not used."
        for asn in explanation.asns_left_out
    ]
    for fact, answers in explanation.disagreements.items():
        stated_by = ", ".join(f"{answer} ({source})" for source, answer in answers.items())
        found.append(f"Sources disagree on the {FIELD_NAMES[fact]}: {stated_by}.")
    found += [
        f"{LABELS[left.ip_type.value]}, which {left.source} states {left.distance / timedelta(days=1):,.1f} days"
        f" {'after' if left.is_after else 'before'} the attack, is not used: the limit is"
        f" {left.bound / timedelta(days=1):,.1f} days."
        for left in explanation.types_left_out
    ]
    return found


def type_badge(ip_type: str | None, method: str | None, by: str | None) -> Markup:
    """Return the badge of a type with its certainty."""
    return badge(Look.of(ip_type, Certainty.of(method, by_network=by == "network")))


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a time is, such as "5 min ago"; "" for a time in the future or none."""
    if moment is None or moment > now:
        return ""
    passed = now - moment
    if passed >= 2 * YEAR:
        return f"{passed // YEAR} y ago"
    for unit, word in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if passed >= unit:
            return f"{passed // unit} {word} ago"
    return "just now"


def days_since(moment: datetime, now: datetime) -> str:
    """Return the whole days from a time to now, such as "88 days"; "" for a time in the future."""
    return counted((now - moment) // timedelta(days=1), "day") if moment <= now else ""


def distance(moment: datetime, other: datetime) -> str:
    """Return the whole days from one time to another, such as "11 days before"."""
    days = (other - moment) // timedelta(days=1) if moment <= other else (moment - other) // timedelta(days=1)
    words = "less than a day" if not days else counted(days, "day")
    return f"{words} {'before' if moment <= other else 'after'}"


def short(text: str) -> str:
    """Return the beginning of a hash, which filters accept."""
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"
