"""Check that sealed sessions are unchanged and that audit tables and triggers are intact."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, false, func, not_, or_, select, text, true

from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.queries.inspection.provenance import ProvenanceCheck
from snapshots.adapters.sql.queries.inspection.record_checks import (
    altered_prunings,
    miscounted_logins,
    undated_observations,
    without_digest,
)
from snapshots.adapters.sql.rows.row_decoder import digest, record_text, seal_of, snapshot_in
from snapshots.adapters.sql.rows.sealed_row import SealedRow, sealed_columns, sealed_row
from snapshots.adapters.sql.schema import triggers
from snapshots.adapters.sql.schema.stored_types import is_wrong, wrong_values
from snapshots.adapters.sql.schema.structure import missing_columns, missing_constraints
from snapshots.adapters.sql.schema.tables import (
    FACTS,
    SNAPSHOT_COLUMNS,
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
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS, SightingKind
from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import NetworkTypes
from snapshots.domain.facts.observation import NO_FACTS, IpFacts
from snapshots.domain.facts.validation import PSEUDO_COUNTRIES
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
PAGE = 10_000

PARTS = 256
"""Number of samples of about equal size, by the first two hex digits of the seal."""

MOST_LOOKED_AT = 200_000
"""Without --full, up to this many sealed sessions are all checked; of more, a sample of about this size."""

MOST_COMPARED = 10_000
"""Without --full, about this many sealed sessions are compared with observations."""


def inspect(
    connection: Connection,
    findings: "Findings",
    networks: NetworkTypes,
    *,
    run: str | None = None,
    part: int | None = None,
) -> Inspection | None:
    """
    Check sealed and incomplete rows, the audit tables and the counters; writes nothing.

    Args:
        connection: With a transaction in which every query sees the same state.
        findings: Receives the violations.
        networks: Types by network.
        run: Check only sessions that this run sealed.
        part: Sample to check if there are very many rows, below PARTS; None for all rows.

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
    is_of_interest: ColumnElement[bool] = or_(
        SESSIONS.enrichment_at.is_not(None),
        SESSIONS.snapshot_seal.is_not(None),
        *(SESSIONS[fact].is_not(None) for fact in FACTS),
    )
    if run is not None:
        if connection.execute(select(runs.c.run).where(runs.c.run == run)).first() is None:
            raise NoSuchRun(f"there is no run {run}; `snapshots runs` lists them")
        is_of_interest = and_(is_of_interest, SESSIONS.snapshot_run == run)
    is_drawable = _digits().in_(HEX) if part is not None else false()
    counts = select(func.count(), func.count().filter(is_drawable)).where(is_of_interest)
    count, drawn_of = connection.execute(counts).one()
    sample: ColumnElement[bool] = true()
    if part is not None and count > MOST_LOOKED_AT:
        sample = is_in_part(part, count)
    else:
        drawn_of = 0
    looked_at = count if part is None else min(count, MOST_LOOKED_AT)
    provenance = ProvenanceCheck(connection, networks, share=1 if part is None else max(1, looked_at // MOST_COMPARED))
    check = RowCheck(connection, provenance, may_be_adopted=may_be_adopted)
    findings.add_sorted(check.violations(and_(is_of_interest, sample)))
    findings.add_all(Invariant.INTACT, provenance.unregistered())
    for balance in unbalanced(connection, run=run):
        where = f"run {balance.run}: {balance.found:,} sealed sessions, {balance.on_record:,} on record"
        findings.add([Invariant.ON_RECORD], where)
    if run is None:
        findings.add_wrong_types(connection, sample)
        findings.add_all(Invariant.AUDITED, _unaudited(connection))
        findings.add_all(Invariant.AUDITED, _altered_corrections(connection))
        findings.add_all(Invariant.AUDITED, altered_prunings(connection))
        findings.add_all(Invariant.INTACT, undated_observations(connection))
        findings.add_all(Invariant.INTACT, without_digest(connection))
        findings.add_all(Invariant.TALLIED, miscounted_logins(connection, sample))
        if not may_be_adopted:  # another loader counts differently, and leaves sessions without snapshot and gap
            findings.add_all(Invariant.COUNTED, _miscounted(connection))
            findings.add_all(Invariant.WHOLE, _unexplained(connection))
    return Inspection(
        sealed=check.sealed,
        of=count,
        drawn=check.drawn if drawn_of else 0,
        drawn_of=drawn_of,
        corrections=connection.execute(select(func.count()).select_from(snapshot_corrections)).scalar_one(),
        adopted=check.adopted,
        not_checked=[f"types by {label}: give its file with --network-types" for label in sorted(provenance.not_held)],
        put_back=int(connection.execute(select(func.coalesce(func.sum(snapshot_put_backs.c.times), 0))).scalar_one()),
    )


class RowCheck:
    """
    Checks sealed and incomplete rows one by one.

    Args:
        connection: With a transaction in which every query sees the same state.
        provenance: Compares the intact ones with the observations of their addresses.
        may_be_adopted: Whether another loader may have sealed rows, without a method.

    Attributes:
        sealed: Number of checked rows.
        adopted: Those that another loader sealed.
        drawn: Those from which samples are drawn.
    """

    def __init__(self, connection: Connection, provenance: ProvenanceCheck, *, may_be_adopted: bool) -> None:
        self._connection = connection
        self._provenance = provenance
        self._may_be_adopted = may_be_adopted
        self.sealed = self.adopted = self.drawn = 0

    def violations(self, which: ColumnElement[bool]) -> Iterator[tuple[str, Invariant]]:
        """Yield the ids of sessions with the invariants that they violate."""
        query = select(*sealed_columns(self._connection)).where(which)
        rows = self._connection.execute(query, execution_options={"yield_per": PAGE})
        for page in rows.partitions():
            doubtful = []
            for row in map(SealedRow._make, page):
                if row.is_intact:
                    yield from self._passed(row)
                elif type(row.session_id) is str:  # values of a wrong type are reported apart
                    doubtful.append(row.session_id)
            if doubtful:
                yield from self._examined(doubtful)
        yield from ((name, Invariant.STATED) for name in self._provenance.finish())

    def _examined(self, names: Sequence[str]) -> Iterator[tuple[str, Invariant]]:
        """Yield the violations of rows that are not intact at first sight."""
        query = select(*OF_ROWS).where(
            SESSIONS.session_id.in_(select_texts(self._connection, names)),
            not_(is_wrong(self._connection, session_summaries)),
        )
        for row in self._connection.execute(query).mappings():
            if self._may_be_adopted and row["snapshot_method"] is None:
                self.adopted += 1
                broken = list(_broken_of_another_loader(row))
            elif not (broken := list(_broken(row))):
                yield from self._passed(sealed_row(row))
                continue
            self._count(row["snapshot_seal"])
            yield from ((row["session_id"], invariant) for invariant in broken)

    def _passed(self, row: SealedRow) -> Iterator[tuple[str, Invariant]]:
        self._count(row.snapshot_seal)
        return ((name, Invariant.STATED) for name in self._provenance.add(row))

    def _count(self, seal: str | None) -> None:
        self.sealed += 1
        self.drawn += (seal or "")[:2] in HEX


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


HEX = {f"{number:02x}": number for number in range(PARTS)}

OF_ROWS = [column for column in session_summaries.columns if column.name not in {"event_fingerprints", "behaviour"}]


def _digits() -> ColumnElement[str]:
    return func.substr(SESSIONS.snapshot_seal, 1, 2)


def is_in_part(part: int, count: int) -> ColumnElement[bool]:
    """Return the condition that a row is in a sample, by two digits of its seal; rows without one always are."""
    parts = max(1, min(PARTS, MOST_LOOKED_AT * PARTS // count))
    taken = {(part + n) % PARTS for n in range(parts)}
    others = [digits for digits, number in HEX.items() if number not in taken]
    return or_(SESSIONS.snapshot_seal.is_(None), _digits().not_in(others))


def _unaudited(connection: Connection) -> Sequence[str]:
    """Return the sessions that differ from their last correction, or whose correction is missing."""
    newest = (
        select(func.max(snapshot_corrections.c.id).label("id")).group_by(snapshot_corrections.c.session_id).subquery()
    )
    correction = snapshot_corrections.c
    differs = or_(*(SESSIONS[column].is_distinct_from(correction[f"new_{column}"]) for column in SNAPSHOT_COLUMNS))
    is_corrected = correction.new_enrichment_at.is_not(None)  # a session that a correction opened may be sealed again
    query = (
        select(SESSIONS.session_id)
        .join(snapshot_corrections, correction.session_id == SESSIONS.session_id)
        .join(newest, newest.c.id == correction.id)
        .where(
            is_corrected, differs, SESSIONS.created_at <= correction.made_at
        )  # a pruned session's id may be used again
        .order_by(SESSIONS.session_id)
    )
    differing = {*connection.execute(query).scalars()}
    replacing = select(runs.c.run).where(runs.c.kind.in_([RunKind.CORRECT.value, RunKind.IMPROVE.value]))
    on_record = (
        select(correction.id)
        .where(correction.session_id == SESSIONS.session_id, correction.run == SESSIONS.snapshot_run)
        .exists()
    )
    was_replaced = or_(SESSIONS.snapshot_method == Method.CORRECTED.value, SESSIONS.snapshot_run.in_(replacing))
    unrecorded = select(SESSIONS.session_id).where(was_replaced, ~on_record)
    return sorted(differing.union(connection.execute(unrecorded).scalars()))


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


def _broken(row: RowMapping) -> Iterator[Invariant]:
    if not _is_whole(row):
        yield Invariant.WHOLE
        return
    if not _is_in_range(row):
        yield Invariant.IN_RANGE
    if seal_of(row) != row["snapshot_seal"]:
        yield Invariant.UNCHANGED


def _broken_of_another_loader(row: RowMapping) -> Iterator[Invariant]:
    asn, country = row["snapshot_asn"], row["snapshot_country"]
    if country in PSEUDO_COUNTRIES or asn == 0 or row["source_ip"] == UNKNOWN_ADDRESS:
        yield Invariant.NO_SENTINEL
    try:
        facts = IpFacts(asn=asn or None, country=None if country in PSEUDO_COUNTRIES else country)
        holds_facts = facts != NO_FACTS or row["snapshot_ip_type"] is not None
        if row["snapshot_ip_type"] is not None:
            IpType(row["snapshot_ip_type"])
    except (InvalidFact, ValueError):
        yield Invariant.IN_RANGE
        return
    if holds_facts and (row["enrichment_at"] is None or row["source_ip"] is None):
        yield Invariant.WHOLE


def _is_whole(row: RowMapping) -> bool:
    needed = ("enrichment_at", "snapshot_method", "snapshot_source", "source_ip", "source_ip_rank", "source_ip_seen_at")
    return (
        all(row[column] is not None for column in needed)
        and any(row[fact] is not None for fact in FACTS)
        and row["snapshot_gap"] is None
    )


def _is_in_range(row: RowMapping) -> bool:
    try:
        snapshot_in(row)
        SightingKind(row["source_ip_rank"])
    except (InvalidFact, ValueError):
        return False
    return True


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


def _altered_corrections(connection: Connection) -> Iterator[str]:
    """Yield corrections that changed since they were inserted, as far as their digests show it."""
    query = select(snapshot_corrections).order_by(snapshot_corrections.c.id)
    for row in connection.execute(query, execution_options={"yield_per": PAGE}).mappings():
        for when in ("old", "new"):
            values = {column: row[f"{when}_{column}"] for column in SNAPSHOT_COLUMNS}
            seal = values["snapshot_seal"]
            is_ours = values["snapshot_method"] is not None  # another loader writes no seals
            if (seal is not None or is_ours) and seal != seal_of(values | {"session_id": row["session_id"]}):
                yield f"correction {row['id']} of {row['session_id']}: its {when} values"
        correction = record_text(row["reason"], row["run"], row["made_at"])
        if row["digest"] not in {None, digest(f"{row['session_id']}{correction}")}:
            yield f"correction {row['id']} of {row['session_id']}: its reason, run or time"
