"""Import dated tables of facts, refresh the facts of addresses, and retract builds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from snapshots.app.enrich.build_checks import BuildChecks
from snapshots.app.enrich.late_completion import Completed, LateCompletion
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.errors import BuildRefused, NoSuchBuild, SettingRefused
from snapshots.app.liveness import begin_run, failing
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.inventory import FactSource
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.app.retry import ignore, retry
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.facts.build_moment import known_by
from snapshots.domain.facts.network_types import NETWORK_TYPES, is_by_network
from snapshots.domain.facts.observation import SourceBuild, labels_of
from snapshots.domain.facts.source_builds import RegisteredBuild, overwritten, registered_as
from snapshots.domain.snapshot.freshness import FreshnessPolicy

WITHOUT_NETWORK_TYPES = (
    "leave its file out of --network-types and SNAPSHOTS_NETWORK_TYPES; to replace the bundled types, give a table of"
    " your own with --network-types, which comes before them. Snapshots that name it stay, as after every retraction"
)

PAGE = 10_000
"""Addresses per transaction."""

ProgressCallback = Callable[[int], None]
"""Called after each page with the number of addresses looked up so far; must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """
    Result of an import or a refresh.

    Attributes:
        addresses: Addresses that were looked up.
        learned: Observations that were added or extended.
        completed: What became of open sessions.
        label: The label of the imported build; "" after a refresh.
        overwritten: The label of the build that the imported file held before; "" if there is none.
    """

    addresses: int
    learned: int
    completed: Completed
    label: str = ""
    overwritten: str = ""


class _Page(NamedTuple):
    """A page that was stored; `last` is "" if there was none."""

    last: str
    addresses: int = 0
    learned: int = 0


