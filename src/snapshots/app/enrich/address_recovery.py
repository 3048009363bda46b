"""Find where a stored session came from, when its row does not say."""

from collections.abc import Callable, Collection

from snapshots.app.ports.open_sessions import OpenSession
from snapshots.domain.address.source_ip import CanonicalIpSelector, IpAddress, Sighting, SightingKind
from snapshots.domain.session.session import EventKind, SessionEvent
from snapshots.domain.snapshot.gap import Gap


class AddressFinder:
    """
    Looks for the address of a session in what other loaders left of it: its row, then its events, then documents.

    Args:
        event_in: Reads an event from a JSON text, as a line of a log is read; None if it is none.
        addresses_in: Reads every address that a document of another loader's enrichment names for its session.
    """

    def __init__(
        self,
        event_in: Callable[[str], SessionEvent | None],
        addresses_in: Callable[[str], Collection[IpAddress]],
    ) -> None:
        self._event_in = event_in
        self._addresses_in = addresses_in

    def find_sighting(self, session: OpenSession) -> Sighting | Gap:
        """Return the session's sighting, or why it has none: several addresses without times are no guess."""
        if session.sighting is not None:
            return session.sighting
        found = self._in_events(session) if session.events else None
        return found or self._in_document(session) or Gap.NO_SOURCE_IP

    def _in_events(self, session: OpenSession) -> Sighting | None:
        """Choose as while loading: the connect, else the earliest event; what a client claimed only by itself."""
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
