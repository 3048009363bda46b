"""What can be asked of the inventory, and in which shape it is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import RegisteredBuild
from snapshots.domain.snapshot.as_of import NETWORK_MAX_AGE, TYPE_MAX_AGE
from snapshots.domain.snapshot.freshness import Freshness

NOT_COMPARABLE = (
    "A session cannot be compared in a fact that its snapshot lacks, or without a table newer than the attack and than"
    " the tables the snapshot was made from; import or refresh one (snapshots inventory --help)."
)


def without_newer_table_text(count: int) -> str:
    """Return the message about sessions without a table newer than the attack."""
    sessions = "1 session has" if count == 1 else f"{count:,} sessions have"
    return f"{sessions} no table newer than the attack; import or refresh one (snapshots inventory --help)."


def expired_text(count: int) -> str:
    """Return the message about sessions whose newest tables are too old to say what holds today."""
    sessions = "1 session has" if count == 1 else f"{count:,} sessions have"
    return (
        f"{sessions} only tables that are too old for today ({_limits_text()}); import newer ones (snapshots inventory"
        " import) or install a newer iporigin (pip install --upgrade iporigin; then snapshots inventory refresh)."
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
    A registered build, and how many observations begin with it.

    Attributes:
        registered: Which build.
        observations: How many observations begin with it.
        is_newest: Whether no newer build of its source counts.
        freshness: How far what it says of networks can be believed today.
    """

    registered: RegisteredBuild
    observations: int
    is_newest: bool
    freshness: Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryStatus:
    """
    How well the addresses of the inventory are known today.

    Attributes:
        addresses: How many there are.
        behind: How many of them lack a registered build.
        by_freshness: How many there are of each state.
        sources: Every registered build.
    """

    addresses: int
    behind: int
    by_freshness: Mapping[Freshness, int]
    sources: Sequence[SourceState]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAddress:
    """
    Everything that is known of one address.

    Attributes:
        address: In its one text form.
        first_seen: The first event of its sessions.
        last_seen: The last event of its sessions.
        sessions: How many sessions came from it.
        asn: Its newest ASN.
        organization: What the ASN is called.
        country: Its newest country.
        ip_type: Its newest type.
        history: What sources said of it, by source and date.
        retracted: The source and first build of observations that do not count any more.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """
    A fact that is another today than it was then.

    Attributes:
        then: What the snapshots say; None where they say nothing.
        now: What the inventory says.
        sessions: How many sealed sessions.
        addresses: From how many addresses.
    """

    then: str | None
    now: str | None
    sessions: int
    addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """
    What the snapshots of sealed sessions say, compared with the newest facts of their addresses.

    A fact of a session is compared if the newest answer about it is newer than the attack and than every table that
    the snapshot was made from, and not too old today (see `CurrentSince`).

    Attributes:
        sealed: All sealed sessions.
        newest_tables: The newest build of each source, such as "dbip@2026-09-01".
        sessions: Sessions of which at least one fact is compared.
        addresses: Their addresses.
        compared: How many sessions are compared in each of asn, country and ip_type.
        changed: How many of them differ in it.
        expired: How many are not compared in each, only because the newest answer is too old today.
        moves: The moves of each fact with most sessions.
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
    """Answers from the inventory. Each is one consistent state of the database."""

    def status(self, *, now: datetime) -> InventoryStatus:
        """Return how well addresses are known at a moment."""
        ...

    def address(self, text: str) -> KnownAddress | None:
        """Return everything known of an address in its one text form; None if it was never seen."""
        ...

    def drift(self, *, now: datetime, top: int) -> Drift:
        """Return then against a moment; of each fact at most *top* moves."""
        ...
