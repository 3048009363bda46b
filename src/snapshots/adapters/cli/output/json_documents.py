"""Results as JSON documents: plain names, ISO dates, numbers; absent facts are null."""

from collections.abc import Sequence
from datetime import datetime
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
from snapshots.app.queries.inventory_reports import InventoryStatus, KnownAddress, SourceState
from snapshots.app.queries.validity import renewal
from snapshots.domain.snapshot.freshness import Freshness
from snapshots.domain.snapshot.validity import KindValidity


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


def validity_documents(validity: Sequence[KindValidity], at: datetime) -> list[dict[str, Any]]:
    """Return until when each kind of fact is valid, and whether it has expired for an attack at a time."""
    return [
        {
            "fact": each.kind,
            "build": each.build.label,
            "valid_until": each.valid_until,
            "expired": each.is_expired(at),
            "renew": renewal(each.build),
        }
        for each in validity
    ]


def address_document(found: KnownAddress) -> dict[str, Any]:
    """Return an address with all of its observations."""
    return {
        "address": found.address,
        "asn": found.asn,
        "organization": found.organization,
        "country": found.country,
        "ip_type": found.ip_type,
        "type_by": None if found.ip_type is None else "network" if found.has_type_of_network else "address",
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
