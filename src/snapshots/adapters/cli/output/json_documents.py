"""Results as JSON documents: plain names, ISO dates, numbers; absent facts are null."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any

from snapshots.adapters.cli.output.sanitize import payload_text
from snapshots.adapters.cli.output.session_documents import observation_document
from snapshots.adapters.cli.output.text.backfill import sample_text
from snapshots.adapters.cli.output.text.inventory import build_state
from snapshots.app.backfill.improve import ImproveReport
from snapshots.app.backfill.run import BackfillReport
from snapshots.app.ports.logs import StoredDeadLetter
from snapshots.app.ports.runs import RunRecord
from snapshots.app.queries.inspection import Inspection
from snapshots.app.queries.inventory_reports import Drift, InventoryStatus, KnownAddress, SourceState
from snapshots.app.queries.overview import BehaviourSeen, Overview
from snapshots.app.queries.reports import CoverageReport, LagSpread, Report
from snapshots.app.queries.session_queries import Group
from snapshots.domain.snapshot.coverage import NOT_JUDGED, Coverage
from snapshots.domain.snapshot.freshness import Freshness


def to_json(document: dict[str, Any] | list[dict[str, Any]]) -> str:
    """Return *document* as indented JSON in ASCII, so that it contains no control characters for a terminal."""
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
    """Return all data of the HTML page, including the tables of `report`."""
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
        "by_source": dict(report.by_source),
    }


def inspection_document(inspection: Inspection) -> dict[str, Any]:
    """Return the result of checking sealed sessions; the list of violations may be shorter than their count."""
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


def backfill_document(report: BackfillReport) -> dict[str, Any]:
    """Return the result of a backfill, or of its dry run."""
    return {
        "run": report.run,
        "done": report.is_done,
        "judged": report.judged,
        "sealed": {method.value: count for method, count in report.sealed.items()},
        "open": {gap.value: count for gap, count in report.left_open.items()},
        "found": report.found,
        "lost": report.lost,
        "quarantined": dict(report.quarantined),
        "samples": [sample_text(each) for each in report.samples],
        "seconds": report.seconds,
        "log_bytes_per_session": report.written_bytes,
    }


def improvement_document(report: ImproveReport) -> dict[str, Any]:
    """Return how many snapshots were replaced by better ones."""
    return {
        "run": report.run,
        "done": report.is_done,
        "looked_at": report.looked_at,
        "improved": report.improved,
        "quarantined": report.quarantined,
    }


def run_document(record: RunRecord, now: datetime) -> dict[str, Any]:
    """Return a run with its state at *now*."""
    return {
        "run": record.run,
        "kind": record.kind.value,
        "state": record.state_at(now).value,
        "began_at": record.began_at,
        "heartbeat_at": record.heartbeat_at,
        "ended_at": record.ended_at,
        "counts": dict(record.counts),
    }


def inventory_status_document(found: InventoryStatus) -> dict[str, Any]:
    """Return how many addresses are known, and how fresh the facts are."""
    return {
        "addresses": found.addresses,
        "behind": found.behind,
        "by_freshness": {state.name.lower(): found.by_freshness.get(state, 0) for state in Freshness},
        "sources": [source_document(state) for state in found.sources],
    }


def address_document(found: KnownAddress) -> dict[str, Any]:
    """Return an address with all of its observations."""
    return {
        "address": found.address,
        "asn": found.asn,
        "organization": found.organization,
        "country": found.country,
        "ip_type": found.ip_type,
        "sessions": found.sessions,
        "first_seen": found.first_seen,
        "last_seen": found.last_seen,
        "observations": [
            observation_document(observation)
            | {"retracted": (observation.source, observation.observed_at) in found.retracted}
            for observation in found.history
        ],
    }


def source_document(state: SourceState) -> dict[str, Any]:
    """Return a registered build."""
    build = state.registered.build
    return {
        "build": build.label,
        "source": build.name,
        "built_at": build.built_at,
        "state": build_state(state),
        "observations": state.observations,
        "origin": build.origin,
        "licence": build.licence,
        "sha256": build.sha256,
    }


def dead_letter_document(stored: StoredDeadLetter) -> dict[str, Any]:
    """Return a dead letter with its line as text."""
    return {
        "id": stored.dead_letter.identity,
        "reason": stored.dead_letter.reason.value,
        "source": stored.dead_letter.source,
        "offset": stored.dead_letter.offset,
        "payload": payload_text(stored.dead_letter.payload),
        "run": stored.run,
        "stored_at": stored.stored_at,
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
    """Return the JSON value for an enum, a date or a datetime."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
