"""Check that the facts of sealed sessions match the observations of their addresses."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, select

from snapshots.adapters.sql.connection.dialects.statements import select_texts
from snapshots.adapters.sql.rows.row_decoder import digest_of_source, facts_in, snapshot_in
from snapshots.adapters.sql.rows.sealed_row import SealedRow
from snapshots.adapters.sql.schema.tables import fact_sources, ip_observations
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.app.enrich.lookup import ENRICHMENT
from snapshots.domain.facts.network_types import NetworkTypes, is_by_network
from snapshots.domain.facts.observation import SourceBuild, label_of
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.statements import Statement, builds_by_label, is_stated

PAGE = 5_000
"""Addresses and their facts per query."""

MOST_REMEMBERED = 50_000
"""Addresses and facts that are not compared again in further sessions."""

NO_TIME = datetime.min.replace(tzinfo=UTC)
"""The date of a snapshot, which is not compared."""

Facts = tuple[Any, ...]
"""An address, with the ASN, country, type, method and source of a snapshot."""


class ProvenanceCheck:
    """
    Compares sealed sessions with the observations of their addresses, a page at a time.

    Args:
        connection: With a transaction in which every query sees the same state.
        networks: Types by network.
        share: One of so many sessions is compared.

    Attributes:
        not_held: Builds of types by network that compared sessions name and that are not among *networks*.
    """

    def __init__(self, connection: Connection, networks: NetworkTypes, *, share: int) -> None:
        self._connection = connection
        self._networks = networks
        self._held = networks.labels
        self.not_held: set[str] = set()
        self._share = share
        self._seen = 0
        self._page: defaultdict[Facts, list[str]] = defaultdict(list)
        self._stated: set[Facts] = set()
        self._labels: set[str] = set()

    def add(self, row: SealedRow) -> Iterable[str]:
        """Add a complete session; yield the ids of compared sessions with facts that no source stated."""
        if row.snapshot_method != Method.CORRECTED.value:
            self._labels.add(row.snapshot_source)
        self._seen += 1
        if self._seen % self._share:
            return ()
        facts = row[1:2] + row[5:8] + row[9:11]
        if facts in self._stated:
            return ()
        self._page[facts].append(row.session_id)
        return self.finish() if len(self._page) == PAGE else ()

    def finish(self) -> Iterator[str]:
        """Compare the remaining sessions; yield the ids of those with facts that no source stated."""
        page, self._page = self._page, defaultdict(list)
        if len(self._stated) > MOST_REMEMBERED:
            self._stated.clear()
        stated = self._facts_stated({address for address, *_ in page})
        for facts, names in page.items():
            address, asn, country, ip_type, method, source = facts
            row = {"snapshot_asn": asn, "snapshot_country": country, "snapshot_ip_type": ip_type}
            row |= {"snapshot_method": method, "snapshot_source": source, "enrichment_at": NO_TIME}
            snapshot = snapshot_in(row)
            if snapshot is None or self._is_stated(snapshot, stated[address]):
                self._stated.add(facts)
            else:
                yield from names

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

    def unregistered(self) -> Iterator[str]:
        """Yield builds that sessions cite but that are not registered, or that changed since their registration."""
        for row in self._connection.execute(select(fact_sources)).mappings():
            label = label_of(row["source"], row["built_at"])
            if row["digest"] not in {None, digest_of_source(row)}:
                yield f"the source {label} is not what was registered"
        named = {label for labels in self._labels for label in labels.split()}
        for label in sorted(named - self._builds.keys()):
            if not label.startswith(f"{ENRICHMENT}@"):  # documents are not builds
                yield f"the source {label} was never registered"

    @cached_property
    def _builds(self) -> Mapping[str, Collection[SourceBuild]]:
        return builds_by_label(each.build for each in SqlFactSources(self._connection).registered())

    def _facts_stated(self, addresses: set[str]) -> Mapping[str, Sequence[Statement]]:
        stated: dict[str, list[Statement]] = {address: [] for address in addresses}
        if not addresses:
            return stated
        row = ip_observations.c
        query = select(
            row.ip_address, row.source, row.observed_at, row.confirmed_until, row.asn, row.country, row.ip_types
        )
        query = query.where(row.ip_address.in_(select_texts(self._connection, sorted(addresses))))
        for address, source, since, until, *facts in self._connection.execute(query):
            stated[address].append(Statement(source, since, until, facts_in(*facts)))
        return stated
