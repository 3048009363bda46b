"""Count the addresses about which sources state different networks or countries, in SQL."""

from collections import Counter
from collections.abc import Mapping
from itertools import islice

from sqlalchemy import Connection, and_, func, or_, select

from snapshots.adapters.sql.schema.tables import ip_observations, known_addresses
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.adapters.sql.stores.observation_reader import ObservationReader
from snapshots.app.queries.reports import Disagreement
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.as_of import AsOfReader

PAGE = 2_000
"""Addresses whose histories are read at once."""


def disagreements_of(connection: Connection, reader: AsOfReader) -> Mapping[str, Disagreement]:
    """
    Return on which facts how many addresses have sources that disagree, as of the last event of the address.

    Addresses with equal facts in all observations are ruled out in one scan in the order of the primary key.
    """
    row = ip_observations.c
    differs = or_(func.min(row.country) != func.max(row.country), func.min(row.asn) != func.max(row.asn))
    candidates = (
        select(row.ip_address)
        .group_by(row.ip_address)
        .having(and_(func.min(row.source) != func.max(row.source), differs))
        .subquery()
    )
    seen = known_addresses.c
    query = select(seen.ip_address, seen.last_seen, seen.session_count).join(
        candidates, candidates.c.ip_address == seen.ip_address
    )
    sources = SqlFactSources(connection)
    calendar, observations = BuildCalendar.of(sources.registered()), ObservationReader(connection, sources)
    addresses: Counter[str] = Counter()
    sessions: Counter[str] = Counter()
    rows = iter(connection.execute(query).all())
    while page := list(islice(rows, PAGE)):
        histories = observations.history_of([IpAddress(text) for text, _, _ in page])
        for text, last_seen, count in page:
            nearest = calendar.nearest(histories[IpAddress(text)], last_seen)
            for fact in reader.disagreements(nearest, at=last_seen):
                addresses[fact] += 1
                sessions[fact] += count
    return {fact: Disagreement(addresses=addresses[fact], sessions=sessions[fact]) for fact in sorted(addresses)}
