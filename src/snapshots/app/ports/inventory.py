"""Ports for facts about addresses: sources, their builds, and the inventory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_name import NetworkName
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild
from snapshots.domain.facts.source_builds import RegisteredBuild
from snapshots.domain.snapshot.freshness import FreshnessPolicy
from snapshots.domain.snapshot.provenance import CurrentFacts


class FactSource(Protocol):
    """
    One build of one source of facts about addresses.

    Every implementation passes tests/adapters/intel/test_bundled.py.
    """

    @property
    def build(self) -> SourceBuild:
        """Return the identity of the build."""
        ...

    @property
    def versions(self) -> frozenset[int]:
        """Return the IP versions that the build covers: 4, 6 or both."""
        ...

    @property
    def size(self) -> int:
        """Return the number of ranges, or of another unit that is the same for all builds of a source; 0 if unknown."""
        ...

    @property
    def typed_shares(self) -> Mapping[IpType, float]:
        """Return the share of the addresses of an IP version that the build types; empty if it is no list."""
        ...

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """
        Return the facts of each address; an address that the build does not contain is absent.

        Raises:
            SourceUnreadable: The data cannot be read.
        """
        ...


class SourceRegistry(Protocol):
    """Opens the data of builds."""

    def current(self) -> Sequence[FactSource]:
        """
        Return the bundled builds and those of the settings, the most trusted first.

        A file that was replaced is opened again. If it has become unreadable, one warning is issued and the build
        that was read before is used.
        """
        ...

    def open(self, build: SourceBuild, *, is_overwritten: bool = False) -> FactSource | None:
        """
        Return a registered build for lookups; None, with one warning, if its file is missing or has changed.

        Args:
            build: The build.
            is_overwritten: Whether its file is known to hold a later build, which needs no warning.
        """
        ...


class LearnedFacts(NamedTuple):
    """
    What was learned about addresses that have the same facts.

    Attributes:
        addresses: The addresses.
        observations: The observations to store about each of them, by registered builds or of enrichment documents.
        newest: The newest facts of each of them; None leaves the stored ones unchanged.
    """

    addresses: Sequence[IpAddress]
    observations: Sequence[IpObservation] = ()
    newest: CurrentFacts | None = None


class IpInventory(Protocol):
    """
    Every address seen, and all observations of it.

    Every implementation passes tests/contracts/test_ip_inventory.py.
    """

    def as_of(
        self, sightings: Collection[Sighting], *, known_by_then: bool = False
    ) -> Mapping[Sighting, Sequence[IpObservation]]:
        """
        Return the observations nearest to each sighting, in one query for the whole batch.

        Args:
            sightings: A batch; may be empty.
            known_by_then: Exclude observations that were stored after the sighting: the facts that were known then, not
                those that were true then.

        Returns:
            For each sighting and source, an observation of the newest build at or before the sighting and one of the
            oldest build after it; retracted builds are ignored. A sighting whose address was never looked up is
            absent.

        Raises:
            StoreUnavailable: The inventory did not answer. Nothing was changed.
        """
        ...

    def learned_last(self) -> datetime | None:
        """
        Return the newest learned_at; None without any.

        learned_at is a monotonic sequence of the inventory: each value is later than the previous one, even if clocks
        disagree, and values become visible in order, because a transaction that writes one blocks other writers.
        """
        ...

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """
        Return all observations of each address, in one query for all addresses.

        An address that was never looked up is absent.

        Raises:
            StoreUnavailable: The inventory did not answer. Nothing was changed.
        """
        ...

    def register_addresses(
        self, sightings: Collection[Sighting], *, registered_at: datetime
    ) -> Mapping[IpAddress, int]:
        """
        Insert the addresses that the inventory lacks, with a session count of 0.

        Returns:
            The addresses that were not looked up in the newest registered build, each with the number of the last
            build in which it was; 0 for a new address.
        """
        ...

    def page_addresses(self, *, after: str, limit: int) -> Sequence[IpAddress]:
        """Return addresses in text order after *after*; "" for the first page."""
        ...

    def page_looked_up(self, within: KeyRange, *, limit: int) -> Sequence[IpAddress]:
        """Return the first addresses of a range that were looked up in every registered build, in text order."""
        ...

    def page_outdated(self, *, after: str, limit: int) -> Mapping[IpAddress, int]:
        """Return addresses after *after* that lack a registered build, as `register_addresses` does, in text order."""
        ...

    def address_ranges(self, count: int) -> Sequence[KeyRange]:
        """Split the addresses, in text order, into at most *count* ranges of similar size."""
        ...

    def count_addresses(self) -> int:
        """Count the addresses."""
        ...

    def take_over(self, *, registered_at: datetime) -> None:
        """Copy addresses and network names from another loader's inventory, if there is one."""
        ...

    def documents(self, *, after: str, limit: int) -> Sequence["Document"]:
        """Return enrichment documents of another loader in the order of addresses; none in a database of our own."""
        ...

    def documents_of(self, addresses: Collection[IpAddress]) -> Sequence["Document"]:
        """Return the enrichment documents of another loader about these addresses."""
        ...

    def most_urgent(self, freshness: FreshnessPolicy, *, now: datetime, limit: int) -> Mapping[IpAddress, int]:
        """
        Return the addresses to look up next, in the form of `register_addresses`.

        Addresses that were never looked up come first, then those without fresh facts; the ones seen last first.
        """
        ...

    def learn(
        self,
        learned: Collection[LearnedFacts],
        organizations: Mapping[int, NetworkName],
        *,
        learned_at: datetime,
        looked_up: Collection[IpAddress] = (),
        since: int = 0,
        until: int = 0,
    ) -> None:
        """
        Insert observations, or extend the stored ones with the same address, source and observed_at.

        Facts never change once they are stored.

        Args:
            learned: What was learned about registered addresses; each address occurs once.
            organizations: Names of autonomous systems by number; the stored name is the result of `newest_name`.
            learned_at: The current time.
            looked_up: Addresses that were looked up in the builds numbered after *since* up to *until*.
            since: Number of a registered build; an address that lacks an older build continues to lack it.
            until: Number of a registered build.
        """
        ...

    def forget_newest(self, addresses: Collection[IpAddress]) -> None:
        """Clear the newest facts of these addresses, until `learn` sets them again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    An enrichment document of another loader about an address.

    Attributes:
        address: The address.
        content: Decoded JSON of any shape.
        written_at: Time of the last update, in UTC.
    """

    address: IpAddress
    content: object
    written_at: datetime


