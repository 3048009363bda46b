"""Check that the facts of sealed sessions match the observations of their addresses."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, type_coerce
from sqlalchemy.types import NullType

from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.rows.row_decoder import digest_of_source, facts_in, snapshot_in
from snapshots.adapters.sql.schema.tables import fact_sources, ip_observations, session_summaries
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.app.enrich.lookup import ENRICHMENT
from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.network_types import NetworkTypes, is_by_network
from snapshots.domain.facts.observation import SourceBuild, label_of
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.statements import Statement, builds_by_label, is_stated

SESSIONS = session_summaries.c

PAGE = 5_000
"""Addresses and their facts per query."""

NO_TIME = datetime.min.replace(tzinfo=UTC)
"""The date of a snapshot, which is not compared."""

COMPARED = ("source_ip", "snapshot_asn", "snapshot_country", "snapshot_ip_type", "snapshot_method", "snapshot_source")

Facts = tuple[Any, ...]
"""The values of the compared columns; of any type, because SQLite stores what any program writes."""


class ProvenanceCheck:
    """
    Compares the facts of sessions with the observations of their addresses.

    Sessions of an address with the same facts are compared once. An index has the compared columns in this order.

    Args:
        connection: With a transaction in which every query sees the same state.
        networks: Types by network.

    Attributes:
        not_held: Builds of types by network that compared sessions name and that are not among *networks*.
    """

    def __init__(self, connection: Connection, networks: NetworkTypes) -> None:
        self._connection = connection
        self._networks = networks
        self._held = networks.labels
        self.not_held: set[str] = set()

    def unstated(self, which: ColumnElement[bool]) -> Iterator[Sequence[str]]:
        """
        Yield pages of ids of sessions with facts that no source stated.

        Args:
            which: Selects the compared sessions; those that lack a snapshot are not compared.
        """
        columns = [type_coerce(SESSIONS[name], NullType).label(name) for name in COMPARED]
        is_complete = SESSIONS.snapshot_method.is_not(None) & SESSIONS.enrichment_at.is_not(None)
        query = select(*columns).where(SESSIONS.source_ip.is_not(None), is_complete, which).distinct()
        rows = self._connection.execute(query, execution_options={"yield_per": PAGE})
        for page in rows.partitions():
            if unstated := self._unstated_of([tuple(row) for row in page]):
                addresses = select_texts(self._connection, sorted({facts[0] for facts in unstated}))
                found = select(SESSIONS.session_id, *columns).where(SESSIONS.source_ip.in_(addresses), which)
                yield [name for name, *facts in self._connection.execute(found) if tuple(facts) in unstated]

    def _unstated_of(self, page: Sequence[Facts]) -> set[Facts]:
        stated = self._facts_stated({address for address, *_ in page if type(address) is str})
        return {
            facts
            for facts in page
            if (snapshot := _snapshot(facts[1:])) is not None
            if (statements := stated.get(facts[0])) is not None
            if not self._is_stated(snapshot, statements)
        }

    def _is_stated(self, snapshot: IpSnapshot, stated: Sequence[Statement]) -> bool:
        of_networks = {label for label in snapshot.source.split() if is_by_network(label)}
        if not of_networks:
            return is_stated(snapshot, stated, self._builds)
        if not_held := of_networks - self._held:
            self.not_held |= not_held
            return True
        about = self._networks.about(snapshot.asn)
        of_network = [Statement(o.source, o.observed_at, o.confirmed_until, o.facts) for o in about]
        return is_stated(snapshot, [*stated, *of_network], self._builds)

    def unregistered(self, sources: Collection[str]) -> Iterator[str]:
        """
        Yield builds that are not registered, or that changed since their registration.

        Args:
            sources: The labels of builds that sessions name, separated by spaces.
        """
        for row in self._connection.execute(select(fact_sources)).mappings():
            label = label_of(row["source"], row["built_at"])
            if row["digest"] not in {None, digest_of_source(row)}:
                yield f"the source {label} is not what was registered"
        named = {label for labels in sources for label in labels.split()}
        for label in sorted(named - self._builds.keys()):
            if not label.startswith(f"{ENRICHMENT}@"):  # documents are not builds
                yield f"the source {label} was never registered"

    @cached_property
    def _builds(self) -> Mapping[str, Collection[SourceBuild]]:
        return builds_by_label(each.build for each in SqlFactSources(self._connection).registered())

    def _facts_stated(self, addresses: set[str]) -> Mapping[str, Sequence[Statement]]:
        stated: dict[str, list[Statement]] = {address: [] for address in addresses}
        row = ip_observations.c
        query = select(
            row.ip_address, row.source, row.observed_at, row.confirmed_until, row.asn, row.country, row.ip_types
        )
        query = query.where(row.ip_address.in_(select_texts(self._connection, sorted(addresses))))
        for address, source, since, until, *facts in self._connection.execute(query):
            stated[address].append(Statement(source, since, until, facts_in(*facts)))
        return stated


@lru_cache(maxsize=50_000)
def _snapshot(facts: Facts) -> IpSnapshot | None:
    """Return the snapshot with some facts; None if they are not those of an intact session."""
    asn, country, ip_type, method, source = facts
    if type(method) is not str or type(source) is not str:
        return None
    row = {"snapshot_asn": asn, "snapshot_country": country, "snapshot_ip_type": ip_type}
    try:
        return snapshot_in(row | {"snapshot_method": method, "snapshot_source": source, "enrichment_at": NO_TIME})
    except (InvalidFact, ValueError, TypeError):
        return None
