"""Check that sealed sessions are unchanged and that audit tables and triggers are intact."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter

from sqlalchemy import ColumnElement, Connection, and_, case, false, func, not_, select, text, true

from snapshots.adapters.sql.queries.inspection.corrections import altered_corrections, unaudited
from snapshots.adapters.sql.queries.inspection.provenance import ProvenanceCheck
from snapshots.adapters.sql.queries.inspection.record_checks import (
    altered_prunings,
    miscounted_logins,
    undated_observations,
    without_digest,
)
from snapshots.adapters.sql.queries.inspection.row_check import RowCheck
from snapshots.adapters.sql.queries.inspection.sample import draw
from snapshots.adapters.sql.queries.inspection.session_counts import (
    SessionCounts,
    count_sessions,
    is_complete,
    is_inspectable,
)
from snapshots.adapters.sql.schema import triggers
from snapshots.adapters.sql.schema.stored_types import wrong_values
from snapshots.adapters.sql.schema.structure import missing_columns, missing_constraints
from snapshots.adapters.sql.schema.tables import (
    UNJUDGED,
    adoptions,
    known_addresses,
    runs,
    session_summaries,
    snapshot_corrections,
    snapshot_prunings,
    snapshot_put_backs,
)
from snapshots.adapters.sql.stores.seal_counts import unbalanced
from snapshots.app.errors import NoSuchRun
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.queries.inspection import Inspection, Invariant, Violation
from snapshots.domain.facts.network_types import NetworkTypes

SESSIONS = session_summaries.c

MOST_INSPECTED = 200_000
"""Without --full, up to this many sealed sessions are all checked; of more, a sample is."""

SAMPLE_SIZE = 50_000
"""About the size of the sample. Without a finding, it proves at 95 % confidence that at most 0.006 % are changed."""

MOST_COMPARED = 10_000
"""Without --full, about this many sealed sessions are compared with observations."""


def inspect(
    connection: Connection, findings: "Findings", networks: NetworkTypes, *, run: str | None = None, full: bool
) -> Inspection | None:
    """
    Check sealed and incomplete rows, the audit tables and the counters; writes nothing.

    Args:
        connection: With a transaction in which every query sees the same state.
        findings: Receives the violations.
        networks: Types by network.
        run: Check only sessions that this run sealed.
        full: Check all sessions; otherwise a random sample if there are very many.

    Returns:
        What was checked; None if tables or columns are missing that every check needs.

    Raises:
        NoSuchRun: There is no such run.
    """
    findings.add_all(Invariant.INTACT, missing_columns(connection))
    if findings.counts:
        return None
    findings.add_all(Invariant.INTACT, missing_constraints(connection))
    findings.add_all(Invariant.INTACT, triggers.differences(connection))
    may_be_adopted = connection.execute(select(adoptions.c.id)).scalar() is not None
    if run is not None and connection.execute(select(runs.c.run).where(runs.c.run == run)).first() is None:
        raise NoSuchRun(f"there is no run {run}; `snapshots runs` lists them")
    counts = count_sessions(connection, run)
    selection = ALL if full else _drawn(connection, counts, run)
    which = is_inspectable() if run is None else and_(is_inspectable(), SESSIONS.snapshot_run == run)
    check = RowCheck(connection, may_be_adopted=may_be_adopted)
    provenance = ProvenanceCheck(connection, networks)
    unstated = chain.from_iterable(map(check.intact, provenance.unstated(and_(which, selection.compared))))
    findings.add_sorted(
        chain(
            check.violations(and_(which, selection.inspected)),
            ((session_id, Invariant.STATED) for session_id in unstated),
        )
    )
    findings.add_all(Invariant.INTACT, provenance.unregistered(check.sources))
    for balance in unbalanced(connection, counts.sealed_by_run, run=run):
        where = f"run {balance.run}: {balance.found:,} sealed sessions, {balance.on_record:,} on record"
        findings.add([Invariant.ON_RECORD], where)
    if run is None:
        findings.add_wrong_types(connection, selection.inspected_or_open)
        findings.add_all(Invariant.AUDITED, unaudited(connection, counts))
        findings.add_all(Invariant.AUDITED, altered_corrections(connection))
        findings.add_all(Invariant.AUDITED, altered_prunings(connection))
        findings.add_all(Invariant.INTACT, undated_observations(connection))
        findings.add_all(Invariant.INTACT, without_digest(connection))
        findings.add_all(Invariant.TALLIED, miscounted_logins(connection, selection.inspected_or_open))
        if not may_be_adopted:  # another loader counts differently, and leaves sessions without snapshot and gap
            findings.add_all(Invariant.COUNTED, _miscounted(connection))
            findings.add_all(Invariant.WHOLE, _unexplained(connection))
    is_sample = selection.inspected is not ALL.inspected
    return Inspection(
        sealed=check.sealed,
        of=counts.inspectable,
        drawn=max(0, check.sealed - counts.incomplete) if is_sample else 0,
        drawn_of=counts.complete if is_sample else 0,
        corrections=connection.execute(select(func.count()).select_from(snapshot_corrections)).scalar_one(),
        adopted=check.adopted,
        not_checked=[f"types by {label}: give its file with --network-types" for label in sorted(provenance.not_held)],
        put_back=int(connection.execute(select(func.coalesce(func.sum(snapshot_put_backs.c.times), 0))).scalar_one()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    """Conditions on the sessions that are inspected, those or open ones, and those compared with observations."""

    inspected: ColumnElement[bool]
    inspected_or_open: ColumnElement[bool]
    compared: ColumnElement[bool]


ALL = _Selection(inspected=true(), inspected_or_open=true(), compared=true())


def _drawn(connection: Connection, counts: SessionCounts, run: str | None) -> _Selection:
    """Draw the sessions to be checked if there are very many; incomplete and open sessions are all checked."""
    has_method = SESSIONS.snapshot_method.is_not(None)
    which = has_method if run is None else and_(has_method, SESSIONS.snapshot_run == run)
    if counts.complete <= MOST_INSPECTED:
        share = MOST_COMPARED / max(1, counts.complete)
        return ALL if share >= 1 else replace(ALL, compared=draw(connection, which, share).holds())
    sample = draw(connection, which, SAMPLE_SIZE / counts.complete)
    incomplete = [and_(is_inspectable(), not_(is_complete(connection)))] if counts.incomplete else []
    is_open = (SESSIONS.snapshot_gap.is_not(None), text(UNJUDGED.format(row="session_summaries.")))
    return _Selection(
        inspected=sample.holds(*incomplete),
        inspected_or_open=sample.holds(*incomplete, *is_open),
        compared=sample.part(MOST_COMPARED).holds(),
    )


class Findings:
    """
    The first violations, and the number of violations of each invariant.

    Args:
        show: Maximum number of violations with their rows.
    """

    def __init__(self, show: int) -> None:
        self._show = show
        self.named: list[Violation] = []
        self.counts: Counter[Invariant] = Counter()

    def add(self, broken: Iterable[Invariant], where: str) -> None:
        """Add the invariants that one row violates."""
        for invariant in broken:
            self.counts[invariant] += 1
            if len(self.named) < self._show:
                self.named.append(Violation(invariant=invariant, where=where))

    def add_sorted(self, broken: Iterable[tuple[str, Invariant]]) -> None:
        """Add any number of violations of sessions, given in any order; those with the smallest ids are named."""
        first = heapq.nsmallest(self._show, self._counted(broken), key=itemgetter(0))
        room = self._show - len(self.named)
        self.named += [Violation(invariant=invariant, where=where) for where, invariant in first[:room]]

    def _counted(self, broken: Iterable[tuple[str, Invariant]]) -> Iterator[tuple[str, Invariant]]:
        for where, invariant in broken:
            self.counts[invariant] += 1
            yield where, invariant

    def add_wrong_types(self, connection: Connection, sample: ColumnElement[bool]) -> None:
        """Report values whose type does not match their column; of sessions, those of the sample."""
        for where, what in wrong_values(connection, limit=self._show, sample={session_summaries: sample}):
            self.add([Invariant.TYPED], f"{where} holds {what}")

    def add_all(self, broken: Invariant, places: Iterable[str]) -> None:
        """Add the rows that violate one invariant."""
        for where in places:
            self.add([broken], where)


def _miscounted(connection: Connection) -> Sequence[str]:
    """Return the addresses whose session count is wrong; pruned sessions stay counted."""
    has_pruned = connection.execute(select(snapshot_prunings.c.id).limit(1)).first() is not None
    # A backfill counts the addresses that it found at its end; until then their counts are uncertain.
    under_way = select(runs.c.run).where(runs.c.state != RunState.DONE.value, runs.c.kind == RunKind.BACKFILL.value)
    backfills = connection.execute(under_way).scalars().all()
    # Without one, an index on the addresses has all that is needed.
    is_uncertain = func.coalesce(SESSIONS.source_ip_run.in_(backfills), false()) if backfills else false()
    there = (
        select(
            SESSIONS.source_ip,
            func.count().label("sessions"),
            func.max(case((is_uncertain, 1), else_=0)).label("uncertain"),
        )
        .where(SESSIONS.source_ip.is_not(None))
        .group_by(SESSIONS.source_ip)
        .subquery()
    )
    row = known_addresses.c
    sessions = func.coalesce(there.c.sessions, 0)
    is_wrong = row.session_count < sessions if has_pruned else row.session_count != sessions
    query = select(row.ip_address).join(there, there.c.source_ip == row.ip_address, isouter=True).where(is_wrong)
    query = query.where(func.coalesce(there.c.uncertain, 0) == 0)
    return connection.execute(query.order_by(row.ip_address)).scalars().all()


def _unexplained(connection: Connection) -> Sequence[str]:
    """Return open sessions without a gap; only a correction may leave them so, until its run writes the gap."""
    correction = snapshot_corrections.c
    opened = (
        select(correction.id)
        .where(correction.session_id == SESSIONS.session_id, correction.new_enrichment_at.is_(None))
        .exists()
    )
    query = select(SESSIONS.session_id).where(text(UNJUDGED.format(row="session_summaries.")), ~opened)
    query = query.where(SESSIONS.snapshot_seal.is_(None), SESSIONS.enrichment_at.is_(None))  # others were checked above
    return connection.execute(query.order_by(SESSIONS.session_id)).scalars().all()