class InventoryCounts(Protocol):
    """
    First seen, last seen and session count of addresses and networks.

    Every implementation passes tests/contracts/test_ip_inventory.py.
    """

    def count_sessions(self, changes: Sequence[SessionChange], *, seen_at: datetime) -> None:
        """
        Update first_seen, last_seen and session_count of addresses for changed sessions.

        Args:
            changes: Changes that are not saved yet; their addresses are registered.
            seen_at: The current time.
        """
        ...

    def addresses_until(self, within: KeyRange, *, limit: int) -> str:
        """Return the last of the first *limit* addresses of a range; "" if it has none."""
        ...

    def count_found(self, run: str, within: KeyRange, *, seen_at: datetime) -> None:
        """Count the sessions whose address a run recovered, for a range of addresses."""
        ...

    def recount_networks(self, *, counted_at: datetime) -> None:
        """Recompute first seen, last seen and counts of every network from the addresses that are now in it."""
        ...


class FactSources(Protocol):
    """
    The registered builds.

    Every implementation passes tests/contracts/test_fact_sources.py.
    """

    def registered(self) -> Sequence[RegisteredBuild]:
        """Return every build in the order of registration, including retracted ones."""
        ...

    def register_build(self, build: SourceBuild, *, registered_at: datetime) -> RegisteredBuild:
        """Register a build unless its name and date are registered; return the registered build."""
        ...

    def retract_build(self, number: int, *, retracted_at: datetime) -> int:
        """
        Retract a build: its observations are ignored; those repeated by a later build count from that one on.

        Returns:
            The number of observations that began with it.
        """
        ...
