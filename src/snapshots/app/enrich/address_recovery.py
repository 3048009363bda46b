"""Recover the source address of a stored session whose row has none."""

from collections.abc import Callable, Collection

from snapshots.app.ports.open_sessions import OpenSession
from snapshots.domain.address.source_ip import CanonicalIpSelector, IpAddress, Sighting, SightingKind
from snapshots.domain.session.session import EventKind, SessionEvent
from snapshots.domain.snapshot.gap import Gap


class AddressFinder:
    """
    Searches the data that other loaders stored: the row, then raw events, then the enrichment document.

    Args:
        event_in: Decodes a JSON text as a log line; returns None if it is not a valid event.
        addresses_in: Returns all addresses that an enrichment document names as its session's source.
    """

    def __init__(
        self,
        event_in: Callable[[str], SessionEvent | None],
        addresses_in: Callable[[str], Collection[IpAddress]],
    ) -> None:
        self._event_in = event_in
        self._addresses_in = addresses_in

    def find_sighting(self, session: OpenSession) -> Sighting | Gap:
        """Return the sighting, or the gap if there is none; of several addresses without times none is chosen."""
        if session.sighting is not None:
            return session.sighting
        found = self._in_events(session) if session.events else None
        return found or self._in_document(session) or Gap.NO_SOURCE_IP

    def _in_events(self, session: OpenSession) -> Sighting | None:
        """Choose as a load does: the connect, else the earliest event; a forward only if there is no other event."""
        events = [event for text in session.events if (event := self._event_in(text)) is not None]
        return CanonicalIpSelector().choose(
            (event.sighting for event in events if event.sighting is not None),
            only_forwards=all(event.kind is EventKind.FORWARD for event in events),
        )

    def _in_document(self, session: OpenSession) -> Sighting | Gap | None:
        named = set(self._addresses_in(session.document)) if session.document is not None else set()
        if len(named) > 1:
            return Gap.AMBIGUOUS_IP
        if not named or session.began_at is None:
            return None
        return Sighting(address=named.pop(), seen_at=session.began_at, kind=SightingKind.OTHER)
