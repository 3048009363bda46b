"""The sentences of the report: what happened, what is new, and how certain it is."""

from collections.abc import Sequence
from datetime import timedelta

from markupsafe import Markup, escape

from snapshots.adapters.html.formats import counted, day, duration, number, share, signed, visible
from snapshots.adapters.html.links import NO_LINKS, Links
from snapshots.app.queries.comparisons.changes import Change, Changes
from snapshots.app.queries.comparisons.periods import Period
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.inventory_reports import NOT_COMPARABLE, Drift, expired_text
from snapshots.app.queries.overview import Overview
from snapshots.app.queries.reports import FIELD_NAMES
from snapshots.app.queries.session_queries import EVERYTHING, Dimension

LONGEST_NAME = 40
CURRENT = timedelta(days=1)
"""Maximum time since the end of a period that is called the last one."""

NOTHING_TO_COMPARE = (
    "No session can be compared with today: no valid table is newer than both the attack and the tables that the"
    " snapshot was made from. To compare, import or refresh one (snapshots facts --help)."
)


def country_name(code: str) -> str:
    """Return the English name of a country; its code if there is none."""
    return COUNTRY_NAMES.get(code, (code,))[0]


def linked(text: str, target: str | None) -> Markup:
    """Return text, as a link if it has a target."""
    return escape(text) if target is None else Markup('<a href="{}">{}</a>').format(target, text)


def headline(overview: Overview, links: Links = NO_LINKS) -> Markup:
    """Return the first sentence: sessions, networks, countries and time; its numbers are links."""
    report = overview.report
    total = report.coverage.sessions.total
    if not total:
        return escape("No sessions match" if overview.session_filter != EVERYTHING else "No sessions are stored yet")
    countries = sum(each.code is not None for each in overview.countries)
    when = ""
    if report.first_event_at is not None and report.last_event_at is not None:
        first, last = day(report.first_event_at), day(report.last_event_at)
        when = f", {first}" if first == last else f", {first} to {last}"
    target = links.sessions()
    return Markup("{} from {} in {}{}").format(
        linked(counted(total, "session"), target),
        linked(counted(overview.spread.groups, "network"), "#networks" if target else None),
        linked(counted(countries, "country", "countries"), "#countries" if target else None),
        when,
    )


def sentences(overview: Overview, links: Links = NO_LINKS) -> Sequence[str]:
    """Return the sentences below the headline; networks in them are links."""
    if not overview.report.coverage.sessions.total:
        return []
    newest = [_newest(overview, overview.period, links)] if overview.period is not None else []
    return [*newest, _certainty(overview)]


def _newest(overview: Overview, period: Period, links: Links) -> Markup:
    length = period_length(period)
    change = period.sessions - period.sessions_before
    if not period.sessions_before:
        compared = f"none in the {length} before"
    elif not change:
        compared = f"as many as in the {length} before"
    else:
        compared = f"{number(abs(change))} {'more' if change > 0 else 'fewer'} than in the {length} before"
    if period.empty_until is not None:
        compared += f", which had none until {str(period.empty_until)[:16]}"
    if overview.session_filter.since is not None:  # the headline has the number
        found = escape(f"That is {compared}." if period.sessions_before else f"The {length} before had none.")
    else:
        name = period_name(overview, period)
        sessions = linked(counted(period.sessions, "session"), links.period(period.since, period.until))
        found = Markup("The {} had {}, {}.").format(name, sessions, compared)
    networks = period.changes[Dimension.ASN]
    if period.sessions_before:
        found += _listed(networks.appeared, links)
        found += _largest("Largest growth", networks.grown, links)
        found += _largest("Largest fall", [*networks.fallen, *networks.disappeared], links)
    return found


def _listed(changes: Sequence[Change], links: Links) -> Markup:
    if not changes:
        return Markup("")
    more = Markup("")
    if len(changes) > 1:
        others = counted(len(changes) - 1, "more network")
        more = Markup(" and {}").format(linked(others, "#new" if links.sessions() else None))
    return Markup(" New: {}{}.").format(_network(changes[0], links), more)


