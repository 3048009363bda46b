"""Port for reports about the inventory, and their values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from snapshots.app.pip_install import pip_install
from snapshots.app.queries.session_queries import EVERYTHING, SessionFilter
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import RegisteredBuild
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_AGE
from snapshots.domain.snapshot.freshness import Freshness
from snapshots.domain.snapshot.validity import NewestBuild

NOT_COMPARABLE = (
    "A session cannot be compared in a fact that its snapshot lacks, or without a table newer than the attack and than"
    " the tables the snapshot was made from; import or refresh one (snapshots facts --help)."
)


def without_newer_table_text(count: int) -> str:
    """Return the message about sessions without a table newer than the attack."""
    sessions = "1 session has" if count == 1 else f"{count:,} sessions have"
    return f"{sessions} no table newer than the attack; import or refresh one (snapshots facts --help)."


def circular_text(count: int) -> str:
    """Return the message about sessions that are compared with the tables of their own snapshots."""
    sessions = "1 session was" if count == 1 else f"{count:,} sessions were"
    return f"{sessions} inferred from the newest table itself: whether their networks changed since is unknown."


def expired_text(count: int) -> str:
    """Return the message about sessions whose newest tables are too old to be valid today."""
    sessions = "1 session has" if count == 1 else f"{count:,} sessions have"
    return (
        f"{sessions} only tables that are too old for today ({_limits_text()}); import newer ones (snapshots facts"
        f" import), or install a newer iporigin ({pip_install('--upgrade iporigin')}; then snapshots facts refresh)."
    )


def _limits_text() -> str:
    by_days: dict[int, list[str]] = {}
    for ip_type, age in TYPE_MAX_AGE.items():
        by_days.setdefault(age.days, []).append(ip_type.value)
    by_days[min(by_days)].append("no type")
    by_days.setdefault(NETWORK_MAX_AGE.days, []).extend(["ASN", "country"])
    return "; ".join(f"{', '.join(names)}: {days} days" for days, names in sorted(by_days.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """
    A registered build with its number of observations.

    Attributes:
        registered: The build.
        observations: Number of observations that begin with it.
        is_newest: Whether it is the newest build of its source that is not retracted.
        freshness: Freshness of its networks today.
    """

    registered: RegisteredBuild
    observations: int
    is_newest: bool
    freshness: Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryStatus:
    """
    State of the inventory.

    Attributes:
        addresses: Number of addresses.
        behind: Addresses that were not looked up in every registered build.
        by_freshness: Number of addresses by freshness.
        sources: All registered builds.
    """

    addresses: int
    behind: int
    by_freshness: Mapping[Freshness, int]
    sources: Sequence[SourceState]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAddress:
    """
    All data about one address.

    Attributes:
        address: Canonical text form.
        first_seen: Time of the first event of its sessions.
        last_seen: Time of the last event of its sessions.
        sessions: Number of its sessions.
        asn: Newest ASN.
        organization: Name of the ASN.
        country: Newest country.
        ip_type: Newest type.
        history: All observations, by source and date.
        retracted: Source and first build of observations that are ignored after a retraction.
    """

    address: str
    first_seen: datetime
    last_seen: datetime
    sessions: int
    asn: int | None
    organization: str | None
    country: str | None
    ip_type: str | None
    history: Sequence[IpObservation]
    retracted: frozenset[tuple[str, datetime]]

    @property
    def has_type_of_network(self) -> bool:
        """Whether the newest type is that of the network: no observation of the address states it."""
        stated = {kind.value for observation in self.history for kind in observation.facts.ip_types}
        return self.ip_type is not None and self.ip_type not in stated


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """
    A fact that differs between the attack and today.

    Attributes:
        then: Value in the snapshots; None if unknown.
        now: Value in the inventory.
        sessions: Number of sealed sessions.
        addresses: Number of their addresses.
    """

    then: str | None
    now: str | None
    sessions: int
    addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """
    Snapshots of sealed sessions, compared with the newest facts about their addresses.

    A fact of a session is compared if the newest answer about it is newer than the attack and than every table that
    the snapshot was made from, and not too old today (see `CurrentSince`).

    Attributes:
        sealed: Number of sealed sessions.
        newest_tables: Newest build of each source, such as "dbip@2026-09-01".
        sessions: Sessions with at least one compared fact.
        addresses: Number of their addresses.
        compared: Compared sessions by fact: asn, country, ip_type.
        changed: Compared sessions whose fact differs, by fact.
        expired: Sessions that are not compared only because the newest answer is too old today, by fact.
        moves: Most frequent changes of each fact.
    """

    sealed: int
    newest_tables: Sequence[str]
    sessions: int
    addresses: int
    compared: Mapping[str, int]
    changed: Mapping[str, int]
    expired: Mapping[str, int]
    moves: Mapping[str, Sequence[Move]]


class InventoryReports(Protocol):
    """Reports about the inventory. Each reads one consistent state of the database."""

    def status(self, *, now: datetime) -> InventoryStatus:
        """Return the state of the inventory at a time."""
        ...

    def address(self, text: str) -> KnownAddress | None:
        """Return all data about an address in canonical text form; None if it was never seen."""
        ...

    def newest_builds(self) -> Sequence[NewestBuild]:
        """Return the newest build of each source that is not retracted, with the kinds of facts that it stated."""
        ...

    def drift(self, *, now: datetime, top: int, session_filter: SessionFilter = EVERYTHING) -> Drift:
        """
        Compare snapshots with current facts.

        Args:
            now: Determines which facts are current.
            top: Maximum number of changes of each fact.
            session_filter: The sessions.

        Raises:
            InvalidQuery: A value of the filter is not valid.
        """
        ...
