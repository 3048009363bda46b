"""Check sealed and incomplete sessions row by row."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, not_, select

from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.rows.row_decoder import seal_of, snapshot_in
from snapshots.adapters.sql.rows.sealed_row import SealedRow, sealed_columns
from snapshots.adapters.sql.schema.stored_types import is_wrong
from snapshots.adapters.sql.schema.tables import FACTS, session_summaries
from snapshots.app.queries.inspection import Invariant
from snapshots.domain.address.source_ip import UNKNOWN_ADDRESS, SightingKind
from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS, IpFacts
from snapshots.domain.facts.validation import PSEUDO_COUNTRIES
from snapshots.domain.snapshot.snapshot import Method

SESSIONS = session_summaries.c
PAGE = 10_000

CORRECTED = Method.CORRECTED.value

OF_ROWS = [column for column in session_summaries.columns if column.name not in {"event_fingerprints", "behaviour"}]


class RowCheck:
    """
    Checks sealed and incomplete rows one by one.

    Args:
        connection: With a transaction in which every query sees the same state.
        may_be_adopted: Whether another loader may have sealed rows, without a method.

    Attributes:
        sealed: Number of checked rows.
        adopted: Those that another loader sealed.
        sources: The builds that intact rows name; those that a correction names are free text.
    """

    def __init__(self, connection: Connection, *, may_be_adopted: bool) -> None:
        self._connection = connection
        self._may_be_adopted = may_be_adopted
        self.sealed = self.adopted = 0
        self.sources: set[str] = set()

    def violations(self, which: ColumnElement[bool]) -> Iterator[tuple[str, Invariant]]:
        """Yield the ids of sessions with the invariants that they violate."""
        query = select(*sealed_columns(self._connection)).where(which)
        rows = self._connection.execute(query, execution_options={"yield_per": PAGE})
        for page in rows.partitions():
            doubtful = []
            for row in map(SealedRow._make, page):
                if row.is_intact:
                    self.sealed += 1
                    if row.snapshot_method != CORRECTED:
                        self.sources.add(row.snapshot_source)
                elif type(row.session_id) is str:  # values of a wrong type are reported apart
                    doubtful.append(row.session_id)
            if doubtful:
                yield from self._examined(doubtful)

    def _examined(self, names: Sequence[str]) -> Iterator[tuple[str, Invariant]]:
        """Yield the violations of rows that are not intact at first sight."""
        for row in self._rows(names):
            self.sealed += 1
            if self._may_be_adopted and row["snapshot_method"] is None:
                self.adopted += 1
                broken = list(_broken_of_another_loader(row))
            elif not (broken := list(_broken(row))) and row["snapshot_method"] != CORRECTED:
                self.sources.add(row["snapshot_source"])
            yield from ((row["session_id"], invariant) for invariant in broken)

    def intact(self, names: Sequence[str]) -> Iterable[str]:
        """Return those of some sessions that violate nothing by themselves."""
        return [row["session_id"] for row in self._rows(names) if not any(_broken(row))]

    def _rows(self, names: Sequence[str]) -> Iterable[RowMapping]:
        query = select(*OF_ROWS).where(
            SESSIONS.session_id.in_(select_texts(self._connection, names)),
            not_(is_wrong(self._connection, session_summaries)),
        )
        return self._connection.execute(query).mappings()


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