def _largest(word: str, changes: Sequence[Change], links: Links) -> Markup:
    if not changes:
        return Markup("")
    return Markup(" {}: {}.").format(word, _network(max(changes, key=lambda each: abs(each.by)), links))


def _network(change: Change, links: Links) -> Markup:
    name = f"AS{change.value} {visible(change.name, LONGEST_NAME)}".strip()
    target = links.network(change.value) if change.value is not None else None
    return Markup("{} ({})").format(linked(name, target), signed(change.by))


def period_name(overview: Overview, period: Period) -> str:
    """Return the name of the newest period: "last 7 days" if it ends now, "newest 7 days" if the data ends before."""
    if overview.session_filter.until is not None:
        return f"{period_length(period)} selected"
    is_current = overview.made_at - period.until < CURRENT
    return f"{'last' if is_current else 'newest'} {period_length(period)}"


def period_length(period: Period) -> str:
    """Return the length of the newest period, such as "7 days"."""
    return duration(period.until - period.since)


def news(period: Period) -> Sequence[str]:
    """Return which countries and types appeared or disappeared."""
    found = []
    for key, noun, name_of in (
        (Dimension.COUNTRY, "Countries", country_name),
        (Dimension.IP_TYPE, "IP types", str),
    ):
        changes: Changes = period.changes[key]
        for word, these in (("appeared", changes.appeared), ("disappeared", changes.disappeared)):
            if these:
                names = ", ".join(f"{name_of(str(each.value))} ({signed(each.by)})" for each in these[:10])
                more = f" and {len(these) - 10} more" if len(these) > 10 else ""
                found.append(f"{noun} that {word}: {names}{more}.")
    return found


def _certainty(overview: Overview) -> str:
    """Return which share of the facts is as of the attack."""
    coverage = overview.report.coverage.sessions
    nouns = {"asn": "network", "country": "country", "ip_type": "IP type"}
    known = ", ".join(
        f"{noun} for {share(coverage.by_field[fact], coverage.reachable)}" for fact, noun in nouns.items()
    )
    sentence = f"Known: {known} of the sessions."
    inferred = [
        f"the {noun} of {number(coverage.inferred[fact])}" for fact, noun in nouns.items() if coverage.inferred[fact]
    ]
    others = {fact: coverage.by_field[fact] - coverage.asof[fact] - coverage.inferred[fact] for fact in nouns}
    if any(others.values()):
        stated = ", ".join(f"the {noun} of {number(others[fact])}" for fact, noun in nouns.items() if others[fact])
        sentence += f" Corrected, or adopted from another loader: {stated} sessions."
    elif not inferred and coverage.sealed:
        sentence += " Everything known was published by the time of the attack."
    if not inferred:
        return sentence
    return (
        f"{sentence} Inferred from tables made after the attack: {', '.join(inferred)} sessions (hatched below). These"
        " may describe a later holder of the address."
    )


def concentration(overview: Overview) -> str:
    """Return how the sessions spread over the networks."""
    spread = overview.spread
    if spread.groups < 2:
        return ""
    largest = share(round(spread.first_share * spread.total), spread.total)
    return f"{number(spread.groups)} in all; the largest has {largest} of the sessions"


def drift(found: Drift) -> Sequence[str]:
    """Return what the newest tables state of the same addresses."""
    compared = [
        f"{FIELD_NAMES[fact]} of {number(found.changed[fact])} of {number(found.compared[fact])}"
        for fact in ("asn", "country", "ip_type")
        if found.compared[fact]
    ]
    expired = [f"{FIELD_NAMES[fact]}: {expired_text(count)}" for fact, count in found.expired.items() if count]
    if not compared:
        return [
            NOTHING_TO_COMPARE,
            *expired,
        ]
    tables = ", ".join(found.newest_tables)
    return [
        f"Compared with the newest tables ({tables}), the facts of some sessions differ: {', '.join(compared)}."
        if any(found.changed.values())
        else f"Compared with the newest tables ({tables}), no fact differs: {', '.join(compared)}.",
        NOT_COMPARABLE,
        *expired,
    ]
