"""Keep what is known of addresses: import dated tables, refresh, and withdraw what was wrong."""

from collections.abc import Callable
from dataclasses import dataclass

from snapshots.app.enrich.late_completion import Completed, LateCompletion
from snapshots.app.enrich.lookup import Lookups
from snapshots.app.errors import NoSuchBuild, SettingRefused
from snapshots.app.liveness import begin_run
from snapshots.app.ports.database import Database
from snapshots.app.ports.inventory import FactSource
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.runtime import Runtime
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.facts.source_builds import RegisteredBuild
from snapshots.domain.snapshot.freshness import FreshnessPolicy

PAGE = 10_000

ProgressCallback = Callable[[int], None]
"""Is told how many addresses were looked up so far; must not raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """
    What looking addresses up did.

    Attributes:
        addresses: How many were looked up.
        learned: How many observations were added or lengthened.
        completed: What became of the sessions that were open.
    """

    addresses: int
    learned: int
    completed: Completed


class InventoryService:
    """
    Imports, refreshes and withdraws what sources said of the addresses of the inventory.

    Args:
        database: Where the inventory is.
        lookups: Looks addresses up, and learns.
        completion: Judges open sessions again afterwards.
        freshness: Says what is most urgent.
        runtime: Clock, stopwatch, sleep and run names.
    """

    def __init__(
        self,
        database: Database,
        lookups: Lookups,
        completion: LateCompletion,
        freshness: FreshnessPolicy,
        *,
        runtime: Runtime,
    ) -> None:
        self._database = database
        self._lookups = lookups
        self._completion = completion
        self._freshness = freshness
        self._runtime = runtime

    def import_table(self, source: FactSource, on_progress: ProgressCallback) -> LookedUp:
        """
        Register a build, and look every address up in it. Addresses that come later are looked up as they come.

        Importing a build again looks up what is not held yet, so an interrupted import is called again.

        Raises:
            SettingRefused: A build of this name and date is registered with other data, or was retracted.
            SourceUnreadable: The data cannot be read.
            StoreUnavailable: The database failed; whole pages are stored.
        """
        run, now = self._runtime.new_run(), self._runtime.now()
        with self._database.transaction() as stores:
            known = stores.sources.register_build(source.build, registered_at=now)
            _refuse_another(known, source.build)
            begin_run(stores, run, RunKind.IMPORT, at=now)
        after, addresses, learned = "", 0, 0
        while True:
            with self._database.transaction() as stores:
                page = stores.inventory.page_addresses(after=after, limit=PAGE)
                if not page:
                    break
                learned += self._lookups.look_up(page, source, known.number, stores)
                stores.runs.record_progress(run, None, at=self._runtime.now())
            after = page[-1].text
            addresses += len(page)
            on_progress(addresses)
        return self._end(run, addresses, learned)

    def refresh(self, on_progress: ProgressCallback, *, limit: int | None = None) -> LookedUp:
        """
        Look up what lacks a registered build: what nobody looked up, then what is not fresh; newest attackers first.

        In an adopted database, what the other loader's enrichment wrote of addresses is read first.

        Args:
            on_progress: Called after each page with the number of addresses so far.
            limit: How many addresses at most; None for all.

        Raises:
            SourceUnreadable: The data of a build cannot be read.
            StoreUnavailable: The database failed; whole pages are stored.
        """
        run, now = self._runtime.new_run(), self._runtime.now()
        with self._database.transaction() as stores:
            begin_run(stores, run, RunKind.REFRESH, at=now)
            self._lookups.register_sources(stores)
            stores.inventory.take_over(registered_at=now)
        addresses, learned = 0, self._read_documents(run)
        while limit is None or addresses < limit:
            with self._database.transaction() as stores:
                size = PAGE if limit is None else min(PAGE, limit - addresses)
                behind = stores.inventory.most_urgent(self._freshness, now=now, limit=size)
                if not behind:
                    break
                learned += self._lookups.catch_up(behind, stores)
                stores.runs.record_progress(run, None, at=self._runtime.now())
            addresses += len(behind)
            on_progress(addresses)
        return self._end(run, addresses, learned)

    def _read_documents(self, run: str) -> int:
        """Learn what another loader's enrichment left in an adopted database."""
        after, learned = "", 0
        while True:
            with self._database.transaction() as stores:
                page = stores.inventory.documents(after=after, limit=PAGE)
                if not page:
                    return learned
                learned += self._lookups.read_documents(page, stores)
                stores.runs.record_progress(run, None, at=self._runtime.now())
            after = page[-1].address.text

    def retract(self, label: str) -> tuple[RegisteredBuild, int]:
        """
        Withdraw a build, as if it had never been made. Snapshots that it is part of stay, as all do.

        Args:
            label: A source and a day, such as "tor-exits@2026-03-01".

        Returns:
            The build, and how many observations began with it.

        Raises:
            NoSuchBuild: There is none of that name and day, or several.
            StoreUnavailable: The database failed; nothing was withdrawn.
        """
        run, now = self._runtime.new_run(), self._runtime.now()
        with self._database.transaction() as stores:
            found = [b for b in stores.sources.registered() if b.build.label == label and not b.is_retracted]
            if len(found) != 1:
                raise NoSuchBuild(
                    f"there {'are several builds' if found else 'is no build'} {label} to retract;"
                    " `snapshots sources` lists them"
                )
            begin_run(stores, run, RunKind.RETRACT, at=now)
            count = stores.sources.retract_build(found[0].number, retracted_at=now)
        after = ""
        while True:
            with self._database.transaction() as stores:
                page = stores.inventory.page_addresses(after=after, limit=PAGE)
                if not page:
                    stores.counts.recount_networks(counted_at=now)
                    stores.runs.end(run, RunState.DONE, at=self._runtime.now())
                    return found[0], count
                self._lookups.show_again(page, stores)
                stores.runs.record_progress(run, None, at=self._runtime.now())
            after = page[-1].text

    def _end(self, run: str, addresses: int, learned: int) -> LookedUp:
        now = self._runtime.now()
        with self._database.transaction() as stores:
            stores.counts.recount_networks(counted_at=now)
            stores.runs.record_progress(run, {"addresses": addresses, "learned": learned}, at=now)
            stores.runs.end(run, RunState.DONE, at=now)
        return LookedUp(addresses=addresses, learned=learned, completed=self._completion.complete())


def _refuse_another(known: RegisteredBuild, build: SourceBuild) -> None:
    if known.is_retracted:
        raise SettingRefused(f"{build.label} was retracted; import it under another --name")
    if known.build.sha256 != build.sha256:
        raise SettingRefused(f"{build.label} is already registered with other data; give another --name or --as-of")
