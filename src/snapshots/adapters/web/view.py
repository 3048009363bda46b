"""Values of templates: sessions in words, times relative to now, filters as chips."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from markupsafe import Markup

from snapshots.adapters.html.formats import counted, visible
from snapshots.adapters.html.looks import Certainty, Look, badge
from snapshots.adapters.web.selection import Selection
from snapshots.app.queries.session_queries import SessionRow

SPANS = (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("1y", "1 year"))
"""Periods before now that a page offers."""

SHORT = 12
"""Characters of a hash that are shown; filters accept them."""


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


def type_badge(ip_type: str | None, method: str | None, by: str | None) -> Markup:
    """Return the badge of a type with its certainty."""
    return badge(Look.of(ip_type, Certainty.of(method, by_network=by == "network")))


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a time is, such as "5 min ago"; "" for a time in the future or none."""
    if moment is None or moment > now:
        return ""
    passed = now - moment
    for unit, word in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if passed >= unit:
            return f"{passed // unit} {word} ago"
    return "just now"


def distance(moment: datetime, other: datetime) -> str:
    """Return the whole days from one time to another, such as "11 days before"."""
    days = (other - moment) // timedelta(days=1) if moment <= other else (moment - other) // timedelta(days=1)
    words = "less than a day" if not days else counted(days, "day")
    return f"{words} {'before' if moment <= other else 'after'}"


def short(text: str) -> str:
    """Return the beginning of a hash, which filters accept."""
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"


def shown(text: str, longest: int = 200) -> str:
    """Return text of an attacker without invisible characters, cut to a length."""
    return visible(text, longest)
