"""One backfill on its way through its stages."""

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
LARGEST_READ = 1_000
"""How many sessions the program reads at once, with their documents."""

PRECOMPUTE = "foresee"
"""What comes before the first stage, by the name under which it is shown."""

"""The last stage, by the name under which it is resumed."""

PRECOMPUTE_MIN_RATIO = 2
"""For how many sessions at least that nobody judged, on average, each address is judged before they are looked at."""

PRECOMPUTE_MIN_ADDRESSES = 0.25
"""Of which part of the addresses verdicts are reached before the far end begins to settle sessions by those."""

COUNTED = 4_000
"""Of how many addresses the sessions are counted in one transaction."""


class BackfillStages:
    """
    One backfill on its way: its stages, and what is remembered from batch to batch.

    Args:
        run: The run that writes.
        database: Where the sessions are.
        verdict_applier: Judges a page of sessions, and writes.
        clock: Tells when something was done.
        ahead: Reads the next batch while one is written.
        parallel_worker: Helps where there is much to judge.
        is_dry_run: Whether nothing is stored.
        has_begun: Whether the run may have judged sessions before, here or in another process.
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
        self._store = Pushdown(verdict_applier, run)

    @property
    def samples(self) -> list[Judged]:
        """Return some of the judged, of every verdict."""
        return [each for of_its_kind in self._samples.values() for each in of_its_kind]

    def stages(self, settings: Mapping[str, str]) -> list[Stage]:
        """Return the parts of the work, as the run was begun."""
        is_again = settings.get("again") == "True"
        cases = [OpenCase.NEVER_JUDGED, OpenCase.UNDONE, OpenCase.AGAIN if is_again else OpenCase.LEARNED]
        if self._is_dry_run:
            return [self._stage(case) for case in cases]
        if is_again:  # what the run judged itself is not judged again, unless something was learned in between
            cases.append(OpenCase.LEARNED)
        # Rows may have moved in their table, or come in, since the first pass went by.
        passes = [*(self._stage(case) for case in cases), self._once_more()]
        passes[0] = replace(passes[0], setup=self._precompute_stage(), context=self._assisted)
        return [*passes, self._counting()]

    def _once_more(self) -> Stage:
        return replace(self._stage(OpenCase.NEVER_JUDGED), name="once_more", is_optional=True)

    def _stage(self, case: OpenCase) -> Stage:
        def step(stores: Stores, after: str, limit: int) -> BatchResult:
            done = self._step(case, stores, after, limit)
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
        """Judge all addresses first where there are far more sessions, so that the store can settle those alone."""

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
            tell = partial(self._publish, may_settle=may_settle, more_follows=True)
            last, handled = self._verdict_applier.precompute(stores, after=after, limit=limit, tell=tell)
            self._precomputed += handled
            return BatchResult(last, handled, {})

        return Stage(
            name=PRECOMPUTE,
            step=step,
            count=count,
            counts_sessions=False,
            is_optional=True,
            throttle=Throttle(),  # sessions are what a pace spares, and none is touched
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

    def _step(self, case: OpenCase, stores: Stores, after: str, limit: int) -> BatchResult:
        if case is OpenCase.LEARNED and not after:
            self.learned_until = stores.inventory.learned_last()
        if case is OpenCase.LEARNED and self._nothing_was_learned(stores):
            return BatchResult("", 0, {})
        if self._is_dry_run and self._has_written:
            return self._done(case, stores, after, limit)
        log_before, applied_before = stores.log_position(), self._parallel_worker.applied
        done = self._done(case, stores, after, limit)
        self._has_written |= done.handled > 0
        log_after = stores.log_position()
        if done.handled and log_before is not None and log_after is not None:
            beside = self._parallel_worker.applied - applied_before
            self._logged.update(bytes=log_after - log_before, sessions=done.handled + beside)
            self.written_bytes = self._logged["bytes"] / self._logged["sessions"]
        return done

    def _done(self, case: OpenCase, stores: Stores, after: str, limit: int) -> BatchResult:
        now = self._clock.now()
        known = None
        if case is OpenCase.NEVER_JUDGED and not self._is_dry_run:
            if self._parallel_worker.is_running:
                self._verdict_applier.publish(stores, self._publish)
            self._parallel_worker.limit_main_worker(stores)
            known = self._store.settle(stores, after=after, limit=limit)
        counts = counts_of(known)
        if known is not None and not known.left:
            return BatchResult(known.last, counts["judged"], counts)
        last = after
        for found in self._pages(case, stores, after, limit, known):
            behind = found.last if known is None or found.last == known.last else ""
            page = self._verdict_applier.apply_verdicts(
                found,
                stores,
                run=self.run,
                now=now,
                is_dry_run=self._is_dry_run,
                writes=not self._is_dry_run or not self._has_written,
                before_execute=partial(self._read_on, case, behind, limit),
            )
            counts += self._counts_of(page)
            last = page.last
        return BatchResult(last, counts["judged"], counts)

    def _pages(
        self, case: OpenCase, stores: Stores, after: str, limit: int, known: PushdownResult | None
    ) -> Iterator[FoundPage]:
        """Read what the program judges of a batch, in pages; the last one of several ends where the batch does."""
        left = min(limit, LARGEST_READ) if known is None else known.left
        found = self._ahead.take((case, after))
        if found is None or len(found.sessions) > left:  # fewer are looked at where some were refused
            found = self._read(case, stores, after, min(left, LARGEST_READ))
        if known is not None:
            while found.last and (left := left - len(found.sessions)) > 0:
                yield found
                found = self._read(case, stores, found.last, min(left, LARGEST_READ))
            found = found._replace(last=known.last)
        yield found

    def _counts_of(self, page: AppliedPage) -> Counter[str]:
        """Return what the program settled, and keep some of it to be shown."""
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

    def _read_on(self, case: OpenCase, after: str, limit: int) -> None:
        """Begin to read the next page, where there may be as many as the table has rows and the program judges them."""
        if after and case is OpenCase.NEVER_JUDGED and (self._is_dry_run or not self._store.is_asked_next):
            self._ahead.begin((case, after), partial(self._prefetch_page, case, after, min(limit, LARGEST_READ)))

    def _prefetch_page(self, case: OpenCase, after: str, limit: int) -> FoundPage:
        """Read a page before the one in front of it is written: what changes until its turn is not overwritten."""
        with self._database.view() as stores:
            self._parallel_worker.limit_main_worker(stores)
            return self._read(case, stores, after, limit, is_ahead=True)

    @staticmethod
    def _nothing_was_learned(stores: Stores) -> bool:
        """Whether no address learned anything since the last backfill that looked at all of them."""
        done = last_done(stores)
        known = done.settings.get("learned_until") if done is not None else None
        last = stores.inventory.learned_last()
        return known is not None and last is not None and known == last.isoformat()

    def _counting(self) -> Stage:
        """Count the sessions whose address the run found, page by page of the addresses of all runs."""

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
            # Whoever lost the connection at the end of a batch does not know whether that was stored.
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
