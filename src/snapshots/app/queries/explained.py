"""Explain a session by its ID, or by how its ID begins."""

from collections.abc import Sequence

from snapshots.app.errors import NoSuchSession
from snapshots.app.queries.reports import Explanation, Reports
from snapshots.app.queries.session_queries import SessionQueries
from snapshots.app.queries.validity import ANONYMIZERS, AnonymizerList, FactValidity, anonymizer_texts
from snapshots.app.safe_text import escaped
from snapshots.domain.facts.fact_kind import FactKind

SHOWN = 5
"""Sessions that are listed if several begin alike."""

LONGEST = 80
"""Characters of the ID that a message repeats."""


def explained(reports: Reports, session_queries: SessionQueries, session: str, *, database: str) -> Explanation:
    """
    Return the explanation of a session.

    Args:
        reports: Explains a session by its whole ID.
        session_queries: The stored IDs.
        session: The ID, or how it begins if no other begins alike.
        database: Name of the database in messages.

    Raises:
        NoSuchSession: There is none, or several begin like this.
    """
    found = reports.explain(session)
    if found is None:
        alike = session_queries.session_ids(session, limit=SHOWN + 1)
        if len(alike) > 1:
            more = " and more" if len(alike) > SHOWN else ""
            raise NoSuchSession(
                f"{session[:LONGEST]!r}: several session IDs start with this:"
                f" {', '.join(map(escaped, alike[:SHOWN]))}{more}"
            )
        found = reports.explain(alike[0]) if alike else None
    if found is None:
        raise NoSuchSession(f"there is no session {session[:LONGEST]!r} in {database}")
    return found


def anonymizer_lists(fact_validity: FactValidity, explanation: Explanation) -> Sequence[AnonymizerList]:
    """Return whether a list of anonymizers was near enough to the attack; none without an address."""
    sighting = explanation.session.sighting
    if sighting is None:
        return []
    return fact_validity.anonymizer_lists(explanation.considered, sighting.seen_at)


def anonymizers_ruled_out(explanation: Explanation, lists: Sequence[AnonymizerList]) -> Sequence[str]:
    """Return whether lists rule out that a session came from an anonymizer; nothing if its snapshot is of one."""
    snapshot = explanation.session.snapshot
    if snapshot is None or (snapshot.ip_type is not None and FactKind(snapshot.ip_type.value) in ANONYMIZERS):
        return []
    return anonymizer_texts(lists)
