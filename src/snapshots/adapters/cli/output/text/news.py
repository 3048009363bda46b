"""News as plain text, for a terminal and for a message."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from snapshots.adapters.cli.output.fitted_table import SHORT_HASH
from snapshots.adapters.cli.output.sanitize import printable
from snapshots.app.queries.comparisons.address_moves import AddressMove
from snapshots.app.queries.comparisons.changes import Change
from snapshots.app.queries.comparisons.news import Appeared, News, NewValue
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.session_queries import HASHES, Dimension
from snapshots.app.wording import count_of

LONGEST_NAME = 40
LONGEST_COMMAND = 60
CHANGES_LISTED = 5
"""Maximum number of networks and countries listed as grown or fallen."""

NOUNS = {
    Dimension.ASN: ("new network", "new networks"),
    Dimension.COUNTRY: ("new country", "new countries"),
    Dimension.IP_TYPE: ("new IP type", "new IP types"),
    Dimension.HASSH: ("new client fingerprint", "new client fingerprints"),
    Dimension.COMMANDS: ("new command signature", "new command signatures"),
    Dimension.SSH_KEY: ("new SSH key", "new SSH keys"),
    Dimension.DOWNLOAD: ("new file", "new files"),
}


def news_text(news: News, selection: str = "") -> str:
    """Return the news; *selection* describes the filter of the sessions, "" for all."""
    return "".join(f"{line}\n" for line in _lines(news, selection))


def news_title(news: News) -> str:
    """Return news that is not empty in one short line of ASCII."""
    counts = [count_of(each.count, *NOUNS[key]) for key, each in news.appeared.items() if each.count]
    moved = [f"{count_of(news.moved_count, 'address', 'addresses')} moved"] if news.moved_count else []
    return f"Honeypot: {', '.join([*counts, *moved])}"


def _lines(news: News, selection: str) -> Iterator[str]:
    if selection:
        yield f"Sessions: {printable(selection, 400)}"
    yield _summary(news)
    for key, appeared in news.appeared.items():
        yield from _appeared(key, appeared)
    if news.period is not None and news.period.sessions and news.period.sessions_before:
        for key in (Dimension.ASN, Dimension.COUNTRY):
            changes = news.period.changes[key]
            yield from _changes("Grew most", key, changes.grown)
            yield from _changes("Fell most", key, sorted([*changes.fallen, *changes.disappeared], key=_growth))
    yield from _moves(news)


def _summary(news: News) -> str:
    if news.period is None and news.newest is not None and news.newest >= news.since:
        return f"Sessions since {_time(news.since)}; no period of equal length precedes it."
    if news.period is None or not news.period.sessions:
        newest = f" The newest session is from {_time(news.newest)}." if news.newest is not None else ""
        return f"No sessions since {_time(news.since)}.{newest}"
    before, change = news.period.sessions_before, news.period.sessions - news.period.sessions_before
    compared = f"{abs(change):,} {'more' if change > 0 else 'fewer'} than the {before:,}" if change else "as many as"
    sessions = f"{count_of(news.period.sessions, 'session')} since {_time(news.since)}"
    first = news.period.empty_until
    began = f", which had none until {_time(first)}" if first is not None else ""
    return f"{sessions}, {compared if before else 'none'} in the period of the same length before{began}."


def _appeared(key: Dimension, appeared: Appeared) -> Iterator[str]:
    if not appeared.count:
        return
    yield ""
    title = count_of(appeared.count, *NOUNS[key])
    yield f"{title}:"
    for each in appeared.listed:
        yield f"  {_value(key, each)}"
    if (more := appeared.count - len(appeared.listed)) > 0:
        yield f"  and {more:,} more"


def _value(key: Dimension, new: NewValue) -> str:
    group = new.group
    since = f", first on {_time(group.first_seen)}" if group.first_seen is not None else ""
    typed = f": {'; '.join(str(printable(each, LONGEST_COMMAND)) for each in new.commands)}" if new.commands else ""
    return f"{_named(key, group.values[0] or '', group.name)}  {count_of(group.sessions, 'session')}{since}{typed}"


def _named(key: Dimension, value: str, name: str | None) -> str:
    if key is Dimension.ASN:
        return f"AS{value} {printable(name or '', LONGEST_NAME)}".strip()
    if key is Dimension.COUNTRY:
        return f"{value} {COUNTRY_NAMES[value][0]}" if value in COUNTRY_NAMES else str(printable(value))
    return str(printable(value[:SHORT_HASH] if key in HASHES else value))


def _changes(title: str, key: Dimension, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        return
    yield ""
    yield f"{title}, by {'network' if key is Dimension.ASN else 'country'}:"
    for each in changes[:CHANGES_LISTED]:
        yield f"  {_named(key, each.value or '', each.name)}  {each.sessions:,} after {each.before:,} ({each.by:+,})"


def _growth(change: Change) -> int:
    return change.by


def _moves(news: News) -> Iterator[str]:
    if not news.moved_count:
        return
    yield ""
    yield f"{count_of(news.moved_count, 'address', 'addresses')} changed networks between two attacks:"
    for each in news.moved:
        yield f"  {_move(each)}"
    if (more := news.moved_count - len(news.moved)) > 0:
        yield f"  and {more:,} more"


def _move(move: AddressMove) -> str:
    before = _attack_from(move.before, move.before_name, move.before_method, move.before_at)
    return f"{printable(move.address)}  {before} -> {_attack_from(move.asn, move.name, move.method, move.at)}"


def _attack_from(asn: int, name: str | None, method: str | None, at: datetime) -> str:
    return f"{_named(Dimension.ASN, str(asn), name)} ({method}, {_time(at)})"


def _time(at: datetime) -> str:
    return str(at)[:16]  # strftime would write the year 1 as such
