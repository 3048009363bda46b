"""Whether what was sealed is still what it was, and whether the guard stands."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, false, func, not_, or_, select, update
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.sql import guard
from snapshots.adapters.sql.guard import PROTECTED
from snapshots.adapters.sql.rows import seal_of, snapshot_in
from snapshots.adapters.sql.stored_types import is_wrong, wrong_values
from snapshots.adapters.sql.tables import (
    FACTS,
    SNAPSHOT_COLUMNS,
    adoptions,
    is_sealed,
    known_addresses,
    runs,
    session_summaries,
    snapshot_corrections,
    snapshot_prunings,
    snapshot_put_backs,
)
from snapshots.app.errors import NoSuchRun
from snapshots.app.report import Inspection, Invariant, Violation
from snapshots.app.run_ports import RunKind, RunState
from snapshots.domain.errors import InvalidFact
from snapshots.domain.ip_type import IpType
from snapshots.domain.observation import NOTHING, IpFacts
from snapshots.domain.snapshot import PSEUDO_COUNTRIES, Method
from snapshots.domain.source_ip import UNKNOWN_ADDRESS, SightingKind

S = session_summaries.c
PAGE = 10_000

PARTS = 256
"""Into how many parts of about the same size sealed sessions fall by two digits of their seals."""

MOST_LOOKED_AT = 200_000
"""Of how many sealed sessions all are looked at, if not all are to be."""

LONG_AGO = datetime(1, 1, 1, microsecond=1, tzinfo=UTC)
FORBIDDEN: dict[ColumnElement[Any], object] = {
    S.session_id: "forbidden~",
    S.logged_id: "forbidden~",
    S.source_ip_run: "forbidden",
    S.source_ip_was: "forbidden",
    S.source_port: -1,
    S.source_ip_rank: -1,
    S.source_ip_seen_at: LONG_AGO,
    S.snapshot_asn: -1,
    S.snapshot_country: "??",
    S.snapshot_ip_type: "forbidden",
    S.enrichment_at: LONG_AGO,
    S.snapshot_method: "forbidden",
    S.snapshot_source: "forbidden",
    S.snapshot_run: "forbidden",
    S.snapshot_seal: "forbidden",
}
"""A change of each protected column that no guard may let pass; of source_ip, any other address."""


def inspect(connection: Connection, *, show: int, run: str | None = None, part: int | None = None) -> Inspection:
    """
    Look at sealed or torn rows, at the audit and at the counts, and try the guard; the caller rolls back.

    Args:
        connection: With a transaction.
        show: How many violations to name.
        run: Look only at what this run sealed.
        part: Which of PARTS parts of the rows to look at where there are very many; None for all of them.
    """
    may_be_adopted = connection.execute(select(adoptions.c.id)).scalar() is not None
    is_of_interest: ColumnElement[bool] = or_(S.enrichment_at.is_not(None), *(S[fact].is_not(None) for fact in FACTS))
    if run is not None:
        if connection.execute(select(runs.c.run).where(runs.c.run == run)).first() is None:
            raise NoSuchRun(f"there is no run {run}; `snapshots runs` lists them")
        is_of_interest = and_(is_of_interest, S.snapshot_run == run)
    count = connection.execute(select(func.count()).where(is_of_interest)).scalar_one()
    columns = [column for column in session_summaries.columns if column.name not in {"event_fingerprints", "behaviour"}]
    query = select(*columns).where(is_of_interest, not_(is_wrong(connection, session_summaries))).order_by(S.session_id)
    drawn_of = 0
    if part is not None and count > MOST_LOOKED_AT:
        drawn_of = connection.execute(select(func.count()).where(is_of_interest, _digits().in_(HEX))).scalar_one()
        query = query.where(_is_in_part(part, count))
    seen, found = Counter[str](), _Violations(show)
    for row in connection.execute(query, execution_options={"yield_per": PAGE}).mappings():
        is_adopted = may_be_adopted and row["snapshot_method"] is None
        seen.update(sealed=1, adopted=is_adopted, drawn=bool(drawn_of) and (row["snapshot_seal"] or "")[:2] in HEX)
        found.add(_broken_of_another_loader(row) if is_adopted else _broken(row), row["session_id"])
    if run is None:
        found.add_wrong_types(connection)
        for name in _unaudited(connection):
            found.add([Invariant.AUDITED], name)
        for address in [] if may_be_adopted else _miscounted(connection):  # another loader counts otherwise
            found.add([Invariant.COUNTED], address)
    for column in _unguarded(connection):
        found.add([Invariant.GUARDED], column)
    for table, name in guard.missing(connection):
        found.add([Invariant.GUARDED], f"{name} on {table}")
    return Inspection(
        sealed=seen["sealed"],
        of=count,
        drawn=seen["drawn"],
        drawn_of=drawn_of,
        corrections=connection.execute(select(func.count()).select_from(snapshot_corrections)).scalar_one(),
        adopted=seen["adopted"],
        put_back=int(connection.execute(select(func.coalesce(func.sum(snapshot_put_backs.c.times), 0))).scalar_one()),
        violations=found.named,
        counts=found.counts,
    )


class _Violations:
    """The first violations by name, and how many there are of each invariant."""

    def __init__(self, show: int) -> None:
        self._show = show
        self.named: list[Violation] = []
        self.counts: Counter[Invariant] = Counter()

    def add(self, broken: Iterable[Invariant], where: str) -> None:
        for invariant in broken:
            self.counts[invariant] += 1
            if len(self.named) < self._show:
                self.named.append(Violation(invariant=invariant, where=where))

    def add_wrong_types(self, connection: Connection) -> None:
        """Report values whose type does not match their column."""
        for where, what in wrong_values(connection, limit=self._show):
            self.add([Invariant.TYPED], f"{where} holds {what}")


HEX = [f"{number:02x}" for number in range(PARTS)]


def _digits() -> ColumnElement[str]:
    return func.substr(S.snapshot_seal, 1, 2)


def _is_in_part(part: int, count: int) -> ColumnElement[bool]:
    """Whether a row is in a part, by two digits of its seal, which is a hash; rows without such are in every part."""
    parts = max(1, min(PARTS, MOST_LOOKED_AT * PARTS // count))
    others = [HEX[(part + n) % PARTS] for n in range(parts, PARTS)]
    return or_(S.snapshot_seal.is_(None), _digits().not_in(others))


def _unaudited(connection: Connection) -> Sequence[str]:
    """Return the sessions that do not hold what their last correction says, or of whose correction none is kept."""
    newest = (
        select(func.max(snapshot_corrections.c.id).label("id")).group_by(snapshot_corrections.c.session_id).subquery()
    )
    said = snapshot_corrections.c
    differs = or_(*(S[column].is_distinct_from(said[f"new_{column}"]) for column in SNAPSHOT_COLUMNS))
    is_corrected = said.new_enrichment_at.is_not(None)  # what was opened by a correction may be sealed anew
    query = (
        select(S.session_id)
        .join(snapshot_corrections, said.session_id == S.session_id)
        .join(newest, newest.c.id == said.id)
        .where(is_corrected, differs, S.created_at <= said.made_at)  # a pruned session's id may be used again
        .order_by(S.session_id)
    )
    told = {*connection.execute(query).scalars()}
    replacing = select(runs.c.run).where(runs.c.kind.in_([RunKind.CORRECT.value, RunKind.IMPROVE.value]))
    on_record = select(said.id).where(said.session_id == S.session_id, said.run == S.snapshot_run).exists()
    was_replaced = or_(S.snapshot_method == Method.CORRECTED.value, S.snapshot_run.in_(replacing))
    untold = select(S.session_id).where(was_replaced, ~on_record)
    return sorted(told.union(connection.execute(untold).scalars()))


def _miscounted(connection: Connection) -> Sequence[str]:
    """Return the addresses that are counted for other sessions than there are; pruned sessions stay counted."""
    has_pruned = connection.execute(select(snapshot_prunings.c.id).limit(1)).first() is not None
    # What a backfill found is counted at its end; until then nobody can tell.
    under_way = select(runs.c.run).where(runs.c.state != RunState.DONE.value, runs.c.kind == RunKind.BACKFILL.value)
    is_uncertain = func.coalesce(S.source_ip_run.in_(under_way), false())
    there = (
        select(
            S.source_ip, func.count().label("sessions"), func.max(case((is_uncertain, 1), else_=0)).label("uncertain")
        )
        .where(S.source_ip.is_not(None))
        .group_by(S.source_ip)
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
        holds_facts = facts != NOTHING or row["snapshot_ip_type"] is not None
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


def _unguarded(connection: Connection) -> list[str]:
    """Try a forbidden change of each protected column of one sealed row, each under a savepoint."""
    sealed = select(S.session_id, S.source_ip).where(is_sealed(), S.source_ip.is_not(None)).limit(1)
    found = connection.execute(sealed).one_or_none()
    if found is None:
        return []
    name, source_ip = found
    # A foreign key might refuse an unlisted address before the guard runs.
    another = select(func.min(S.source_ip)).where(S.source_ip != source_ip)
    forbidden = FORBIDDEN | {S.source_ip: connection.execute(another).scalar()}
    let_pass = []
    for column in PROTECTED:
        if column == "source_ip" and forbidden[S.source_ip] is None:
            continue
        value = forbidden[S[column]]
        attempt = connection.begin_nested()
        try:
            connection.execute(update(session_summaries).where(S.session_id == name).values({column: value}))
        except DatabaseError as refusal:
            if "sealed" not in str(refusal.orig):
                let_pass.append(column)
        else:  # the guard of an adopted database may have put it back
            changed = value if column == "session_id" else name
            if connection.execute(select(S.session_id).where(S.session_id == changed, S[column] == value)).first():
                let_pass.append(column)
        attempt.rollback()
    return let_pass
