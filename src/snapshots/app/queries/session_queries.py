"""Port for queries of analysts about stored sessions, and their values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from snapshots.app.queries.action import Action
from snapshots.app.queries.comparisons.address_moves import AddressMove
from snapshots.app.queries.pages import AddressPage, NotCurrent
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.concentration import Concentration
from snapshots.domain.session.logins import StoredLogin


class Dimension(Enum):
    """What sessions are filtered and grouped by. The value of a session is None if it is unknown."""

    ASN = "asn"
    NETWORK = "network"
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
    ASN_METHOD = "asn-method"
    COUNTRY_METHOD = "country-method"
    TYPE_METHOD = "type-method"
    TYPE_BY = "type-by"
    GAP = "gap"
    COMMAND = "command"
    URL = "url"

    @property
    def is_repeated(self) -> bool:
        """Whether a session may have several values; a session counts for each of them."""
        return self.has_texts or self in {Dimension.USER, Dimension.PASSWORD}

    @property
    def has_texts(self) -> bool:
        """Whether the values are texts in the behavior; a session may have several."""
        return self.is_trait or self in {Dimension.SSH_KEY, Dimension.DOWNLOAD}

    @property
    def is_trait(self) -> bool:
        """Whether the values are in the behavior; they group sessions, and do not filter them."""
        return self in {Dimension.COMMAND, Dimension.URL}

    @property
    def only_filters(self) -> bool:
        """Whether sessions are filtered by it, but not grouped: a part of the name of the network."""
        return self is Dimension.NETWORK


SNAPSHOT_FACTS = frozenset({Dimension.ASN, Dimension.COUNTRY, Dimension.IP_TYPE})
"""Dimensions that are facts of a snapshot."""

METHODS_OF_FACTS = {
    "asn": Dimension.ASN_METHOD,
    "country": Dimension.COUNTRY_METHOD,
    "type": Dimension.TYPE_METHOD,
}
"""Dimensions that are the method of one fact, by the fact; METHOD is the weakest of them."""

FOUND_BY = tuple(key for key in Dimension if not key.is_trait)
"""Dimensions by which sessions are filtered."""

HASHES = frozenset({Dimension.HASSH, Dimension.PASSWORD, Dimension.COMMANDS, Dimension.SSH_KEY, Dimension.DOWNLOAD})
"""Dimensions whose values are hashes, which are found by a unique prefix."""

ANY_TEXT = frozenset({Dimension.NETWORK, Dimension.SENSOR, Dimension.CLIENT, Dimension.USER})
"""Dimensions whose values are any text: a value that is not stored is probably misspelled."""


class NetworkTime(Enum):
    """Time at which the network of a session is looked up."""

    THEN = "then"
    """The network in the snapshot, at the time of the attack."""
    NOW = "now"
    """The network in tables that are newer than the attack and valid today; other sessions are excluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """
    Selection of sessions.

    Attributes:
        since: Earliest time of the first event, inclusive; None for no limit.
        until: Latest time of the first event, exclusive; None for no limit.
        values: Accepted values by dimension; None among them is "unknown". An ADDRESS may be a network in CIDR
            notation; a NETWORK is a part of the name of the organization.
        excluded: Values by dimension of which a session has none; written as *values*.
        did: A session did at least one of these; empty for no condition.
        did_not: A session did none of these.
        network_time: Time of the networks that are counted or listed; *values* always apply to the snapshot.
    """

    since: datetime | None = None
    until: datetime | None = None
    values: Mapping[Dimension, Sequence[str | None]] = field(default_factory=dict)
    excluded: Mapping[Dimension, Sequence[str | None]] = field(default_factory=dict)
    did: Collection[Action] = ()
    did_not: Collection[Action] = ()
    network_time: NetworkTime = NetworkTime.THEN

    def splits_by_method(self, by: Collection[Dimension | TimeBucket]) -> bool:
        """Whether groups by these dimensions count as-of and inferred sessions separately."""
        return self.network_time is NetworkTime.THEN and not SNAPSHOT_FACTS.isdisjoint(by)


