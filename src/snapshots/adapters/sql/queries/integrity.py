"""Whether what was sealed is still what it was, and whether the record and the guard are intact."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, false, func, not_, or_, select, text

from snapshots.adapters.sql.queries.provenance import ProvenanceCheck
from snapshots.adapters.sql.queries.record_checks import altered_prunings, undated_observations, without_digest
from snapshots.adapters.sql.rows.row_decoder import digest, record_text, seal_of, snapshot_in
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
from snapshots.domain.facts.observation import NO_FACTS, IpFacts
from snapshots.domain.facts.validation import PSEUDO_COUNTRIES
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
PAGE = 10_000

PARTS = 256
"""Into how many parts of about the same size sealed sessions fall by two digits of their seals."""

MOST_LOOKED_AT = 200_000
"""Of how many sealed sessions all are looked at, if not all are to be."""

MOST_COMPARED = 10_000
"""Of how many sealed sessions all are compared with observations, if not all are to be."""


def inspect(
    connection: Connection, findings: "Findings", *, run: str | None = None, part: int | None = None
) -> Inspection | None:
    """
    Look at sealed or torn rows, at the record and at the counts; nothing is written.

    Args:
        connection: With a transaction in which every query sees the same state.
        findings: Takes what does not hold.
        run: Look only at what this run sealed.
        part: Which of PARTS parts of the rows to look at where there are very many; None for all of them.

    Returns:
        What was looked at; None if tables or columns are gone that every check needs.

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
    count = connection.execute(select(func.count()).where(is_of_interest)).scalar_one()
    columns = [column for column in session_summaries.columns if column.name not in {"event_fingerprints", "behaviour"}]
    query = (
        select(*columns)
        .where(is_of_interest, not_(is_wrong(connection, session_summaries)))
        .order_by(SESSIONS.session_id)
    )
    drawn_of = 0
    if part is not None and count > MOST_LOOKED_AT:
        drawn_of = connection.execute(select(func.count()).where(is_of_interest, _digits().in_(HEX))).scalar_one()
        query = query.where(is_in_part(part, count))
    seen = Counter[str]()
    looked_at = count if part is None else min(count, MOST_LOOKED_AT)
    provenance = ProvenanceCheck(connection, share=1 if part is None else max(1, looked_at // MOST_COMPARED))
    for row in connection.execute(query, execution_options={"yield_per": PAGE}).mappings():
        is_adopted = may_be_adopted and row["snapshot_method"] is None
        seen.update(sealed=1, adopted=is_adopted, drawn=bool(drawn_of) and (row["snapshot_seal"] or "")[:2] in HEX)
        broken = list(_broken_of_another_loader(row) if is_adopted else _broken(row))
        findings.add(broken, row["session_id"])
        if not broken and not is_adopted:
            findings.add_all(Invariant.STATED, provenance.add(row))
    findings.add_all(Invariant.STATED, provenance.finish())
    findings.add_all(Invariant.INTACT, provenance.unregistered())
    for balance in unbalanced(connection, run=run):
        where = f"run {balance.run}: {balance.found:,} sealed sessions, {balance.on_record:,} on record"
        findings.add([Invariant.ON_RECORD], where)
    if run is None:
        findings.add_wrong_types(connection)
        findings.add_all(Invariant.AUDITED, _unaudited(connection))
        findings.add_all(Invariant.AUDITED, _altered_corrections(connection))
        findings.add_all(Invariant.AUDITED, altered_prunings(connection))
        findings.add_all(Invariant.INTACT, undated_observations(connection))
        findings.add_all(Invariant.INTACT, without_digest(connection))
        if not may_be_adopted:  # another loader counts otherwise, and leaves sessions without a snapshot and a gap
            findings.add_all(Invariant.COUNTED, _miscounted(connection))
            findings.add_all(Invariant.WHOLE, _unexplained(connection))
    return Inspection(
        sealed=seen["sealed"],
        of=count,
        drawn=seen["drawn"],
        drawn_of=drawn_of,
        corrections=connection.execute(select(func.count()).select_from(snapshot_corrections)).scalar_one(),
        adopted=seen["adopted"],
        put_back=int(connection.execute(select(func.coalesce(func.sum(snapshot_put_backs.c.times), 0))).scalar_one()),
    )


class Findings:
    """
    The first violations by name, and how many there are of each invariant.

    Args:
        show: How many are named.
    """

    def __init__(self, show: int) -> None:
        self._show = show
        self.named: list[Violation] = []
        self.counts: Counter[Invariant] = Counter()

    def add(self, broken: Iterable[Invariant], where: str) -> None:
        """Take each invariant that does not hold at one place."""
        for invariant in broken:
            self.counts[invariant] += 1
            if len(self.named) < self._show:
                self.named.append(Violation(invariant=invariant, where=where))

    def add_wrong_types(self, connection: Connection) -> None:
        """Report values whose type does not match their column."""
        for where, what in wrong_values(connection, limit=self._show):
            self.add([Invariant.TYPED], f"{where} holds {what}")

    def add_all(self, broken: Invariant, places: Iterable[str]) -> None:
        """Take each place at which one invariant does not hold."""
        for where in places:
            self.add([broken], where)


HEX = [f"{number:02x}" for number in range(PARTS)]


def _digits() -> ColumnElement[str]:
    return func.substr(SESSIONS.snapshot_seal, 1, 2)


def is_in_part(part: int, count: int) -> ColumnElement[bool]:
    """Whether a row is in a part, by two digits of its seal, which is a hash; rows without such are in every part."""
    parts = max(1, min(PARTS, MOST_LOOKED_AT * PARTS // count))
    others = [HEX[(part + n) % PARTS] for n in range(parts, PARTS)]
    return or_(SESSIONS.snapshot_seal.is_(None), _digits().not_in(others))


def _unaudited(connection: Connection) -> Sequence[str]:
    """Return the sessions that do not hold what their last correction says, or of whose correction none is kept."""
    newest = (
        select(func.max(snapshot_corrections.c.id).label("id")).group_by(snapshot_corrections.c.session_id).subquery()
    )
    correction = snapshot_corrections.c
    differs = or_(*(SESSIONS[column].is_distinct_from(correction[f"new_{column}"]) for column in SNAPSHOT_COLUMNS))
    is_corrected = correction.new_enrichment_at.is_not(None)  # what was opened by a correction may be sealed anew
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
    """Return the addresses that are counted for other sessions than there are; pruned sessions stay counted."""
    has_pruned = connection.execute(select(snapshot_prunings.c.id).limit(1)).first() is not None
    # What a backfill found is counted at its end; until then nobody can tell.
    under_way = select(runs.c.run).where(runs.c.state != RunState.DONE.value, runs.c.kind == RunKind.BACKFILL.value)
    is_uncertain = func.coalesce(SESSIONS.source_ip_run.in_(under_way), false())
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
    """Return open sessions without a gap: only a correction leaves such, until its run says why they are open."""
    correction = snapshot_corrections.c
    opened = (
        select(correction.id)
        .where(correction.session_id == SESSIONS.session_id, correction.new_enrichment_at.is_(None))
        .exists()
    )
    query = select(SESSIONS.session_id).where(text(UNJUDGED.format(row="session_summaries.")), ~opened)
    query = query.where(SESSIONS.snapshot_seal.is_(None), SESSIONS.enrichment_at.is_(None))  # else it was looked at
    return connection.execute(query.order_by(SESSIONS.session_id)).scalars().all()


def _altered_corrections(connection: Connection) -> Iterator[str]:
    """Yield the corrections that are not what was inserted, as far as they carry hashes."""
    query = select(snapshot_corrections).order_by(snapshot_corrections.c.id)
    for row in connection.execute(query, execution_options={"yield_per": PAGE}).mappings():
        for when in ("old", "new"):
            values = {column: row[f"{when}_{column}"] for column in SNAPSHOT_COLUMNS}
            seal = values["snapshot_seal"]
            is_ours = values["snapshot_method"] is not None  # another loader makes no seals
            if (seal is not None or is_ours) and seal != seal_of(values | {"session_id": row["session_id"]}):
                yield f"correction {row['id']} of {row['session_id']}: its {when} values"
        correction = record_text(row["reason"], row["run"], row["made_at"])
        if row["digest"] not in {None, digest(f"{row['session_id']}{correction}")}:
            yield f"correction {row['id']} of {row['session_id']}: its reason, run or time"
