"""The stages of a backfill, and its state between batches."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial

from snapshots.app.backfill.prefetch import ReadAhead
from snapshots.app.backfill.pushdown import Pushdown, counts_of
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import BatchResult, RowRef, Stage, Work
from snapshots.app.backfill.worker import ParallelWorker, VerdictBatch
from snapshots.app.backfill_runs import COUNTING, last_done, left_at
from snapshots.app.enrich.apply_verdicts import AppliedPage, FoundPage, VerdictApplier, verdicts_in
from snapshots.app.ports.database import Database, Stores
from snapshots.app.ports.open_sessions import Judged, OpenCase, PushdownResult, StagedVerdicts
from snapshots.app.ports.runs import HEARTBEAT_TIMEOUT
from snapshots.app.ports.runtime import Clock
from snapshots.domain.snapshot.gap import Gap

SAMPLES = 5
"""Sample sessions per kind of verdict in a report."""

LARGEST_READ = 1_000
"""Sessions that Python reads at once, with their documents."""

PRECOMPUTE = "precompute"
"""Name of the setup stage, as progress shows it."""

PRECOMPUTE_MIN_RATIO = 2
"""Minimum number of sessions per address from which the verdicts of all addresses are computed first."""

PRECOMPUTE_MIN_ADDRESSES = 0.25
"""Share of the addresses whose verdicts are cached before the second worker starts to apply them."""

COUNTED = 4_000
"""Addresses whose sessions are counted in one transaction."""


class BackfillStages:
    """
    Builds the stages of one backfill, and holds its state between batches.

    Args:
        run: The run that writes.
        database: The database.
        verdict_applier: Evaluates and writes pages of sessions.
        clock: Returns the time of each write.
        ahead: Prefetches the next page.
        parallel_worker: The second worker.
        is_dry_run: Whether nothing is stored.
        has_begun: Whether the run may have evaluated sessions before, here or in another process.
    """

    def __init__(
        self,
        run: str,
        database: Database,
        verdict_applier: VerdictApplier,
        clock: Clock,
        ahead: ReadAhead[FoundPage],
        *,
        parallel_worker: ParallelWorker,
        is_dry_run: bool = False,
        has_begun: bool = False,
    ) -> None:
        self.run = run
        self._parallel_worker = parallel_worker
        self._database = database
        self._ahead = ahead
        self.learned_until: datetime | None = None
        self._verdict_applier = verdict_applier
        self._clock = clock
        self._is_dry_run = is_dry_run
        self._may_have_found = has_begun
        self._samples: dict[object, list[Judged]] = {}
        self.written_bytes: float | None = None
        self._has_written = False
        self._logged = Counter[str]()
        self._precompute_total, self._precomputed = 0, 0
        self._pushdown = Pushdown(verdict_applier, run)

    @property
    def samples(self) -> list[Judged]:
        """Return sample sessions, at most `SAMPLES` per kind of verdict."""
        return [each for of_its_kind in self._samples.values() for each in of_its_kind]

    def stages(self, settings: Mapping[str, str]) -> list[Stage]:
        """Return the stages for the settings of the run."""
        is_again = settings.get("again") == "True"
        cases = [OpenCase.NEVER_JUDGED, OpenCase.UNDONE, OpenCase.AGAIN if is_again else OpenCase.LEARNED]
        if self._is_dry_run:
            return [self._stage(case) for case in cases]
        if is_again:  # AGAIN excludes what this run evaluated, so facts learned meanwhile need a pass
            cases.append(OpenCase.LEARNED)
        # Rows may have been inserted or moved (by an UPDATE on PostgreSQL) since the first pass.
        passes = [*(self._stage(case) for case in cases), self._once_more()]
        passes[0] = replace(passes[0], setup=self._precompute_stage(), context=self._assisted)
        return [*passes, self._counting()]

    def _once_more(self) -> Stage:
        return replace(self._stage(OpenCase.NEVER_JUDGED), name="once_more", is_optional=True)

    def _stage(self, case: OpenCase) -> Stage:
        def step(stores: Stores, after: str, limit: int) -> BatchResult:
            done = self._process(case, stores, after, limit)
            self._may_have_found |= done.handled > 0
            return done

        def first(stores: Stores, after: str) -> RowRef | None:
            found = stores.open_sessions.first(case, run=self.run, stale_before=self._stale_before(), after=after)
            return RowRef(*found) if found is not None else None

        return Stage(
            name=case.value,
            step=step,
            first=first,
            count=partial(self._left, case),
            on_rollback=self._verdict_applier.clear_cache,
        )

    def _precompute_stage(self) -> Stage:
        """Return the stage that computes the verdicts of all addresses first, if most have several sessions."""

        def count(stores: Stores) -> int:
            if not self._verdict_applier.can_precompute(stores):
                return 0
            addresses = stores.inventory.count_addresses()
            if addresses * PRECOMPUTE_MIN_RATIO > self._left(OpenCase.NEVER_JUDGED, stores):
                return 0
            self._precompute_total, self._precomputed = addresses, 0
            return addresses

        def step(stores: Stores, after: str, limit: int) -> BatchResult:
            may_settle = self._precomputed >= self._precompute_total * PRECOMPUTE_MIN_ADDRESSES
            publish = partial(self._publish, may_settle=may_settle, more_follows=True)
            last, handled = self._verdict_applier.precompute(stores, after=after, limit=limit, on_staged=publish)
            self._precomputed += handled
            return BatchResult(last, handled, {})

        return Stage(
            name=PRECOMPUTE,
            step=step,
            count=count,
            counts_sessions=False,
            is_optional=True,
            throttle=Throttle(),  # the throttle of the run limits writes to sessions, and this stage writes none
            on_rollback=self._verdict_applier.clear_cache,
        )

    @contextmanager
    def _assisted(self, work: Work) -> Iterator[None]:
        def unjudged() -> int:
            with self._database.view() as stores:
                return self._left(OpenCase.NEVER_JUDGED, stores)

        before = work.counts["judged"]
        with self._parallel_worker.assisting(
            work, unjudged, after=left_at(work.checkpoint, OpenCase.NEVER_JUDGED.value)
        ):
            yield
        self._may_have_found |= work.counts["judged"] > before

    def _publish(
        self,
        staged: StagedVerdicts,
        knowledge: object,
        learned_until: datetime | None,
        *,
        may_settle: bool = True,
        more_follows: bool = False,
    ) -> None:
        self._parallel_worker.publish(VerdictBatch(staged, knowledge, learned_until, may_settle, more_follows))

    def _left(self, case: OpenCase, stores: Stores) -> int:
        return stores.open_sessions.count(case, run=self.run, stale_before=self._stale_before())

    def _stale_before(self) -> datetime:
        return self._clock.now() - HEARTBEAT_TIMEOUT

    def _process(self, case: OpenCase, stores: Stores, after: str, limit: int) -> BatchResult:
        if case is OpenCase.LEARNED and not after:
            self.learned_until = stores.inventory.learned_last()
        if case is OpenCase.LEARNED and self._nothing_was_learned(stores):
            return BatchResult("", 0, {})
        if self._is_dry_run and self._has_written:
            return self._process_batch(case, stores, after, limit)
        log_before, applied_before = stores.log_position(), self._parallel_worker.applied
        done = self._process_batch(case, stores, after, limit)
        self._has_written |= done.handled > 0
        log_after = stores.log_position()
        if done.handled and log_before is not None and log_after is not None:
            by_worker = self._parallel_worker.applied - applied_before
            self._logged.update(bytes=log_after - log_before, sessions=done.handled + by_worker)
            self.written_bytes = self._logged["bytes"] / self._logged["sessions"]
        return done

    def _process_batch(self, case: OpenCase, stores: Stores, after: str, limit: int) -> BatchResult:
        now = self._clock.now()
        known = None
        if case is OpenCase.NEVER_JUDGED and not self._is_dry_run:
            if self._parallel_worker.is_running:
                self._verdict_applier.publish(stores, self._publish)
            self._parallel_worker.limit_main_worker(stores)
            known = self._pushdown.apply(stores, after=after, limit=limit)
        counts = counts_of(known)
        if known is not None and not known.left:
            return BatchResult(known.last, counts["judged"], counts)
        last = after
        for found in self._pages(case, stores, after, limit, known):
            next_after = found.last if known is None or found.last == known.last else ""
            page = self._verdict_applier.apply_verdicts(
                found,
                stores,
                run=self.run,
                now=now,
                is_dry_run=self._is_dry_run,
                writes=not self._is_dry_run or not self._has_written,
                before_execute=partial(self._start_prefetch, case, next_after, limit),
            )
            counts += self._counts_of(page)
            last = page.last
        return BatchResult(last, counts["judged"], counts)

    def _pages(
        self, case: OpenCase, stores: Stores, after: str, limit: int, known: PushdownResult | None
    ) -> Iterator[FoundPage]:
        """Yield the pages of a batch that Python evaluates; the last one ends where the batch ends."""
        left = min(limit, LARGEST_READ) if known is None else known.left
        found = self._ahead.take((case, after))
        if found is None or len(found.sessions) > left:  # the limit shrinks after a refused batch
            found = self._read(case, stores, after, min(left, LARGEST_READ))
        if known is not None:
            while found.last and (left := left - len(found.sessions)) > 0:
                yield found
                found = self._read(case, stores, found.last, min(left, LARGEST_READ))
            found = found._replace(last=known.last)
        yield found

    def _counts_of(self, page: AppliedPage) -> Counter[str]:
        """Return the results of a page by name, and add to the samples."""
        for each in page.judged:
            of_its_kind = self._samples.setdefault(_kind(each), [])
            if len(of_its_kind) < SAMPLES:
                of_its_kind.append(each)
        written = [each for each in page.judged if each.session.session_id not in page.lost]
        return verdicts_in(written) + Counter(
            judged=len(page.judged), lost=len(page.lost), found=sum(each.was_found for each in written)
        )

    def _read(self, case: OpenCase, stores: Stores, after: str, limit: int, *, is_ahead: bool = False) -> FoundPage:
        return self._verdict_applier.read_page(
            case, stores, run=self.run, stale_before=self._stale_before(), after=after, limit=limit, is_ahead=is_ahead
        )

    def _start_prefetch(self, case: OpenCase, after: str, limit: int) -> None:
        """Start to prefetch the next page, in the pass over the whole table and if Python evaluates that page."""
        if after and case is OpenCase.NEVER_JUDGED and (self._is_dry_run or not self._pushdown.is_asked_next):
            self._ahead.begin((case, after), partial(self._prefetch_page, case, after, min(limit, LARGEST_READ)))

    def _prefetch_page(self, case: OpenCase, after: str, limit: int) -> FoundPage:
        """Read a page before the preceding one is written. The UPDATE skips rows that change in between."""
        with self._database.view() as stores:
            self._parallel_worker.limit_main_worker(stores)
            return self._read(case, stores, after, limit, is_ahead=True)

    @staticmethod
    def _nothing_was_learned(stores: Stores) -> bool:
        """Whether no address has facts that are newer than the last complete backfill."""
        done = last_done(stores)
        known = done.settings.get("learned_until") if done is not None else None
        last = stores.inventory.learned_last()
        return known is not None and last is not None and known == last.isoformat()

    def _counting(self) -> Stage:
        """Return the stage that adds sessions whose address the run found to the counters, by pages of addresses."""

        def page(stores: Stores, after: str, meanwhile: Callable[[str], None] = lambda _: None) -> str:
            until = stores.counts.addresses_until(after=after, limit=COUNTED)
            if until:
                meanwhile(until)
                stores.counts.count_found(self.run, after=after, until=until, seen_at=self._clock.now())
            return until

        def step(stores: Stores, after: str, _: int) -> BatchResult:
            if not self._may_have_found:
                return BatchResult("", 0, {})
            record = stores.runs.find(self.run)
            stored = left_at(record.checkpoint, COUNTING) if record is not None else ""
            # After a connection loss during COMMIT only the stored checkpoint shows whether the batch was committed.
            return BatchResult(page(stores, stored or after, self._parallel_worker.begin_batch), 0, {})

        def has_pages() -> bool:
            with self._database.view() as stores:
                return self._may_have_found and stores.inventory.count_addresses() > COUNTED

        return Stage(
            name=COUNTING,
            step=step,
            count=lambda _: 0,
            on_rollback=self._parallel_worker.roll_back_batch,
            context=lambda work: self._parallel_worker.alternating(work, COUNTING, page, is_worth_while=has_pages),
            after_commit=self._parallel_worker.commit_batch,
        )


def _kind(judged: Judged) -> object:
    return judged.verdict if isinstance(judged.verdict, Gap) else judged.verdict.method
