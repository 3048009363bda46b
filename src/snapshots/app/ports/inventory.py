"""What use cases need of facts about addresses: sources, their builds, and the inventory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.address.source_ip import IpAddress, Sighting
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
        """Return which build this is."""
        ...

    @property
    def versions(self) -> frozenset[int]:
        """Return of which versions of IP it speaks: 4, 6 or both."""
        ...

    def look_up(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, IpFacts]:
        """
        Return what the build says of each address; an address it does not know is absent.

        Raises:
            SourceUnreadable: The data cannot be read.
        """
        ...


class SourceRegistry(Protocol):
    """Where the data of builds stands."""

    def current(self) -> Sequence[FactSource]:
        """
        Return the builds that come with the program and the settings, the most trusted first.

        A file that was replaced is opened anew; one that cannot be read any more is told once, and the
        build that was read before stays.
        """
        ...

    def open(self, build: SourceBuild) -> FactSource | None:
        """Return a registered build to look addresses up in; None, told once, if its file is gone or another."""
        ...


class IpInventory(Protocol):
    """
    Every address seen, and everything that sources said of it.

    Every implementation passes tests/contracts/test_ip_inventory.py.
    """

    def as_of(
        self, sightings: Collection[Sighting], *, known_by_then: bool = False
    ) -> Mapping[Sighting, Sequence[IpObservation]]:
        """
        Return what sources said next to each sighting, in one query whatever their number.

        Args:
            sightings: A whole batch; may be empty.
            known_by_then: Leave out what was learned only after the sighting: what was known then, and
                not what was true then.

        Returns:
            For each sighting, of every source its newest build at or before it and its oldest after it,
            as an observation of that one build; retracted builds say nothing. A sighting whose address
            nobody looked up is absent.

        Raises:
            StoreUnavailable: The inventory did not answer. Nothing was changed.
        """
        ...

    def learned_last(self) -> datetime | None:
        """
        Return the newest learned_at; None without any.

        learned_at is a monotonic sequence of the inventory: each value is later than the one before, whatever the
        clocks, and values become visible in order, because a transaction that writes one blocks other writers.
        """
        ...

    def history_of(self, addresses: Collection[IpAddress]) -> Mapping[IpAddress, Sequence[IpObservation]]:
        """
        Return all observations of each address, in one query whatever their number.

        An address that nobody looked up is absent.

        Raises:
            StoreUnavailable: The inventory did not answer. Nothing was changed.
        """
        ...

    def register_addresses(
        self, sightings: Collection[Sighting], *, registered_at: datetime
    ) -> Mapping[IpAddress, int]:
        """
        Add the addresses that the inventory does not hold, still without sessions.

        Returns:
            The addresses that were not looked up in the newest registered build, each with the number of
            the build up to which it was; 0 for a new address.
        """
        ...

    def page_addresses(self, *, after: str, limit: int) -> Sequence[IpAddress]:
        """Return addresses in the order of their texts, behind *after*; "" for the first page."""
        ...

    def page_looked_up(self, *, after: str, limit: int) -> Sequence[IpAddress]:
        """Return addresses that lack no registered build, in the order of their texts, behind *after*."""
        ...

    def count_addresses(self) -> int:
        """Count the addresses."""
        ...

    def take_over(self, *, registered_at: datetime) -> None:
        """Copy addresses and network names from another loader's inventory, if there is one."""
        ...

    def documents(self, *, after: str, limit: int) -> Sequence["Document"]:
        """Return what another loader's enrichment left of addresses, in the order of their texts; none in our own."""
        ...

    def documents_of(self, addresses: Collection[IpAddress]) -> Sequence["Document"]:
        """Return what another loader's enrichment left of these addresses."""
        ...

    def most_urgent(self, freshness: FreshnessPolicy, *, now: datetime, limit: int) -> Mapping[IpAddress, int]:
        """
        Return as `register_addresses` does the most urgent addresses that lack builds.

        Those that nobody looked up come first, then those whose newest facts are not fresh; in each the ones seen last.
        """
        ...

    def learn(
        self,
        observations: Collection[IpObservation],
        organizations: Mapping[int, NetworkName],
        newest: Mapping[IpAddress, CurrentFacts],
        *,
        learned_at: datetime,
        looked_up: Collection[IpAddress] = (),
        since: int = 0,
        until: int = 0,
    ) -> None:
        """
        Add observations, or lengthen those held under the same address, source and observed_at.

        Facts, once stored, never change.

        Args:
            observations: What registered builds said of registered addresses, or another loader's enrichment.
            organizations: Names of autonomous systems by their numbers; the stored name is the result of `newest_name`.
            newest: The newest facts of each address.
            learned_at: The present moment.
            looked_up: Addresses that were looked up in the builds behind *since* up to *until*.
            since: The number of a registered build; an address that lacks an older one still lacks it.
            until: The number of a registered build.
        """
        ...

    def forget_newest(self, addresses: Collection[IpAddress]) -> None:
        """Show no facts of these addresses, until `learn` shows them again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    What another loader's enrichment wrote of an address.

    Attributes:
        address: The address.
        content: A decoded JSON document, of any shape.
        written_at: When it was written last, in UTC.
    """

    address: IpAddress
    content: object
    written_at: datetime


class InventoryCounts(Protocol):
    """
    First and last seen, and how many sessions, of addresses and networks.

    Every implementation passes tests/contracts/test_ip_inventory.py.
    """

    def count_sessions(self, changes: Sequence[SessionChange], *, seen_at: datetime) -> None:
        """
        Keep first_seen, last_seen and session_count of addresses true to the sessions.

        Args:
            changes: What becomes of each session; not saved yet, its address registered.
            seen_at: The present moment.
        """
        ...

    def addresses_until(self, *, after: str, limit: int) -> str:
        """Return the last of at most so many addresses behind one, or behind ""; "" if there are no more."""
        ...

    def count_found(self, run: str, *, after: str, until: str, seen_at: datetime) -> None:
        """
        Count the sessions whose address a run found, on some of the addresses.

        Args:
            run: The run.
            after: The address to start behind; "" for the first ones.
            until: The last of the addresses.
            seen_at: The present moment.
        """
        ...

    def recount_networks(self, *, counted_at: datetime) -> None:
        """Make first and last seen and the counts of every network those of the addresses that are in it now."""
        ...


class FactSources(Protocol):
    """
    The builds that addresses are looked up in.

    Every implementation passes tests/contracts/test_fact_sources.py.
    """

    def registered(self) -> Sequence[RegisteredBuild]:
        """Return every build in the order of its registration, retracted ones too."""
        ...

    def register_build(self, build: SourceBuild, *, registered_at: datetime) -> RegisteredBuild:
        """Record a build, unless one of this name and date is recorded; return what is recorded."""
        ...

    def retract_build(self, number: int, *, retracted_at: datetime) -> int:
        """
        Withdraw a build: what it said counts no more, and what later builds repeated counts from them.

        Returns:
            How many observations began with it.
        """
        ...
