"""Check a new build of a source before it is used."""

from collections.abc import Sequence

from snapshots.app.errors import BuildRefused, ConfirmationNeeded
from snapshots.app.ports.database import Stores
from snapshots.app.ports.inventory import FactSource, SourceRegistry
from snapshots.domain.facts.build_checks import (
    SAMPLE,
    WELL_KNOWN,
    refused_changes,
    refused_share,
    refused_size,
    wrong_well_known,
)
from snapshots.domain.facts.observation import NO_FACTS, SourceBuild
from snapshots.domain.facts.source_builds import BuildCalendar, RegisteredBuild

MOST_COMPARED = 5_000
"""Addresses of the inventory that are looked up."""


class BuildChecks:
    """
    Compares a build with well-known addresses, and with the build of the same source that is nearest in time.

    Args:
        source_registry: Opens the other build, if its file is still the same.
    """

    def __init__(self, source_registry: SourceRegistry) -> None:
        self._source_registry = source_registry

    def check(self, source: FactSource, stores: Stores, *, is_forced: bool, is_confirmed: bool) -> None:
        """
        Raise an error unless a build is plausible.

        Args:
            source: The build; it is not registered.
            stores: The transaction.
            is_forced: Whether an implausible build is used all the same.
            is_confirmed: Whether the operator confirmed that a list types many addresses.

        Raises:
            BuildRefused: The build is implausible.
            ConfirmationNeeded: It types many addresses.
        """
        label = source.build.label
        if not is_confirmed and (problem := refused_share(source.typed_shares)):
            raise ConfirmationNeeded(f"{label} {problem}; import it with --yes if this is right")
        if not is_forced and (problem := self._problem(source, stores)):
            raise BuildRefused(f"{label} is refused: {problem}; import it with --force if this is right")

    def _problem(self, source: FactSource, stores: Stores) -> str:
        other = _nearest(source.build, stores.sources.registered())
        if other is None:
            return implausible(source, None)
        opened = self._source_registry.open(other, is_overwritten=True)  # without a warning
        return implausible(source, opened) or self._changes(source, other, stores)

    def _changes(self, source: FactSource, other: SourceBuild, stores: Stores) -> str:
        addresses = [
            address
            for address in stores.inventory.page_addresses(after="", limit=MOST_COMPARED)
            if address.is_routable and address.version in source.versions
        ]
        calendar = BuildCalendar.of(stores.sources.registered())
        histories = stores.inventory.history_of(addresses)
        before = {
            address: each.facts
            for address, history in histories.items()
            for each in calendar.nearest([o for o in history if o.source == other.name], other.built_at)
            if each.observed_at <= other.built_at
        }
        now = source.look_up(list(before))
        pairs = [(facts, now.get(address, NO_FACTS)) for address, facts in before.items()]
        return refused_changes(pairs, abs(source.build.built_at - other.built_at))


def implausible(source: FactSource, other: FactSource | None) -> str:
    """Return why a build cannot be right, from well-known addresses and the size of another build; "" if it may be."""
    supported = [address for address in SAMPLE if address.version in source.versions]
    known = source.look_up([each.address for each in WELL_KNOWN if each.address.version in source.versions])
    problem = wrong_well_known(source.look_up(supported), known, source.build.built_at)
    if problem or other is None or other.build.name != source.build.name:
        return problem
    return refused_size(other.size, source.size, abs(source.build.built_at - other.build.built_at))


def _nearest(build: SourceBuild, registered: Sequence[RegisteredBuild]) -> SourceBuild | None:
    """Return the valid build of the same source that is nearest in time."""
    own = [each.build for each in registered if each.build.name == build.name and not each.is_retracted]
    return min(own, key=lambda other: abs(other.built_at - build.built_at), default=None)
