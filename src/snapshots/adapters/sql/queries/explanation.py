"""The data from which the snapshot or gap of one session was derived, in SQL."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, or_, select

from snapshots.adapters.sql.rows.row_decoder import observation_in, summary_in
from snapshots.adapters.sql.rows.session_logins import SqlSessionLogins
from snapshots.adapters.sql.schema.tables import fact_sources, ip_observations, known_networks, session_summaries
from snapshots.adapters.sql.stores.fact_sources import SqlFactSources
from snapshots.app.queries.reports import Explanation
from snapshots.domain.facts.observation import IpObservation, label_of
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.provenance import sources_of

SESSIONS = session_summaries.c


def explain(connection: Connection, session_id: str, reader: AsOfReader) -> Explanation | None:
    """Return the data on a session; None if it does not exist."""
    query = (
        select(session_summaries, known_networks.c.organization_name)
        .join(known_networks, known_networks.c.asn_number == SESSIONS.snapshot_asn, isouter=True)
        .where(SESSIONS.session_id == session_id)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    session = summary_in(row)
    logged_id = session.logged_id or session.session_id
    observed = (
        select(ip_observations)
        .where(ip_observations.c.ip_address == row["source_ip"])
        .order_by(ip_observations.c.source, ip_observations.c.observed_at)
    )
    namesakes = (
        select(SESSIONS.session_id)
        .where(
            or_(SESSIONS.logged_id == logged_id, SESSIONS.session_id == logged_id),
            SESSIONS.session_id != session_id,
        )
        .order_by(SESSIONS.session_id)
    )
    history = [observation_in(found) for found in connection.execute(observed)]
    sighting = session.sighting
    considered: list[IpObservation] = []
    known: list[IpObservation] = []
    if sighting is not None:
        calendar = BuildCalendar.of(SqlFactSources(connection).registered())
        considered = calendar.nearest(history, sighting.seen_at)
        read = session.snapshot or reader.read(considered, at=sighting.seen_at).snapshot
        asn = read.asn if read is not None else None
        considered += reader.about_network(asn, at=sighting.seen_at)
        known = calendar.nearest(history, sighting.seen_at, known_by_then=True)
    at = sighting.seen_at if sighting is not None else session.first_event_at
    return Explanation(
        session=session,
        organization=row["organization_name"],
        run=row["snapshot_run"],
        history=history,
        considered=considered,
        known_then=_knowing_by(connection, reader, at).read(known, at=at).snapshot,
        stated=sources_of(session.snapshot, considered, at) if session.snapshot is not None else {},
        types_left_out=[
            left_out
            for left_out in reader.types_left_out(considered, at=at)
            # Other settings may have sealed the session, or another source may state the type.
            if session.snapshot is None or session.snapshot.ip_type is not left_out.ip_type
        ],
        asns_left_out=reader.asns_left_out(considered, at=at),
        disagreements=reader.disagreements(considered, at=at),
        namesakes=list(connection.execute(namesakes).scalars()),
        logins=SqlSessionLogins(connection).of([session_id]).get(session_id, ()),
    )


def _knowing_by(connection: Connection, reader: AsOfReader, at: datetime) -> AsOfReader:
    """Return a reader with only the types by network that were registered by a time."""
    query = select(fact_sources.c.source, fact_sources.c.built_at).where(fact_sources.c.registered_at <= at)
    labels = frozenset(label_of(source, built_at) for source, built_at in connection.execute(query))
    return replace(reader, network_types=reader.network_types.with_labels(labels))
