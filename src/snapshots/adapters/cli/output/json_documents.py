"""Answers as JSON: plain names, ISO dates, numbers; absent facts are null."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from enum import Enum
from typing import Any

from snapshots.app.queries.inventory_reports import Drift
from snapshots.app.queries.overview import BehaviourSeen, Overview
from snapshots.app.queries.reports import CoverageReport, Explanation, Inspection, LagSpread, Report
from snapshots.app.queries.session_queries import Group
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.session.behaviour import Behaviour, Trait
from snapshots.domain.snapshot.coverage import NOT_JUDGED, Coverage


def to_json(document: dict[str, Any] | list[dict[str, Any]]) -> str:
    """Return *document* as indented JSON in ASCII, so that no terminal obeys what is in it."""
    return json.dumps(document, indent=2, default=plain)


def report_document(report: Report) -> dict[str, Any]:
    """Return a report; the counts that `verify` prints are under "coverage"."""
    return {
        "sessions": report.coverage.sessions.total,
        "addresses": report.coverage.addresses.total,
        "events": report.events,
        "logins": report.logins,
        "commands": report.commands,
        "downloads": report.downloads,
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
    """Return everything that the page shows; what `report` prints as a table is part of it."""
    return report_document(overview.report) | {
        "made_at": overview.made_at,
        "timeline": {
            "by": overview.span,
            "counts": [
                {
                    "begins": at,
                    "ip_type": kind,
                    "sessions": group.sessions,
                    "asof": group.asof,
                    "inferred": group.inferred,
                }
                for group in overview.timeline
                for at, kind in [group.values]
            ],
        },
        "changed": {
            "since": overview.period[0] if overview.period is not None else None,
            "until": overview.period[1] if overview.period is not None else None,
            "networks": [
                _network(group) | {"before": group.before, "change": group.sessions - (group.before or 0)}
                for group in overview.changed
            ],
        },
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
    """Return then against now."""
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
    """Return coverage by session and by address; shares are of what is reachable, null if nothing is."""
    return {
        "sessions": _coverage(report.sessions),
        "addresses": _coverage(report.addresses),
        "lag_days": _lag(report.lag),
        "by_source": dict(report.by_source),
    }


def inspection_document(inspection: Inspection) -> dict[str, Any]:
    """Return what looking at every sealed session found; at most some of the violations are named."""
    return {
        "sealed": inspection.sealed,
        "of": inspection.of,
        "unseen_share": inspection.unseen_share,
        "corrections": inspection.corrections,
        "adopted": inspection.adopted,
        "put_back": inspection.put_back,
        "violation_count": inspection.violation_count,
        "violations": [{"invariant": v.invariant, "where": v.where} for v in inspection.violations],
        "trials": dict(inspection.trials),
        "not_checked": list(inspection.not_checked),
    }


def behaviour_document(behaviour: Behaviour) -> dict[str, Any]:
    """Return what a session's events said that campaigns are found by."""
    return {
        "protocol": behaviour.first(Trait.PROTOCOL),
        "client_version": behaviour.first(Trait.CLIENT_VERSION),
        "hassh": behaviour.first(Trait.HASSH),
        "username": behaviour.username,
        "password_hash": behaviour.password_hash,
        "password": behaviour.password,
        "login_succeeded": behaviour.login_succeeded,
        "duration_ms": behaviour.duration_ms,
        "command_signature": behaviour.command_signature,
        "commands": [{"at": at, "text": text} for at, text in behaviour.said.get(Trait.COMMAND, ())],
        "ssh_key_fingerprints": behaviour.texts(Trait.KEY),
        "download_hashes": behaviour.texts(Trait.DOWNLOAD),
        "urls": behaviour.texts(Trait.URL),
    }


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """Return what led to what a session holds."""
    session, snapshot = explanation.session, explanation.session.snapshot
    sighting = session.sighting
    return {
        "session_id": session.session_id,
        "logged_id": session.logged_id or session.session_id,
        "namesakes": list(explanation.namesakes),
        "sensor": session.sensor,
        "sensor_id": session.sensor_id,
        "first_event_at": session.first_event_at,
        "last_event_at": session.last_event_at,
        "events": session.event_count,
        "logins": session.login_attempts,
        "commands": session.command_count,
        "downloads": session.file_downloads,
        "source_ip": sighting.address.text if sighting else None,
        "source_port": sighting.port if sighting else None,
        "seen_at": sighting.seen_at if sighting else None,
        "seen_by": sighting.kind.name.lower() if sighting else None,
        "behaviour": behaviour_document(session.behaviour),
        "snapshot": {
            "asn": snapshot.asn,
            "organization": explanation.organization,
            "country": snapshot.country,
            "ip_type": snapshot.ip_type,
            "enrichment_at": snapshot.enrichment_at,
            "method": snapshot.method,
            "source": snapshot.source,
            "stated_by": {
                fact: {"source": source.name, "stated_at": source.stated_at}
                for fact, source in explanation.stated.items()
            },
            "run": explanation.run,
        }
        if snapshot
        else None,
        "gap": session.gap,
        "gap_explanation": session.gap.explanation if session.gap else None,
        "observations": [observation_document(said) for said in explanation.history],
        "considered": [observation_document(said) for said in explanation.considered],
        "known_then": {
            "asn": explanation.known_then.asn,
            "country": explanation.known_then.country,
            "ip_type": explanation.known_then.ip_type,
        }
        if explanation.known_then
        else None,
        "types_left_out": [
            {
                "source": left_out.source,
                "ip_type": left_out.ip_type,
                "others": list(left_out.others),
                "stated": "after" if left_out.is_after else "before",
                "days": left_out.distance / timedelta(days=1),
                "at_most_days": left_out.bound / timedelta(days=1),
            }
            for left_out in explanation.types_left_out
        ],
    }


def observation_document(said: IpObservation) -> dict[str, Any]:
    """Return what one source said from one build to another."""
    return {
        "source": said.source,
        "observed_at": said.observed_at,
        "confirmed_until": said.confirmed_until,
        "asn": said.facts.asn,
        "country": said.facts.country,
        "ip_types": sorted(kind.value for kind in said.facts.ip_types),
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


def plain(value: object) -> object:
    """Return what JSON has in the place of an enum, a date or a moment."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
