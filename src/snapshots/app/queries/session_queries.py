"""What analysts ask of sessions: which ones, grouped by what, as it was then or as it is now."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple, Protocol

from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.session.concentration import Concentration


class Dimension(Enum):
    """By what sessions are found, and told apart. A session without it holds None there."""

    ASN = "asn"
    COUNTRY = "country"
    IP_TYPE = "ip-type"
    ADDRESS = "address"
    SENSOR = "sensor"
    PROTOCOL = "protocol"
    CLIENT = "client"
    HASSH = "hassh"
    USER = "user"
    PASSWORD = "password"  # noqa: S105 - its hash
    COMMANDS = "commands"
    SSH_KEY = "ssh-key"
    DOWNLOAD = "download"
    METHOD = "method"
    GAP = "gap"
    COMMAND = "command"
    URL = "url"

    @property
    def is_repeated(self) -> bool:
        """Whether a session may have several of it; such keys group, but find nothing."""
        return self in {Dimension.COMMAND, Dimension.URL}


SNAPSHOT_FACTS = frozenset({Dimension.ASN, Dimension.COUNTRY, Dimension.IP_TYPE})
"""Keys that are facts of a snapshot."""

FOUND_BY = tuple(key for key in Dimension if not key.is_repeated)
"""Keys by which sessions are found."""


class TimeBucket(Enum):
    """A span of time by whose beginning sessions are grouped, in UTC; weeks begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def following(self, begins: datetime) -> datetime:
        """Return when the span behind one begins."""
        if self is TimeBucket.MONTH:
            return (begins.replace(day=1) + timedelta(days=32)).replace(day=1)
        return (
            begins
            + {
                TimeBucket.HOUR: timedelta(hours=1),
                TimeBucket.DAY: timedelta(days=1),
                TimeBucket.WEEK: timedelta(weeks=1),
            }[self]
        )