class InventoryService:
    """
    Imports, refreshes and retracts facts about the addresses of the inventory, a page per transaction.

    A transaction is retried after a conflict or a lost connection. If a run fails all the same, it is recorded as
    failed, or as interrupted on Ctrl-C.

    Args:
        database: Holds the inventory.
        lookups: Looks addresses up in builds and stores the observations.
        checks: Refuses implausible builds.
        completion: Completes open sessions whose address has new facts.
        freshness: Decides which addresses are refreshed first.
        runtime: Clock, stopwatch, sleep and run names.
        warn: Called with one sentence when retrying takes long.
    """

    def __init__(
        self,
        database: Database,
        lookups: Lookups,
        checks: BuildChecks,
        completion: LateCompletion,
        freshness: FreshnessPolicy,
        *,
        runtime: Runtime,
        warn: Callable[[str], None] = ignore,
    ) -> None:
        self._database = database
        self._lookups = lookups
        self._checks = checks
        self._completion = completion
        self._freshness = freshness
        self._runtime = runtime
        self._retried = partial(retry, sleep=runtime.sleep, warn=warn)

    def import_table(
        self,
        source: FactSource,
        on_progress: ProgressCallback,
        *,
        is_forced: bool = False,
        is_confirmed: bool = False,
    ) -> LookedUp:
        """
        Register a build, and look up every address in it. Later addresses are looked up when they are first seen.

        A repeated import looks up only what is missing, so an interrupted import is continued by repeating it. If only
        the day of the build is known and has not ended, the time of the import is the moment of the build.

        Args:
            source: The build.
            on_progress: Called after each page.
            is_forced: Whether a build that fails the checks is imported all the same.
            is_confirmed: Whether the operator confirmed that a list types many addresses.

        Raises:
            BuildRefused: The build or its moment is implausible, or a build of this name and moment is registered with
                other data, or was retracted. Nothing was stored.
            ConfirmationNeeded: The build is a list that types many addresses. Nothing was stored.
            SettingRefused: The name is reserved.
            SourceUnreadable: The data cannot be read; completed pages are stored.
            StoreUnavailable: The database failed; completed pages are stored.
        """
        _refuse_name_of_networks(source.build.name)
        run, now = self._runtime.new_run(), self._runtime.now()

        def begin() -> tuple[RegisteredBuild, str]:
            with self._database.transaction() as stores:
                before = stores.sources.registered()
                if registered_as(source.build, before) is None:
                    self._checks.check(source, stores, is_forced=is_forced, is_confirmed=is_confirmed)
                known = _register(source.build, stores, now)
                begin_run(stores, run, RunKind.IMPORT, at=now)
                lost = overwritten(stores.sources.registered()) - overwritten(before)
                return known, next((each.build.label for each in before if each.number in lost), "")

        registered, lost = self._retried(begin)

        def look_up(after: str) -> _Page:
            with self._database.transaction() as stores:
                page = stores.inventory.page_addresses(after=after, limit=PAGE)
                if not page:
                    return _Page("")
                learned = self._lookups.look_up(page, source, registered, stores)
                stores.runs.record_progress(run, None, at=self._runtime.now())
                return _Page(page[-1].text, len(page), learned)

        with failing(run, self._database, self._runtime.clock):
            addresses, learned = self._through(look_up, on_progress)
            self._end(run, addresses, learned)
        return LookedUp(
            addresses=addresses,
            learned=learned,
            completed=self._complete(),
            label=registered.build.label,
            overwritten=lost,
        )

    def refresh(self, on_progress: ProgressCallback, *, limit: int | None = None) -> LookedUp:
        """
        Look up addresses that lack a registered build: those never looked up, then the ones without fresh facts.

        Addresses seen last come first in both groups. In an adopted database, the enrichment documents of the other
        loader are read first.

        Args:
            on_progress: Called after each page.
            limit: Maximum number of addresses; None for all.

        Raises:
            SourceUnreadable: The data of a build cannot be read; completed pages are stored.
            StoreUnavailable: The database failed; completed pages are stored.
        """
        run, now = self._runtime.new_run(), self._runtime.now()

        def begin() -> None:
            with self._database.transaction() as stores:
                begin_run(stores, run, RunKind.REFRESH, at=now)
                self._lookups.register_sources(stores)
                stores.inventory.take_over(registered_at=now)

        self._retried(begin)
        left = limit

        def catch_up(_after: str) -> _Page:
            nonlocal left
            size = PAGE if left is None else min(PAGE, left)
            if size == 0:
                return _Page("")
            with self._database.transaction() as stores:
                urgent = stores.inventory.most_urgent(self._freshness, now=now, limit=size)
                learned = self._lookups.catch_up(urgent, stores).observation_count
                stores.runs.record_progress(run, None, at=self._runtime.now())
            left = None if left is None else left - len(urgent)
            return _Page("more" if urgent else "", len(urgent), learned)

        with failing(run, self._database, self._runtime.clock):
            _, from_documents = self._through(partial(self._read_documents, run), lambda _: None)
            addresses, learned = self._through(catch_up, on_progress)
            self._end(run, addresses, from_documents + learned)
        return LookedUp(addresses=addresses, learned=from_documents + learned, completed=self._complete())

    def _read_documents(self, run: str, after: str) -> _Page:
        """Store facts from a page of the enrichment documents that another loader left in an adopted database."""
        with self._database.transaction() as stores:
            page = stores.inventory.documents(after=after, limit=PAGE)
            if not page:
                return _Page("")
            learned = self._lookups.read_documents(page, stores)
            stores.runs.record_progress(run, None, at=self._runtime.now())
            return _Page(page[-1].address.text, len(page), learned)

    def retract(self, label: str) -> tuple[RegisteredBuild, int | None]:
        """
        Retract a build, as if it had never been published. Snapshots made from it stay, as all snapshots do.

        If it is already retracted, only the current facts of all addresses are computed again, which completes a
        retraction that was interrupted.

        Args:
            label: A source and a date, such as "tor-exits@2026-03-01"; with the time if the source has several builds
                of the day.

        Returns:
            The build, and the number of observations that began with it; None if it was already retracted.

        Raises:
            NoSuchBuild: No build has this label, or several do.
            SettingRefused: The build has types by network: it is used by every process that opens its file.
            StoreUnavailable: The database failed; a repeated call continues, unless nothing was withdrawn.
        """
        if is_by_network(label):
            raise SettingRefused(
                f"{label} has types of networks, which are read from a file and not stored, so there is nothing to"
                f" retract: {WITHOUT_NETWORK_TYPES}"
            )
        run, now = self._runtime.new_run(), self._runtime.now()

        def begin() -> tuple[RegisteredBuild, int | None]:
            with self._database.transaction() as stores:
                found = _build_to_retract(stores.sources.registered(), label)
                begin_run(stores, run, RunKind.RETRACT, at=now)
                if found.is_retracted:
                    return found, None
                return found, stores.sources.retract_build(found.number, retracted_at=now)

        build, count = begin()  # not retried: after a lost connection it may have been committed

        def show_again(after: str) -> _Page:
            with self._database.transaction() as stores:
                page = stores.inventory.page_addresses(after=after, limit=PAGE)
                if not page:
                    return _Page("")
                self._lookups.show_again(page, stores)
                stores.runs.record_progress(run, None, at=self._runtime.now())
                return _Page(page[-1].text, len(page))

        with failing(run, self._database, self._runtime.clock):
            self._through(show_again, lambda _: None)
            self._retried(partial(self._record_end, run, None))
        return build, count

    def _through(self, store_page: Callable[[str], _Page], on_progress: ProgressCallback) -> tuple[int, int]:
        """Store page after page, and return the number of addresses and of observations learned."""
        addresses, learned = 0, 0
        page = self._retried(partial(store_page, ""))
        while page.last:
            addresses += page.addresses
            learned += page.learned
            on_progress(addresses)
            page = self._retried(partial(store_page, page.last))
        return addresses, learned

    def _end(self, run: str, addresses: int, learned: int) -> None:
        self._retried(partial(self._record_end, run, {"addresses": addresses, "learned": learned}))

    def _record_end(self, run: str, counts: Mapping[str, int] | None) -> None:
        now = self._runtime.now()
        with self._database.transaction() as stores:
            stores.counts.recount_networks(counted_at=now)
            stores.runs.record_progress(run, counts, at=now)
            stores.runs.end(run, RunState.DONE, at=now)

    def _complete(self) -> Completed:
        return self._retried(self._completion.complete)


