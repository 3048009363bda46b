"""Results as JSON documents: plain names, ISO dates, numbers; absent facts are null."""

from datetime import datetime
from typing import Any

from snapshots.adapters.cli.output.sanitize import payload_text
from snapshots.adapters.cli.output.text.backfill import sample_text
from snapshots.app.backfill.improve import ImproveReport
from snapshots.app.backfill.run import BackfillReport
from snapshots.app.ports.logs import StoredDeadLetter
from snapshots.app.ports.runs import RunRecord
from snapshots.app.queries.inspection import Inspection


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
