"""Read the observations of addresses as of their sightings, or all of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    exists,
    func,
    literal,
    select,
    true,
    union,
    union_all,
)

from snapshots.adapters.sql.connection.dialects.statements import select_address_ranges, select_texts
from snapshots.adapters.sql.rows.row_decoder import observation_in
from snapshots.adapters.sql.schema.tables import fact_sources, ip_observations
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.app.enrich.lookup import ENRICHMENT
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import BuildCalendar


class ObservationReader:
    """
    Observations in `ip_observations`.

    Args:
        connection: To the database.
        sources: The registered builds.
    """

    def __init__(self, connection: Connection, sources: SqlFactSources) -> None:
        self._connection = connection
        self._sources = sources

    def as_of(
        self, sightings: Collection[Sighting], *, known_by_then: bool = False
    ) -> Mapping[Sighting, Sequence[IpObservation]]:
        """
        Return the observations nearest to each sighting, in one query.

        Read by address, since a batch has far fewer addresses than sightings: for each source, from the last
        observation before the first sighting to the first one after the last sighting.
        """
        if not sightings:
            return {}
        spans = sighting_spans(sightings)
        # Observations learned later may be nearer than those known by then, so all of them are needed.
        histories = (
            self.history_of({sighting.address for sighting in sightings})
            if known_by_then
            else self._runs_between([(address, *span) for address, span in spans.items()])
        )
        return BuildCalendar.of(self._sources.registered()).answers(sightings, histories, known_by_then=known_by_then)

    def _runs_between(
        self, spans: Sequence[tuple[str, datetime, datetime]]
    ) -> Mapping[IpAddress, Sequence[IpObservation]]:
        wanted = select_address_ranges(self._connection, spans).cte("wanted")
        if self._connection.dialect.name == "postgresql":
            return self._observations(_by_index_lookups(wanted))
        own = ip_observations.alias("own")
        of_source = and_(
            own.c.ip_address == wanted.c.address, own.c.source == ip_observations.c.source, ~_is_retracted(own)
        )
        newest = select(func.max(own.c.observed_at)).where(of_source, own.c.observed_at <= wanted.c.first)
        oldest = select(func.min(own.c.observed_at)).where(of_source, own.c.observed_at > wanted.c.last)
        at = ip_observations.c.observed_at
        query = select(ip_observations).join_from(
            wanted, ip_observations, ip_observations.c.ip_address == wanted.c.address
        )
        query = query.where(
            at >= func.coalesce(newest.scalar_subquery(), at), at <= func.coalesce(oldest.scalar_subquery(), at)
        )
        return self._observations(query)

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """Return all observations of each address, in one query."""
        wanted = select_texts(self._connection, [address.text for address in addresses]).cte("wanted")
        return self._observations(select(ip_observations).join(wanted, ip_observations.c.ip_address == wanted.c.value))

    def _observations(self, query: Select[Any]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        histories: defaultdict[str, list[IpObservation]] = defaultdict(list)
        for row in self._connection.execute(query).all():
            histories[row[0]].append(observation_in(row))
        return {IpAddress(text): observations for text, observations in histories.items()}


def sighting_spans(sightings: Collection[Sighting]) -> dict[str, tuple[datetime, datetime]]:
    """Return the times of the first and the last sighting of each address."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for sighting in sightings:
        at = sighting.seen_at
        first, last = spans.get(sighting.address.text, (at, at))
        spans[sighting.address.text] = (min(first, at), max(last, at))
    return spans


def _is_retracted(runs: FromClause) -> ColumnElement[bool]:
    return exists().where(
        fact_sources.c.source == runs.c.source,
        fact_sources.c.built_at == runs.c.observed_at,
        fact_sources.c.retracted_at.is_not(None),
    )


def _by_index_lookups(wanted: CTE) -> Select[Any]:
    """
    Return the query for the observations around each range of time, by index lookups per source.

    On PostgreSQL a window function over all observations is slower, and more so with longer histories; see
    benchmarks/lookup.py.
    """
    # Documents of another loader are not registered builds.
    sources = union(select(fact_sources.c.source), select(literal(ENRICHMENT))).subquery("sources")
    row = ip_observations.c
    of_source = (
        select(ip_observations)
        .where(row.ip_address == wanted.c.address, row.source == sources.c.source, ~_is_retracted(ip_observations))
        .correlate(wanted, sources)
    )
    around = union_all(
        of_source.where(row.observed_at <= wanted.c.first).order_by(row.observed_at.desc()).limit(1),
        of_source.where(row.observed_at > wanted.c.first, row.observed_at <= wanted.c.last),
        of_source.where(row.observed_at > wanted.c.last).order_by(row.observed_at).limit(1),
    ).lateral("around")
    return select(*(around.c[column.name] for column in ip_observations.columns)).select_from(
        wanted.join(sources, true()).join(around, true())
    )
