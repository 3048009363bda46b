"""Render an overview as a self-contained HTML page."""

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from markupsafe import Markup

from snapshots.adapters.html import charts, formats, looks, sentences
from snapshots.adapters.html.environment import environment, text_of
from snapshots.adapters.html.links import NO_LINKS, Links
from snapshots.adapters.html.looks import Certainty, Look, Split
from snapshots.adapters.html.timeline import Column, Periods, columns_of, name_of, timeline
from snapshots.adapters.html.world_map import CountryOnMap, map_key, world
from snapshots.app.queries.comparisons.changes import Change
from snapshots.app.queries.comparisons.figures import Figures
from snapshots.app.queries.filters.filter_text import filter_text
from snapshots.app.queries.overview import CountryCount, NetworkCount, Overview
from snapshots.app.queries.reports import (
    FIELD_NAMES,
    builds_by_source,
    heaviest_text,
    impossible_clocks_text,
    nearness_lines,
)
from snapshots.app.queries.session_queries import Dimension, Group
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.coverage import Coverage

COUNTRIES_LISTED = 10
LONGEST_COURSE = 14
"""Maximum number of columns in the course of a network: the newest ones."""

LEGEND = (
    (
        Look.of(IpType.DATACENTER.value, Certainty.ASOF_ADDRESS),
        "Filled: known for the address at the time of the attack.",
    ),
    (
        Look.of(IpType.DATACENTER.value, Certainty.ASOF_NETWORK),
        "Outlined: known for its network at the time of the attack.",
    ),
    (
        Look.of(IpType.DATACENTER.value, Certainty.INFERRED_ADDRESS),
        "Hatched and dashed: inferred, because only a table made after the attack states it.",
    ),
    (
        Look.of(None, Certainty.UNKNOWN),
        "Gray: no table states it, or the statement was too old at the time of the attack.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """A network with its badge, its bar and its course."""

    network: NetworkCount
    main: Look
    bar: Markup
    course: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageRow:
    """A fact with its bar and its shares."""

    name: str
    bar: Markup
    known: str
    asof: str
    inferred: str


class ReportPage:
    """
    What the template shows, derived from an overview.

    Args:
        overview: The data.
        links: Where its components lead.
        map_file: Address of the file with the outlines of countries; None to draw them on the page.
    """

    def __init__(self, overview: Overview, links: Links, map_file: str | None = None) -> None:
        self._overview = overview
        self._links = links
        self._map_file = map_file
        self.headline = sentences.headline(overview, links)
        self.selection = filter_text(overview.session_filter)
        self.sentences = sentences.sentences(overview, links)
        self.concentration = sentences.concentration(overview)
        self.drift = sentences.drift(overview.drift)
        self.sources = builds_by_source(overview.report.sources)
        self.legend = LEGEND
        self.columns = _columns(overview)
        self.timeline_splits = [column.split for column in self.columns]
        self.has_break = any(column.follows_gap for column in self.columns)
        self.types = _split(overview.types)

    @property
    def timeline(self) -> Markup:
        """Return the chart over time, with the compared periods above it."""
        period, bucket = self._overview.period, self._overview.span
        if period is None or not period.sessions_before:
            return timeline(self.columns, bucket, link=self._links.period)
        return timeline(
            self.columns,
            bucket,
            link=self._links.period,
            periods=Periods(begins=period.since, before="before", newest=sentences.period_name(self._overview, period)),
        )

    @property
    def timeline_rows(self) -> Sequence[tuple[str, str, str | None]]:
        """Return the timeline in words, each column with its link."""
        bucket = self._overview.span
        return [
            (
                name_of(column.begins, bucket),
                looks.words_of(column.split),
                self._links.period(column.begins, bucket.following(column.begins)),
            )
            for column in self.columns
            if column.split
        ]

    @property
    def period_length(self) -> str:
        """Return the length of the newest period."""
        return sentences.period_length(self._overview.period) if self._overview.period is not None else ""

    @property
    def news(self) -> Sequence[str]:
        """Return which countries and types are new."""
        return sentences.news(self._overview.period) if self._overview.period is not None else []

    @property
    def new_behaviours(self) -> Sequence[tuple[Sequence[str], Change]]:
        """Return the listed campaigns that appeared in the newest period, with their commands."""
        if self._overview.period is None:
            return []
        commands = {
            seen.group.values[0]: [str(each.values[0]) for each in seen.commands] for seen in self._overview.campaigns
        }
        appeared = self._overview.period.changes[Dimension.COMMANDS].appeared
        return [(commands[change.value], change) for change in appeared if commands.get(change.value)][:5]

    @property
    def on_map(self) -> Sequence[CountryOnMap]:
        """Return the known countries."""
        return [
            CountryOnMap(
                code=each.code,
                name=sentences.country_name(each.code),
                sessions=each.sessions,
                inferred=each.inferred,
            )
            for each in self._overview.countries
            if each.code is not None
        ]

    @property
    def map(self) -> Markup:
        """Return the map."""
        return world(self.on_map, self._links, self._map_file)

    @property
    def map_key(self) -> Markup:
        """Return the key of the map."""
        return map_key(self.on_map)

    @property
    def countries(self) -> Sequence[CountryCount]:
        """Return the countries with most sessions."""
        return self._overview.countries[:COUNTRIES_LISTED]

    @property
    def country_count(self) -> int:
        """Return the number of countries."""
        return len(self.on_map)

    @property
    def networks(self) -> Sequence[NetworkRow]:
        """Return the networks with most sessions."""
        most = max((each.group.sessions for each in self._overview.networks), default=1)
        form = "%Y-%m-%d %H:%M" if self._overview.span is TimeBucket.HOUR else "%Y-%m-%d"
        begins = [column.begins.strftime(form) for column in self.columns if column.split][-LONGEST_COURSE:]
        return [self._network(each, most, begins) for each in self._overview.networks]

    def _network(self, network: NetworkCount, most: int, begins: Sequence[str]) -> NetworkRow:
        split = _split(network.types)
        label = f"sessions by {self._overview.span.value}"
        return NetworkRow(
            network=network,
            main=max(split, key=lambda each: each[1])[0] if split else Look.of(None, Certainty.UNKNOWN),
            bar=charts.bar(split, most),
            course=charts.spark([network.course.get(at, 0) for at in begins], label=label),
        )

    @property
    def coverage(self) -> Sequence[CoverageRow]:
        """Return how certain each fact is."""
        return coverage_rows(self._overview.report.coverage.sessions)

    @property
    def moves(self) -> Sequence[tuple[str, object]]:
        """Return the most frequent differences from the newest tables."""
        return [(FIELD_NAMES[fact], move) for fact, moves in self._overview.drift.moves.items() for move in moves]


def context_of(
    overview: Overview, links: Links, figures: Figures | None = None, map_file: str | None = None
) -> dict[str, Any]:
    """
    Return the variables of the template `overview.html`.

    Args:
        overview: The data.
        links: Where its components lead.
        figures: What the sessions did; None to show totals only.
        map_file: Address of the file with the outlines of countries; None to draw them on the page.
    """
    return {
        "overview": overview,
        "page": ReportPage(overview, links, map_file),
        "figures": figures,
        "country": Dimension.COUNTRY,
        "links": links,
        "asn": Dimension.ASN,
        "nearness": nearness_lines(overview.report.coverage.sessions),
        "heaviest": heaviest_text(overview.report.coverage),
        "clocks": impossible_clocks_text(overview.report),
    }


def page_of(overview: Overview, *, version: str) -> str:
    """
    Return the page with style, charts and script inline: a browser makes no request to show it.

    Text from attackers is shown as text: the templates escape it, and the content security policy allows only the
    script that it names by hash. Without scripts, only sorting is missing.

    Args:
        overview: The data of the page.
        version: Version of this program, shown in the footer.
    """
    style, script = (text_of(name) for name in ("style.css", "page.js"))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{_digest(script)}'",
            f"style-src 'sha256-{_digest(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return (
        environment()
        .get_template("report.html")
        .render(
            policy=policy,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            patterns=looks.patterns(),
            version=version,
            **context_of(overview, NO_LINKS),
        )
    )


def _split(groups: Sequence[Group]) -> Split:
    """Return groups by type, precision and method as a split."""
    return looks.split_of(
        (Look.of(ip_type, Certainty.of(method, by_network=by == "network")), group.sessions)
        for group in groups
        for ip_type, by, method in [group.values[-3:]]
    )


def _columns(overview: Overview) -> Sequence[Column]:
    by_bucket: defaultdict[str, list[Group]] = defaultdict(list)
    for group in overview.timeline:
        by_bucket[str(group.values[0])].append(group)
    splits: Mapping[datetime, Split] = {
        datetime.fromisoformat(begins).replace(tzinfo=UTC): _split(groups) for begins, groups in by_bucket.items()
    }
    asked, period = overview.session_filter, overview.period
    if asked.since is None or period is None:
        return columns_of(splits, overview.span)
    return columns_of(splits, overview.span, since=period.before, until=period.until)


def coverage_rows(coverage: Coverage) -> Sequence[CoverageRow]:
    """Return how certain each fact is."""
    return [_coverage_row(coverage, fact) for fact in ("asn", "country", "ip_type")]


def _coverage_row(coverage: Coverage, fact: str) -> CoverageRow:
    known, asof, inferred = coverage.by_field[fact], coverage.asof[fact], coverage.inferred[fact]
    by_network = coverage.asof_by_network if fact == "ip_type" else 0
    parts = [
        (Certainty.ASOF_ADDRESS, asof - by_network),
        (Certainty.ASOF_NETWORK, by_network),
        (Certainty.OTHER, known - asof - inferred),
        (Certainty.INFERRED_ADDRESS, inferred),
        (Certainty.UNKNOWN, coverage.reachable - known),
    ]
    return CoverageRow(
        name=FIELD_NAMES[fact],
        bar=charts.whole_bar(parts),
        known=formats.share(known, coverage.reachable),
        asof=formats.share(asof, coverage.reachable),
        inferred=formats.share(inferred, coverage.reachable),
    )


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()