class NetworkTime(Enum):
    """Whose network a session counts for."""

    THEN = "then"
    """The one that its snapshot names: whose the address was at the time of the attack."""
    NOW = "now"
    """The one in tables newer than the attack and not too old today; sessions without such a table are excluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """
    Which sessions are asked for.

    Attributes:
        since: Only those whose first event was at that moment or later; None for all.
        until: Only those whose first event was before; None for all.
        values: Only those that have one of these values of each key; None among them is "not known".
        network_time: Whose network they count for, or are listed with; the values are always those of then.
    """

    since: datetime | None = None
    until: datetime | None = None
    values: Mapping[Dimension, Sequence[str | None]] = field(default_factory=dict)
    network_time: NetworkTime = NetworkTime.THEN

    def splits_by_method(self, by: Collection[Dimension | TimeBucket]) -> bool:
        """Whether groups by these keys count sessions as of the attack and inferred ones separately."""
        return self.network_time is NetworkTime.THEN and not SNAPSHOT_FACTS.isdisjoint(by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """
    Sessions that are alike.

    Attributes:
        values: Their value of each key asked for, in order; None where it is not known.
        name: The organization behind the ASN, if that is a key and it is known.
        password: The text of the password, if that is a key and its newest session keeps it.
        sessions: How many.
        asof: How many of them hold only facts that were stated by the time of the attack; None if no fact is a key
            or known, or the facts are those of now.
        inferred: How many hold a fact that was stated only after it; None likewise.
        first_seen: The earliest of their first events.
        last_seen: The latest of their first events.
        addresses: From how many addresses; None if that was not asked for.
        before: How many there were in the span of the same length before; None if that was not asked for.
    """

    values: tuple[str | None, ...]
    name: str | None = None
    password: str | None = None
    sessions: int
    asof: int | None = None
    inferred: int | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    addresses: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """
    One session as analysts list and hand it on.

    Attributes:
        session_id: Its name in the store.
        sensor: The honeypot.
        first_event_at: Its first event.
        last_event_at: Its last event.
        source_ip: Its canonical address; None if it has none.
        source_port: The port that it connected from.
        asn: Whose network it came from.
        organization: The organization behind it, where it is known.
        country: The country.
        ip_type: The type of its address.
        enrichment_at: The newest date among the facts.
        method: How near they are to the attack.
        source: The builds that stated them.
        run: The run that wrote them.
        gap: Why there are none.
        events: How many events it has.
        logins: How many logins were tried.
        commands: How many commands were entered.
        downloads: How many files were fetched.
        protocol: SSH or Telnet.
        client: What the client called itself.
        hassh: Its fingerprint.
        user: The user name tried first.
        password_hash: SHA-256 of the password tried first.
        login_succeeded: Whether a login succeeded.
        command_signature: A hash of its commands.
        ssh_key: The fingerprint of the first SSH key that it installed.
        download_hash: The hash of the first file that it fetched.
        duration_ms: How long it lasted.
    """

    session_id: str
    sensor: str | None
    first_event_at: datetime | None
    last_event_at: datetime | None
    source_ip: str | None
    source_port: int | None
    asn: int | None
    organization: str | None
    country: str | None
    ip_type: str | None
    enrichment_at: datetime | None
    method: str | None
    source: str | None
    run: str | None
    gap: str | None
    events: int
    logins: int
    commands: int
    downloads: int
    protocol: str | None
    client: str | None
    hassh: str | None
    user: str | None
    password_hash: str | None
    login_succeeded: bool | None
    command_signature: str | None
    ssh_key: str | None
    download_hash: str | None
    duration_ms: int | None


class NotCurrent(NamedTuple):
    """
    How many sessions have no current facts.

    Attributes:
        without_newer: No table is newer than the attack.
        expired: The tables newer than the attack are too old today; see `CurrentSince`.
    """

    without_newer: int
    expired: int


class SessionPage(NamedTuple):
    """Some sessions, the newest first, and the place to go on behind; "" if there are no more."""

    lines: Sequence[SessionRow]
    last: str


class SessionQueries(Protocol):
    """Answers about stored sessions. Those of "then" look into the inventory only for names of organizations."""

    def groups(
        self,
        session_filter: SessionFilter,
        by: Sequence[Dimension | TimeBucket],
        *,
        top: int,
        with_addresses: bool = False,
        with_before: bool = False,
    ) -> Sequence[Group]:
        """
        Return the groups with most sessions, or, by a span of time, the newest; ties in the order of their values.

        Args:
            session_filter: Which sessions.
            by: What they have in common, at least one thing and each once; a span only as the first, a repeated key
                only alone.
            top: How many groups at most, at least 1.
            with_addresses: Count the addresses too, which takes longer.
            with_before: Also count the sessions of the period of equal length before the filter's, which must have
                both ends, and order by the growth.

        Raises:
            InvalidQuery: It does not make sense.
        """
        ...

    def concentration(self, session_filter: SessionFilter, by: Dimension, *, known_only: bool = False) -> Concentration:
        """
        Return how the sessions spread over a key.

        Args:
            session_filter: Which sessions.
            by: The key; of those that a session may have several of there is no spread.
            known_only: Leave out sessions without it; else those without a fact count as one group.

        Raises:
            InvalidQuery: It does not make sense.
        """
        ...

    def count_not_current(self, session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket]) -> "NotCurrent":
        """
        Count the sessions that are excluded because their facts are not current.

        Args:
            session_filter: Which sessions, as of now.
            by: The keys; each fact among them must be current. Without a fact, any of the three must be.
        """
        ...

    def lines(self, session_filter: SessionFilter, *, limit: int, after: str = "") -> SessionPage:
        """
        Return some sessions, the newest first.

        Args:
            session_filter: Which ones.
            limit: How many at most, at least 1.
            after: The place to start behind, as the page before told it; "" for the first page.

        Raises:
            InvalidQuery: There is no such place.
        """
        ...

    def addresses(self, session_filter: SessionFilter, *, at_least: int, limit: int, after: str = "") -> "AddressPage":
        """
        Return some source addresses.

        Args:
            session_filter: Of which sessions.
            at_least: Of how many sessions at least.
            limit: How many at most, at least 1.
            after: The place to start behind, as the page before told it; "" for the first page.
        """
        ...


class AddressPage(NamedTuple):
    """Some addresses in the order of their texts, and the place to go on behind; "" if there are no more."""

    addresses: Sequence[IpAddress]
    last: str


def every_address(
    session_queries: SessionQueries, session_filter: SessionFilter, *, at_least: int = 1, page: int = 5_000
) -> Iterator[str]:
    """Yield every routable address once, in the order of their texts: others would block one's own network."""
    after = ""
    while True:
        found = session_queries.addresses(session_filter, at_least=at_least, limit=page, after=after)
        yield from (address.text for address in found.addresses if address.is_routable)
        if not found.last:
            return
        after = found.last


def every_line(
    session_queries: SessionQueries, session_filter: SessionFilter, *, page: int = 5_000
) -> Iterator[SessionRow]:
    """Yield all sessions, the newest first, a page at a time."""
    after = ""
    while True:
        found = session_queries.lines(session_filter, limit=page, after=after)
        yield from found.lines
        if not found.last:
            return
        after = found.last
