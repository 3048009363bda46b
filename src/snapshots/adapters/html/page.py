"""Render an overview as a self-contained HTML page."""

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

from snapshots.app.queries.inventory_reports import NOT_COMPARABLE, expired_text
from snapshots.app.queries.overview import LARGEST_TIMELINE, Overview
from snapshots.app.queries.reports import FIELD_NAMES, impossible_clocks_text, methods_text, nearness_lines
from snapshots.app.queries.session_queries import Group, TimeBucket
from snapshots.domain.facts.ip_type import IpType

HERE = resources.files("snapshots.adapters.html")
NOT_KNOWN = "not known"
TYPES = [*(kind.value for kind in IpType), NOT_KNOWN]

MAX_TEXT_CHARACTERS = 120


def page_of(overview: Overview, *, version: str) -> str:
    """
    Return the page with style, charts and chart library inline: a browser makes no request to show it.

    Input of attackers is shown as text: the template escapes it, the JSON of the charts contains no HTML characters,
    and the content security policy allows only the two scripts that it names by hash.

    Args:
        overview: The data of the page.
        version: Version of this program, shown in the footer.
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
    environment.filters |= {
        "number": _number,
        "share": _share,
        "moment": _moment,
        "cut": _cut,
        "days": _days,
        "expired": expired_text,
    }
    return environment.get_template("page.html").render(
        policy=policy,
        style=Markup(style),  # noqa: S704 - our own files
        library=Markup(library),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704 - our own files
        charts=_safe_json(charts_of(overview)),
        overview=overview,
        report=overview.report,
        nearness=nearness_lines(overview.report.coverage.sessions),
        methods={fact: methods_text(overview.report.coverage.sessions, fact) for fact in FIELD_NAMES},
        names=FIELD_NAMES,
        not_comparable=NOT_COMPARABLE,
        clocks=impossible_clocks_text(overview.report),
        version=version,
        not_known=NOT_KNOWN,
    )


def charts_of(overview: Overview) -> dict[str, Any]:
    """Return the data of all charts."""
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
    """Return the starts of all time buckets in order, and for each IP type the number of sessions in each bucket."""
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for group in groups:
        at, kind = group.values
        counts[kind or NOT_KNOWN][at or ""] = group.sessions
    begun = {at for of_kind in counts.values() for at in of_kind}
    labels = list(islice(_every(span, begun), LARGEST_TIMELINE + 1))
    if len(labels) > LARGEST_TIMELINE:  # a clock of another millennium: show only buckets with sessions
        labels = sorted(begun)
    known = [kind for kind in TYPES if kind in counts] + sorted(set(counts) - set(TYPES))
    return {"labels": labels, "types": {kind: [counts[kind].get(at, 0) for at in labels] for kind in known}}


def _every(span: TimeBucket, begun: Collection[str]) -> Iterator[str]:
    """Yield the starts of all buckets from the first to the last, including empty ones."""
    if not begun:
        return
    at, last = (datetime.fromisoformat(text) for text in (min(begun), max(begun)))
    while True:
        yield f"{at:%Y-%m-%d %H:%M}" if span is TimeBucket.HOUR else f"{at:%Y-%m-%d}"
        if at >= last:  # `following` could exceed the year 9999
            return
        at = span.following(at)


def _bars(tallies: Sequence[Any]) -> dict[str, Any]:
    return {
        "labels": [tally.value or NOT_KNOWN for tally in tallies],
        **_split(tallies),
    }


def _split(tallies: Sequence[Any]) -> dict[str, Any]:
    """Return the sessions of each bar, and how many of them have a snapshot as of the attack."""
    return {"values": [tally.sessions for tally in tallies], "asof": [tally.asof or 0 for tally in tallies]}


def _network(asn: str | None, name: str | None) -> str:
    return f"AS{asn} {_cut(name or '', 28)}".strip() if asn is not None else NOT_KNOWN


def _text(name: str) -> str:
    return HERE.joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def _safe_json(document: Mapping[str, Any]) -> Markup:
    """Return JSON without characters that have a meaning in HTML."""
    text = json.dumps(document)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - without any character that means something in HTML


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f}%"


def _moment(value: datetime | None) -> str:
    return "-" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _days(value: Any) -> str:
    return f"{value.total_seconds() / 86_400:,.1f}"


def _cut(text: str | None, longest: int = MAX_TEXT_CHARACTERS) -> str:
    """Return a truncated text with invisible characters as escape sequences."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in (text or "")[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
