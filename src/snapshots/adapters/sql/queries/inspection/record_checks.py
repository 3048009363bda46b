"""Check prunings, observation dates and digests of the audit tables, and counts of login attempts."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, func, not_, or_, select

from snapshots.adapters.sql.rows.json_text import json_object
from snapshots.adapters.sql.schema.stored_types import is_wrong
from snapshots.adapters.sql.schema.tables import (
    credentials,
    fact_sources,
    ip_observations,
    runs,
    session_logins,
    session_summaries,
    snapshot_corrections,
    snapshot_prunings,
)
from snapshots.adapters.sql.stores.seal_counts import sealed_by_run
from snapshots.app.enrich.lookup import ENRICHMENT
from snapshots.app.ports.runs import RunKind
from snapshots.domain.facts.observation import label_of
from snapshots.domain.session.logins import OTHERS


def altered_prunings(connection: Connection) -> Iterator[str]:
    """Yield prunings that are inconsistent with themselves or with their run; older runs have no counts."""
    pruning = snapshot_prunings.c
    of_run = runs.c.run == pruning.run
    query = select(snapshot_prunings, runs.c.kind, runs.c.began_at, runs.c.counts, runs.c.settings)
    query = query.select_from(snapshot_prunings.join(runs, of_run, isouter=True)).order_by(pruning.id)
    query = query.where(not_(is_wrong(connection, snapshot_prunings)), not_(is_wrong(connection, runs)))
    for row in connection.execute(query).mappings():
        if not _agrees(row):
            yield f"pruning {row['id']}"


def _agrees(row: RowMapping) -> bool:
    sealed = sealed_by_run(row["sealed_by_run"])
    counts, settings = json_object(row["counts"]), json_object(row["settings"])
    if sealed is None or counts is None or settings is None:
        return False
    try:
        before = datetime.fromisoformat(settings["before"]) if "before" in settings else row["before"]
    except (ValueError, TypeError):
        return False
    if sum(sealed.values()) > row["sessions"] or row["events"] < 0:
        return False
    if row["kind"] != RunKind.PRUNE.value:
        return row["kind"] is None  # an operator who inserts a pruning by SQL may use any run
    counted = (counts.get("sessions", row["sessions"]), counts.get("events", row["events"]))
    return (
        counted == (row["sessions"], row["events"])
        and bool(before == row["before"])
        and bool(row["made_at"] == row["began_at"])
    )


def undated_observations(connection: Connection) -> Iterator[str]:
    """Yield dates of observations that no registered build has."""
    seen = ip_observations.c
    for date in (seen.observed_at, seen.confirmed_until):
        of_builds = select(seen.source, date.label("at")).where(seen.source != ENRICHMENT)  # documents are not builds
        dates = of_builds.distinct().subquery().c
        registered = and_(fact_sources.c.source == dates.source, fact_sources.c.built_at == dates.at)
        query = select(dates.source, dates.at).where(~select(fact_sources.c.source).where(registered).exists())
        query = query.order_by(dates.source, dates.at)
        for source, at in connection.execute(query):
            yield f"observations of {source} name {at:%Y-%m-%d %H:%M:%S} ({date.name}), and no build has that date"


def miscounted_logins(connection: Connection, which: ColumnElement[bool]) -> Iterator[str]:
    """
    Yield sessions with more login attempts by credentials than the session has, or with impossible counts.

    Fewer are possible: of sessions that an earlier version stored, only the first attempt has credentials.

    Args:
        connection: To the database.
        which: Selects the sessions.
    """
    own, session = session_logins.c, session_summaries.c
    is_known = own.credentials_number.in_(select(credentials.c.credentials_number))
    is_possible = and_(own.attempts > 0, own.successes >= 0, own.successes <= own.attempts)
    is_wrong_row = func.max(case((and_(is_possible, or_(is_known, own.credentials_number == OTHERS)), 0), else_=1))
    # The sessions are chosen in one scan, before the join reads them in the order of their keys.
    chosen = (
        select(session.session_id, session.login_attempts)
        .where(which, session.counted_until.is_(None))  # another loader may have counted its attempts differently
        .cte("chosen")
        .prefix_with("MATERIALIZED")
    )
    query = (
        select(chosen.c.session_id)
        .join(session_logins, own.session_id == chosen.c.session_id)
        .group_by(chosen.c.session_id, chosen.c.login_attempts)
        .having(or_(func.sum(own.attempts) > chosen.c.login_attempts, is_wrong_row > 0))
    )
    yield from connection.execute(query.order_by(chosen.c.session_id)).scalars()


def without_digest(connection: Connection) -> Iterator[str]:
    """Yield sources and corrections without a digest that are newer than one with a digest."""
    source = fact_sources.c
    first = select(func.min(source.registered_at)).where(source.digest.is_not(None)).scalar_subquery()
    query = select(source.source, source.built_at).where(source.digest.is_(None), source.registered_at > first)
    for name, built_at in connection.execute(query.order_by(source.source, source.built_at)):
        yield f"the digest of the source {label_of(name, built_at)} is missing"
    correction = snapshot_corrections.c
    kinds = [RunKind.CORRECT.value, RunKind.IMPROVE.value]
    is_ours = correction.run.in_(select(runs.c.run).where(runs.c.kind.in_(kinds)))
    first_id = select(func.min(correction.id)).where(correction.digest.is_not(None)).scalar_subquery()
    lacking = select(correction.id, correction.session_id).where(
        correction.digest.is_(None), correction.id > first_id, is_ours
    )
    for number, session_id in connection.execute(lacking.order_by(correction.id)):
        yield f"correction {number} of {session_id}: its digest is missing"
