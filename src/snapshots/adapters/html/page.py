"""The overview as one page that needs nothing else."""

import base64
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from importlib import resources
from itertools import islice
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from snapshots.app.queries.inventory_reports import NOT_COMPARABLE
from snapshots.app.queries.overview import LARGEST_TIMELINE, Overview
from snapshots.app.queries.reports import FIELD_NAMES, impossible_clocks_text, methods_text
from snapshots.app.queries.session_queries import Group, TimeBucket
from snapshots.domain.facts.ip_type import IpType

HERE = resources.files("snapshots.adapters.html")
NOT_KNOWN = "not known"
TYPES = [*(kind.value for kind in IpType), NOT_KNOWN]

LONGEST_TEXT = 120
"""Characters of a text that are shown at most."""


def page_of(overview: Overview, *, version: str) -> str:
    """
    Return the page: text, style, charts and their library in one, for which no browser asks anybody anything.

    What attackers typed is text: the template escapes it, the data for the charts cannot end their element, and
    the page's own policy lets no other script run than the two that it names by their hashes.

    Args:
        overview: What it says.
        version: Of the program that made it.
    """
    style, library, script = (_text(name) for name in ("page.css", "vendor/chart.umd.min.js", "page.js"))
    scripts = " ".join(f"'sha256-{_digest(text)}'" for text in (library, script))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src 'sha256-{_digest(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    environment = Environment(loader=FileSystemLoader(str(HERE)), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"number": _number, "share": _share, "moment": _moment, "cut": _cut, "days": _days}
    return environment.get_template("page.html").render(
        policy=policy,
        style=Markup(style),  # noqa: S704 - our own files
        library=Markup(library),  # noqa: S704 - likewise
        script=Markup(script),  # noqa: S704 - likewise
        charts=_safe_json(charts_of(overview)),
        overview=overview,
        report=overview.report,
        methods={fact: methods_text(overview.report.coverage.sessions, fact) for fact in FIELD_NAMES},
        names=FIELD_NAMES,
        not_comparable=NOT_COMPARABLE,
        clocks=impossible_clocks_text(overview.report),
        version=version,
        not_known=NOT_KNOWN,
    )


def charts_of(overview: Overview) -> dict[str, Any]:
    """Return what the charts show."""
    report = overview.report
    return {
        "timeline": timeline_of(overview.timeline, overview.span),
        "countries": _bars(report.countries),
        "networks": {
            "labels": [_network(tally.value, tally.name) for tally in report.networks],
            **_split(report.networks),
        },
        "types": _bars(report.types),
    }


def timeline_of(groups: Sequence[Group], span: TimeBucket) -> dict[str, Any]:
    """Return the beginnings of all spans in order, and for each type that occurs how many sessions began in each."""
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for group in groups:
        at, kind = group.values
        counts[kind or NOT_KNOWN][at or ""] = group.sessions
    begun = {at for of_kind in counts.values() for at in of_kind}
    labels = list(islice(_every(span, begun), LARGEST_TIMELINE + 1))
    if len(labels) > LARGEST_TIMELINE:  # an event of another millennium is there
        labels = sorted(begun)
    known = [kind for kind in TYPES if kind in counts] + sorted(set(counts) - set(TYPES))
    return {"labels": labels, "types": {kind: [counts[kind].get(at, 0) for at in labels] for kind in known}}


def _every(span: TimeBucket, begun: Collection[str]) -> Iterator[str]:
    """Yield the beginnings of spans from the first to the last, also of those in which nothing was."""
    if not begun:
        return
    at, last = (datetime.fromisoformat(text) for text in (min(begun), max(begun)))
    while True:
        yield f"{at:%Y-%m-%d %H:%M}" if span is TimeBucket.HOUR else f"{at:%Y-%m-%d}"
        if at >= last:  # there may be no time behind it
            return
        at = span.following(at)


def _bars(tallies: Sequence[Any]) -> dict[str, Any]:
    return {
        "labels": [tally.value or NOT_KNOWN for tally in tallies],
        **_split(tallies),
    }


def _split(tallies: Sequence[Any]) -> dict[str, Any]:
    """Return the sessions of each bar, and how many of them hold only facts of the time of the attack."""
    return {"values": [tally.sessions for tally in tallies], "asof": [tally.asof or 0 for tally in tallies]}


def _network(asn: str | None, name: str | None) -> str:
    return f"AS{asn} {_cut(name or '', 28)}".strip() if asn is not None else NOT_KNOWN


def _text(name: str) -> str:
    return HERE.joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def _safe_json(document: Mapping[str, Any]) -> Markup:
    """Return JSON that ends no element and begins no comment, whatever texts are in it."""
    text = json.dumps(document)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - without any character that means something in HTML


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def _moment(value: datetime | None) -> str:
    return "-" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _days(value: Any) -> str:
    return f"{value.total_seconds() / 86_400:,.1f}"


def _cut(text: str | None, longest: int = LONGEST_TEXT) -> str:
    """Return a text whose characters that show nothing are visible, cut."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in (text or "")[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
