"""Read all pages of a query of sessions."""

from collections.abc import Iterator

from snapshots.app.queries.session_queries import SessionFilter, SessionQueries, SessionRow

ACTIVITY_PAGE = 200
"""Sessions in memory at a time with what was done, which can be 64,000 characters and 1,000 credentials of each."""


def every_address(
    session_queries: SessionQueries, session_filter: SessionFilter, *, at_least: int = 1, page: int = 5_000
) -> Iterator[str]:
    """Yield every routable address once, in text order. Blocking others would hit the own network."""
    after = ""
    while True:
        found = session_queries.addresses(session_filter, at_least=at_least, limit=page, after=after)
        yield from (address.text for address in found.addresses if address.is_routable)
        if not found.last:
            return
        after = found.last


def every_line(
    session_queries: SessionQueries,
    session_filter: SessionFilter,
    *,
    page: int = 5_000,
    with_activity: bool = False,
) -> Iterator[SessionRow]:
    """Yield all sessions, the newest first, reading page by page."""
    after = ""
    while True:
        found = session_queries.lines(session_filter, limit=page, after=after, with_activity=with_activity)
        yield from found.lines
        if not found.last:
            return
        after = found.last