def _register(build: SourceBuild, stores: Stores, now: datetime) -> RegisteredBuild:
    """
    Register a build, or return the registered one that it is.

    Raises:
        BuildRefused: The moment is implausible, or the label is that of a retracted build or of one with other data.
    """
    known = stores.sources.registered()
    if (same := registered_as(build, known)) is None:
        build = replace(build, built_at=known_by(build.built_at, now))
        same = next((each for each in known if each.build.label == build.label), None)
    if same is None:
        if build.built_at not in PlausibleTimes.seen_from(now):
            raise BuildRefused(f"{build.label} is from before 2000 or from the future; give the date with --as-of")
        return stores.sources.register_build(build, registered_at=now)
    if same.is_retracted:
        raise BuildRefused(f"{same.build.label} was retracted; import it under another --name")
    if same.build.sha256 != build.sha256:
        raise BuildRefused(
            f"{build.label} is already registered with other data; give another --name, or --as-of with the time"
        )
    return same


def _refuse_name_of_networks(name: str) -> None:
    if is_by_network(name):
        raise SettingRefused(f"names that begin with {NETWORK_TYPES} are for types by network; give another --name")


def _build_to_retract(registered: Sequence[RegisteredBuild], label: str) -> RegisteredBuild:
    """
    Return the build with a label: the one that is not retracted, or else one that is.

    Raises:
        NoSuchBuild: There is none, or there are several that are not retracted.
    """
    found = [each for each in registered if each.build.label == label]
    found = found or [each for each in registered if label in labels_of(each.build.name, each.build.built_at)]
    valid = [each for each in found if not each.is_retracted]
    if not found or len(valid) > 1:
        raise NoSuchBuild(
            f"there {'are several builds' if found else 'is no build'} {label} to retract;"
            " `snapshots facts sources` lists them"
        )
    return (valid or found)[0]