EVERYTHING = SessionFilter()
"""Selects all sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """
    Sessions with the same values.

    Attributes:
        values: Value of each requested dimension, in order; None if unknown.
        name: Organization of the ASN, if that is a dimension and known.
        password: Text of the password, if that is a dimension and the text is stored or very common.
        sessions: Number of sessions.
        attempts: Number of login attempts, if user or password is a dimension, and none with texts.
        asof: Those whose facts were all published by the time of the attack; None if no fact is a dimension or
            known, or with NetworkTime.NOW.
        inferred: Those with a fact that was published only after the attack; None as for *asof*.
        first_seen: Earliest first event; None if not requested.
        last_seen: Latest first event; None if not requested.
        addresses: Number of addresses; None if not requested.
        before: Sessions in the preceding period of equal length; None if not requested.
    """

    values: tuple[str | None, ...]
    name: str | None = None
    password: str | None = None
    sessions: int
    attempts: int | None = None
    asof: int | None = None
    inferred: int | None = None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    addresses: int | None = None
    before: int | None = None


class SessionRow(NamedTuple):
    """
    A session in lists and exports. A tuple, because one is made for each session of an export.

    Attributes:
        session_id: Key of the session.
        sensor: Name of the honeypot.
        first_event_at: Time of the first event.
        last_event_at: Time of the last event.
        source_ip: Canonical address; None if there is none.
        source_port: Source port of the connection.
        asn: Autonomous system of the address.
        organization: Organization of the ASN, if known.
        country: Country of the address.
        ip_type: Type of the address.
        enrichment_at: Newest date among the facts.
        method: How the snapshot was obtained, such as asof or inferred.
        asn_method: Method of the ASN alone; None without one.
        country_method: Method of the country alone.
        type_method: Method of the IP type alone.
        type_by: Whether the IP type is that of the address or of its network; None without one.
        source: Builds of the facts.
        run: The run that wrote the snapshot.
        gap: Reason if there is no snapshot.
        events: Number of events.
        logins: Number of login attempts.
        commands: Number of commands.
        downloads: Number of downloaded files.
        protocol: SSH or Telnet.
        client: Version string of the client.
        hassh: Fingerprint of the SSH client.
        user: User name of the first login attempt.
        password_hash: SHA-256 of the password of the first login attempt.
        login_succeeded: Whether a login succeeded.
        command_signature: Hash of the commands.
        ssh_key: Fingerprint of the first SSH key that was installed.
        download_hash: Hash of the first downloaded file.
        duration_ms: Duration in milliseconds.
        activity: What was done; None unless it was requested.
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
    asn_method: str | None
    country_method: str | None
    type_method: str | None
    type_by: str | None
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
    activity: Activity | None = None


SESSION_COLUMNS = SessionRow._fields[:-1]
"""Columns of a list of sessions: the fields of `SessionRow` with one value each, all but the last."""


class SessionPage(NamedTuple):
    """A page of sessions, the newest first. `last` is the cursor of the next page; "" if there is none."""

    lines: Sequence[SessionRow]
    last: str


