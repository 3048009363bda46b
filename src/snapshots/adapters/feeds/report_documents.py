"""Reports as JSON documents."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from snapshots.app.queries.comparisons.news import News
from snapshots.app.queries.comparisons.periods import Period
from snapshots.app.queries.filters.filter_text import filter_text
from snapshots.app.queries.inventory_reports import Drift
from snapshots.app.queries.overview import BehaviourSeen, Overview
from snapshots.app.queries.reports import HEAVIEST, CoverageReport, LagSpread, Report
from snapshots.app.queries.session_queries import Group
from snapshots.domain.snapshot.coverage import NOT_JUDGED, Coverage
from snapshots.domain.snapshot.fact_methods import Distance


def report_document(report: Report) -> dict[str, Any]:
    """Return a report; the counts that `verify` prints are under "coverage"."""
    return {
        "sessions": report.coverage.sessions.total,
        "addresses": report.coverage.addresses.total,
        "events": report.events,
        "logins": report.logins,
        "commands": report.commands,
        "downloads": report.downloads,
        "uploads": report.uploads,
        "first_event_at": report.first_event_at,
        "last_event_at": report.last_event_at,
        "impossible_clocks": report.impossible_clocks,
        "coverage": coverage_document(report.coverage),
        "networks": [
            {
                "asn": int(tally.value) if tally.value is not None else None,
                "organization": tally.name,
                "sessions": tally.sessions,
                "asof": tally.asof,
                "inferred": tally.inferred,
                "addresses": tally.addresses,
            }
            for tally in report.networks
        ],
        "countries": _value_counts("country", report.countries),
        "types": _value_counts("ip_type", report.types),
        "days": _value_counts("day", report.days),
        "dead_letters": dict(report.dead_letters),
        "sources": [asdict(source) for source in report.sources],
    }


def overview_document(overview: Overview) -> dict[str, Any]:
    """Return the data of the HTML page except the courses and types of single networks, with the tables of `report`."""
    return report_document(overview.report) | {
        "made_at": overview.made_at,
        "filter": filter_text(overview.session_filter),
        "expired_facts": list(overview.expired),
        "timeline": {
            "by": overview.span,
            "counts": [
                {
                    "begins": at,
                    "ip_type": kind,
                    "type_by": by,
                    "type_method": method,
                    "sessions": group.sessions,
                }
                for group in overview.timeline
                for at, kind, by, method in [group.values]
            ],
        },
        "changed": _period(overview.period),
        "spread_over_networks": asdict(overview.spread),
        "drift": drift_document(overview.drift),
        "users": _groups("user", overview.users),
        "passwords": [
            {"password_hash": group.values[0], "text": group.password, "sessions": group.sessions}
            for group in overview.passwords
        ],
        "commands_typed": _groups("command", overview.commands),
        "clients": [_behaviour_seen("hassh", seen) for seen in overview.clients],
        "campaigns": [_behaviour_seen("command_signature", seen) for seen in overview.campaigns],
        "files": [_behaviour_seen("download_hash", seen) for seen in overview.downloads],
    }


def _period(period: Period | None, top: int | None = None) -> dict[str, Any]:
    """Return what differs between the newest period and the one before, by the names of `query --by`."""
    if period is None:
        return {"since": None, "until": None}
    return {
        "since": period.since,
        "until": period.until,
        "sessions": period.sessions,
        "before": period.sessions_before,
        "before_empty_until": period.empty_until,
    } | {
        key.value: {
            kind: [asdict(change) for change in getattr(changes, kind)[:top]]
            for kind in ("appeared", "disappeared", "grown", "fallen")
        }
        for key, changes in period.changes.items()
    }


def news_document(news: News, selection: str, *, top: int) -> dict[str, Any]:
    """Return the news, with at most *top* changes of each kind; keys are those of `query --by`."""
    return {
        "since": news.since,
        "until": news.until,
        "filter": selection,
        "newest_session": news.newest,
        "changed": _period(news.period, top),
        "appeared": {
            key.value: {
                "count": appeared.count,
                "listed": [
                    {
                        "value": new.group.values[0],
                        "organization": new.group.name,
                        "sessions": new.group.sessions,
                        "first_seen": new.group.first_seen,
                        "commands": list(new.commands),
                    }
                    for new in appeared.listed
                ],
            }
            for key, appeared in news.appeared.items()
        },
        "moved": {"count": news.moved_count, "listed": [move._asdict() for move in news.moved]},
    }


def _network(group: Group) -> dict[str, Any]:
    (asn,) = group.values
    return {
        "asn": int(asn) if asn is not None else None,
        "organization": group.name,
        "sessions": group.sessions,
        "asof": group.asof,
        "inferred": group.inferred,
    }


def _groups(key: str, groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [{key: group.values[0], "sessions": group.sessions} for group in groups]


def _behaviour_seen(key: str, seen: BehaviourSeen) -> dict[str, Any]:
    return {
        key: seen.group.values[0],
        "sessions": seen.group.sessions,
        "network_count": seen.network_count,
        "networks": [_network(group) for group in seen.networks],
        "commands": _groups("command", seen.commands),
    }


def drift_document(found: Drift) -> dict[str, Any]:
    """Return how snapshots differ from the newest tables."""
    return {
        "sealed": found.sealed,
        "newest_tables": list(found.newest_tables),
        "sessions": found.sessions,
        "addresses": found.addresses,
        "compared": dict(found.compared),
        "changed": dict(found.changed),
        "expired": dict(found.expired),
        "moves": {
            fact: [{"then": m.then, "now": m.now, "sessions": m.sessions, "addresses": m.addresses} for m in moves]
            for fact, moves in found.moves.items()
        },
    }


def coverage_document(report: CoverageReport) -> dict[str, Any]:
    """Return coverage by session and by address; shares are of the reachable ones, null if there are none."""
    return {
        "sessions": _coverage(report.sessions),
        "addresses": _coverage(report.addresses),
        "lag_days": _lag(report.lag),
        "heaviest_addresses": {"addresses": min(HEAVIEST, report.addresses.total), "sessions": report.heaviest},
        "by_source": dict(report.by_source),
        "disagreements": {fact: asdict(count) for fact, count in report.disagreements.items()},
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    return {
        "total": coverage.total,
        "reachable": coverage.reachable,
        "fields": {
            name: {
                "count": count,
                "share": coverage.share(count),
                "asof": coverage.asof[name],
                "inferred": coverage.inferred[name],
            }
            for name, count in coverage.by_field.items()
        },
        "distances": {
            fact: {distance.name.lower(): counts[distance] for distance in Distance}
            for fact, counts in coverage.distances.items()
        },
        "types_by": {"address": coverage.by_address, "network": coverage.by_network},
        "by_method": {method.value: count for method, count in coverage.by_method.items()},
        "by_gap": {gap.value if gap else NOT_JUDGED: count for gap, count in coverage.by_gap.items()},
    }


def _lag(lag: LagSpread | None) -> dict[str, float] | None:
    if lag is None:
        return None
    return {
        name: round(span / timedelta(days=1), 3)
        for name, span in (("least", lag.least), ("median", lag.median), ("greatest", lag.greatest))
    }


def _value_counts(key: str, tallies: Any) -> list[dict[str, Any]]:
    return [
        {
            key: tally.value,
            "sessions": tally.sessions,
            "asof": tally.asof,
            "inferred": tally.inferred,
            "addresses": tally.addresses,
        }
        for tally in tallies
    ]