class SessionQueries(Protocol):
    """Queries about stored sessions. With NetworkTime.THEN, the inventory is read for names of organizations only."""

    def groups(
        self,
        session_filter: SessionFilter,
        by: Sequence[Dimension | TimeBucket],
        *,
        top: int,
        with_times: bool = True,
        with_addresses: bool = False,
        with_before: bool = False,
    ) -> Sequence[Group]:
        """
        Return the largest groups, or the newest ones if the first dimension is a time; ties in order of values.

        The largest are those with most login attempts if these are counted, else those with most sessions.

        Args:
            session_filter: The sessions.
            by: Dimensions, each once, and at most one time bucket. User with password: pairs.
            top: Maximum number of groups, at least 1.
            with_times: Also return the first and last time; without, login attempts are counted faster.
            with_addresses: Also count addresses, which takes longer.
            with_before: Also count the sessions of the period of equal length before the filter's, which must have
                both ends, and order by the size of the change, growth or fall.

        Raises:
            InvalidQuery: The combination is not supported.
        """
        ...

    def count_groups(
        self, session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket], *, with_before: bool = False
    ) -> int:
        """Count the groups that `groups` returns without a limit; its arguments and errors."""
        ...

    def concentration(self, session_filter: SessionFilter, by: Dimension, *, known_only: bool = False) -> Concentration:
        """
        Return the concentration of sessions over the values of a dimension.

        Args:
            session_filter: The sessions.
            by: The dimension; must not be repeated.
            known_only: Leave out sessions with an unknown value; otherwise they count as one group.

        Raises:
            InvalidQuery: The combination is not supported.
        """
        ...

    def count_not_current(self, session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket]) -> NotCurrent:
        """
        Count the sessions that are excluded because their facts are not current.

        Args:
            session_filter: The sessions, with NetworkTime.NOW.
            by: The dimensions; each fact among them must be current. Without a fact, any of the three must be.
        """
        ...

    def count_circular(self, session_filter: SessionFilter, by: Sequence[Dimension | TimeBucket]) -> int:
        """
        Count the sessions whose current facts come from the tables of their own snapshots, which are inferred.

        Args:
            session_filter: The sessions, with NetworkTime.NOW.
            by: The dimensions, as for `count_not_current`.
        """
        ...

    def lines(
        self, session_filter: SessionFilter, *, limit: int, after: str = "", with_activity: bool = False
    ) -> SessionPage:
        """
        Return a page of sessions, the newest first.

        Args:
            session_filter: The sessions.
            limit: Maximum number of sessions, at least 1.
            after: Cursor of the previous page; "" for the first page.
            with_activity: Also read what was done.

        Raises:
            InvalidQuery: The cursor is invalid.
        """
        ...

    def addresses(self, session_filter: SessionFilter, *, at_least: int, limit: int, after: str = "") -> AddressPage:
        """
        Return a page of source addresses.

        Args:
            session_filter: The sessions.
            at_least: Minimum number of sessions per address.
            limit: Maximum number of addresses, at least 1.
            after: Cursor of the previous page; "" for the first page.
        """
        ...

    def address_moves(self, session_filter: SessionFilter) -> Sequence[AddressMove]:
        """
        Return the addresses whose network changed between two attacks, the newest first.

        An address counts if consecutive attacks have different known ASNs, and the filter selects the later attack.
        Its latest such change is returned.

        Args:
            session_filter: The later attacks.
        """
        ...

    def attempts_without_credentials(self, session_filter: SessionFilter, *, with_password: bool = False) -> int:
        """
        Count the login attempts whose credentials are not stored.

        They are beyond `MOST_CREDENTIALS` of their session, or an earlier version stored it.

        Args:
            session_filter: The sessions.
            with_password: Also count attempts without a password, such as with a key.
        """
        ...

    def hidden_passwords(self) -> int:
        """Count the tried passwords of which only the hash is stored."""
        ...

    def logins(self, session_ids: Collection[str]) -> Mapping[str, Sequence[StoredLogin]]:
        """Return the login attempts of sessions, the most frequent credentials first; one without any is absent."""
        ...

    def stored_values(self, key: Dimension, *, beginning: str = "", limit: int) -> Sequence[str]:
        """
        Return stored values of a dimension, each once, in order.

        Args:
            key: A dimension of `HASHES` or `ANY_TEXT`.
            beginning: How the values begin, byte for byte; "" for all.
            limit: Maximum number of values, at least 1.
        """
        ...

    def session_ids(self, beginning: str, *, limit: int) -> Sequence[str]:
        """Return the keys of at most *limit* sessions that begin like this, in order."""
        ...
