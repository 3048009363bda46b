"""The stages of a backfill, and its state between batches."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Self

from snapshots.app.backfill.span_computer import SpanComputers, SpanRequest
from snapshots.app.backfill.throttle import Throttle
from snapshots.app.backfill.work import NOTHING_LEFT, BatchResult, RowRef, Stage, Work, Write, writing
from snapshots.app.backfill_runs import COUNTING, last_done, unfinished
from snapshots.app.enrich.apply_verdicts import AppliedPage, VerdictApplier, verdicts_counted
from snapshots.app.enrich.service import SnapshotService, builds_in
from snapshots.app.ports.database import Stores
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.open_sessions import Judged, OpenCase, PushdownResult
from snapshots.app.ports.runs import HEARTBEAT_TIMEOUT, RunState
from snapshots.app.ports.runtime import Clock
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.verdict_spans import MIN_TIME

LOOKING_UP, COMPUTING, APPLYING = "look_up", "compute", "apply"
"""Names of the first stages, in checkpoints and progress."""

MOST_JOBS = 64
"""Largest number of workers."""

SAMPLES = 5
"""Sample sessions per kind of verdict in a report."""

LARGEST_READ = 1_000
"""Sessions that Python reads at once, with their documents."""

SPANS_PER_SESSION = 5
"""
Expected verdict spans per unjudged session up to which staging pays.

A span costs about 35 microseconds and 120 bytes, and evaluating a session in Python about 300 microseconds.
"""

STAGED_ADDRESSES = Throttle(batch_size=500)
"""Addresses whose verdicts are computed and staged at once; bounds the memory of each process."""

RANGE_MIN_ADDRESSES = 5_000
"""Addresses from which a range of its own pays: another process takes half a second to start."""

RANGES_PER_WORKER = 16
"""Ranges of a stage for each worker, so that the last ones end at about the same time."""

RANGE_MIN_SESSIONS = 5_000
"""Sessions from which a range of its own pays."""

COUNTED_ADDRESSES = 4_000
"""Addresses whose sessions are counted in one transaction."""


@dataclass(frozen=True, slots=True)
class Staging:
    """
    What the staged verdicts are based on.

    Attributes:
        builds: Digest of the registered builds; "" if nothing was staged.
        learned_until: `IpInventory.learned_last` before the first verdict was computed.
    """

    builds: str = ""
    learned_until: datetime | None = None

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Self:
        """Return the staging that a run recorded in its settings."""
        until = settings.get("staged_learned_until")
        return cls(settings.get("staged_builds", ""), datetime.fromisoformat(until) if until else None)

    @classmethod
    def begun(cls, stores: Stores) -> Self:
        """Return the basis of verdicts that are computed from now on."""
        return cls(digest(builds_in(stores)), stores.inventory.learned_last())

    @property
    def settings(self) -> Mapping[str, str]:
        """Return the settings of a run that record this."""
        until = self.learned_until.isoformat() if self.learned_until is not None else ""
        return {"staged_builds": self.builds, "staged_learned_until": until}


def digest(builds: object) -> str:
    """Return a short text that identifies registered builds."""
    return blake2b(repr(builds).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """
    Number of workers of a stage.

    Attributes:
        computing: Processes that compute verdicts.
        writing: Workers that write sessions and counters at the same time.
    """

    computing: int = 1
    writing: int = 1


class BackfillStages:
    """
    Builds the stages of one backfill, and holds its state between batches.

    Args:
        work: The run; its stages are set here.
        service: Looks up addresses.
        verdict_applier: Evaluates and writes pages of sessions.
        span_computers: Compute the verdicts on addresses.
        clock: Returns the time of each write.
        workers: Number of workers.
        settings: Settings of the run.
    """

    def __init__(
        self,
        work: Work,
        service: SnapshotService,
        verdict_applier: VerdictApplier,
        span_computers: SpanComputers,
        clock: Clock,
        *,
        workers: Workers,
        settings: Mapping[str, str],
    ) -> None:
        self._work = work
        self._service = service
        self._verdict_applier = verdict_applier
        self._span_computers = span_computers
        self._clock = clock
        self._workers = workers
        self._staging = Staging.of(settings)
        self._has_measured = False
        self._has_read_unjudged = bool(work.checkpoint.stage)  # a resumed run may have done so before
        self._unjudged_at_start: int | None = None
        self._times = (MIN_TIME, clock.now())
        self._samples: dict[object, list[Judged]] = {}
        self.learned_until: datetime | None = None
        self.forecast_bytes: float | None = None
        work.stages = self._stages(is_again=settings.get("again") == "True")

    @property
    def samples(self) -> list[Judged]:
        """Return sample sessions that Python evaluated, at most `SAMPLES` per kind of verdict."""
        return [each for of_its_kind in self._samples.values() for each in of_its_kind]

    def is_staged(self, stores: Stores) -> bool:
        """Whether the staged verdicts exist and are based on the builds that are registered now."""
        return self._staging.builds == digest(builds_in(stores)) and stores.verdict_spans.has_any(self._work.run)

    def _stages(self, *, is_again: bool) -> list[Stage]:
        cases = [OpenCase.NEVER_JUDGED, OpenCase.UNDONE, OpenCase.AGAIN if is_again else OpenCase.LEARNED]
        if is_again and not self._work.is_dry_run:
            cases.append(OpenCase.LEARNED)  # AGAIN excludes what this run evaluated, also if facts were learned since
        pages = [self._page_stage(case) for case in cases]
        if self._work.is_dry_run:
            return [self._computing_stage(), *pages]
        # Rows may have been inserted or moved (by an UPDATE on PostgreSQL) since the first pass.
        pages.append(replace(pages[0], name="once_more", count=self._left_after_first_pass))
        return [self._look_up_stage(), self._computing_stage(), self._applying_stage(), *pages, self._counting_stage()]

    def _look_up_stage(self) -> Stage:
        """Return the stage that looks up known addresses in new builds, so that their verdicts can be staged."""

        def write(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
            outdated = stores.inventory.page_outdated(after=within.after, limit=limit)
            self._service.look_up(outdated, stores)
            return BatchResult(max(address.text for address in outdated) if outdated else "", len(outdated), {})

        return Stage(
            name=LOOKING_UP,
            batch=writing(write),
            count=self._addresses_to_stage,
            counts_sessions=False,
            is_optional=True,
            throttle=Throttle(),  # the throttle of the run limits writes to sessions, and this stage writes none
            on_rollback=self._verdict_applier.clear_cache,
        )

    def _addresses_to_stage(self, stores: Stores) -> int:
        """Return the number of addresses, or 0 if evaluating the sessions one by one is faster."""
        if not stores.open_sessions.can_apply_staged:
            return 0
        addresses = stores.inventory.count_addresses()
        spans = addresses * (BuildCalendar.of(stores.sources.registered()).size + 1)
        return addresses if spans <= SPANS_PER_SESSION * self._unjudged(stores) else 0

    def _unjudged(self, stores: Stores) -> int:
        """Return the number of never judged sessions at the start; counting them takes long in a large table."""
        if self._unjudged_at_start is None:
            self._unjudged_at_start = self._left(OpenCase.NEVER_JUDGED, stores)
        return self._unjudged_at_start

    def _left_unjudged(self, stores: Stores) -> int:
        """Return the number of never judged sessions now; without work so far it is that of the start."""
        return self._left(OpenCase.NEVER_JUDGED, stores) if self._work.counts["judged"] else self._unjudged(stores)

    def _left_after_first_pass(self, stores: Stores) -> int:
        return self._left(OpenCase.NEVER_JUDGED, stores) if self._has_read_unjudged else 0

    def _computing_stage(self) -> Stage:
        """Return the stage that computes and stages the verdicts on all addresses."""

        def ranges(stores: Stores) -> Sequence[KeyRange]:
            now = self._clock.now()
            alive = [each.run for each in unfinished(stores) if each.state_at(now) is RunState.RUNNING]
            stores.verdict_spans.begin(self._work.run, keep=alive)
            self._staging = Staging.begun(stores)
            self._times = stores.open_sessions.times_of_unjudged() or self._times
            if not self._work.is_dry_run:
                stores.runs.add_settings(self._work.run, self._staging.settings)
            most = stores.inventory.count_addresses() // RANGE_MIN_ADDRESSES + 1
            return stores.inventory.address_ranges(min(self._workers.computing * RANGES_PER_WORKER, most))

        def batch(within: KeyRange, limit: int) -> Write:
            computed = self._span_computers(SpanRequest(self._work.run, within, limit, *self._times))

            def write(stores: Stores) -> BatchResult:
                if digest(computed.builds) == self._staging.builds:
                    stores.verdict_spans.add(computed.encoded)
                return BatchResult(computed.last, computed.addresses, {})

            return write

        return Stage(
            name=COMPUTING,
            batch=batch,
            count=self._addresses_to_stage,
            ranges=ranges,
            counts_sessions=False,
            is_optional=True,
            writes_only_staging=True,
            workers=self._workers.computing,
            throttle=STAGED_ADDRESSES,
            on_end=self._span_computers.close,
        )

    def _applying_stage(self) -> Stage:
        """Return the stage in which the database applies the staged verdicts; it leaves what it cannot apply."""

        def ranges(stores: Stores) -> Sequence[KeyRange]:
            most = self._unjudged(stores) // RANGE_MIN_SESSIONS + 1
            return stores.open_sessions.key_ranges(min(self._workers.writing * RANGES_PER_WORKER, most))

        def write(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
            if digest(builds_in(stores)) != self._staging.builds:
                return NOTHING_LEFT  # a build was registered or retracted: the rest is evaluated session by session
            done = self._apply_staged(stores, within, limit)
            return _result(done) if done is not None else NOTHING_LEFT

        return Stage(
            name=APPLYING,
            batch=writing(write),
            count=lambda stores: self._unjudged(stores) if self.is_staged(stores) else 0,
            ranges=ranges,
            first=partial(self._first, OpenCase.NEVER_JUDGED),
            is_quarantining=False,
            is_optional=True,
            workers=self._workers.writing,
        )

    def _apply_staged(
        self, stores: Stores, within: KeyRange, limit: int, *, is_forecast: bool = False
    ) -> PushdownResult | None:
        return stores.open_sessions.apply_staged(
            run=self._work.run,
            within=within,
            limit=limit,
            learned_until=self._staging.learned_until,
            is_forecast=is_forecast,
        )

    def _page_stage(self, case: OpenCase) -> Stage:
        """Return a stage that evaluates sessions one by one, in pages."""

        def write(stores: Stores, within: KeyRange, limit: int) -> BatchResult:
            limit = min(limit, LARGEST_READ)
            self._has_read_unjudged |= case is OpenCase.NEVER_JUDGED
            if case is OpenCase.LEARNED and not within.after:
                self.learned_until = stores.inventory.learned_last()
            if case is OpenCase.LEARNED and _nothing_was_learned(stores):
                return NOTHING_LEFT
            if self._work.is_dry_run:
                self._service.register_sources(stores)  # rolled back; staged verdicts that lack a build are not applied
            is_measured = self._work.is_dry_run and not self._has_measured
            if case is OpenCase.NEVER_JUDGED and self._work.is_dry_run and not is_measured and self.is_staged(stores):
                forecast = self._apply_staged(stores, within, limit, is_forecast=True)
                if forecast is not None and forecast.size == forecast.verdicts.total():
                    return _result(forecast)
            before = stores.log_position()
            page = self._verdict_applier.apply_page(
                case,
                stores,
                run=self._work.run,
                now=self._clock.now(),
                after=within.after,
                limit=limit,
                is_dry_run=self._work.is_dry_run,
                writes=not self._work.is_dry_run or is_measured,
            )
            if is_measured:
                self._measure(stores, before, len(page.judged))
            self._add_samples(page)
            return BatchResult(page.last, len(page.judged), page.counts)

        return Stage(
            name=case.value,
            batch=writing(write),
            first=partial(self._first, case),
            count=partial(self._left, case) if case is not OpenCase.NEVER_JUDGED else self._left_unjudged,
            is_optional=case is OpenCase.NEVER_JUDGED,
            on_rollback=self._verdict_applier.clear_cache,
        )

    def _counting_stage(self) -> Stage:
        """Return the stage that adds sessions whose address the run found to the counters, by pages of addresses."""

        def ranges(stores: Stores) -> Sequence[KeyRange]:
            most = stores.inventory.count_addresses() // COUNTED_ADDRESSES + 1
            return stores.inventory.address_ranges(min(self._workers.writing * RANGES_PER_WORKER, most))

        def write(stores: Stores, within: KeyRange, _: int) -> BatchResult:
            until = stores.counts.addresses_until(within, limit=COUNTED_ADDRESSES)
            if until:
                stores.counts.count_found(self._work.run, KeyRange(within.after, until), seen_at=self._clock.now())
            return BatchResult(until, 0, {})

        return Stage(
            name=COUNTING,
            batch=writing(write),
            count=lambda stores: stores.inventory.count_addresses() if self._work.counts["judged"] else 0,
            ranges=ranges,
            counts_sessions=False,
            is_optional=True,
            workers=self._workers.writing,
        )

    def _left(self, case: OpenCase, stores: Stores) -> int:
        return stores.open_sessions.count(case, run=self._work.run, stale_before=self._stale_before())

    def _first(self, case: OpenCase, stores: Stores, within: KeyRange) -> RowRef | None:
        found = stores.open_sessions.first(case, run=self._work.run, stale_before=self._stale_before(), within=within)
        return RowRef(*found) if found is not None else None

    def _stale_before(self) -> datetime:
        return self._clock.now() - HEARTBEAT_TIMEOUT

    def _measure(self, stores: Stores, before: int | None, judged: int) -> None:
        """Set the bytes per session that a batch added to the write-ahead log; a dry run writes one, to measure it."""
        self._has_measured, after = True, stores.log_position()
        if judged and before is not None and after is not None:
            self.forecast_bytes = (after - before) / judged

    def _add_samples(self, page: AppliedPage) -> None:
        for each in page.judged:
            of_its_kind = self._samples.setdefault(_kind(each), [])
            if len(of_its_kind) < SAMPLES:
                of_its_kind.append(each)


def _result(done: PushdownResult) -> BatchResult:
    judged = done.verdicts.total()
    return BatchResult(done.last, done.size, verdicts_counted(done.verdicts) + Counter(judged=judged, found=done.found))


def _nothing_was_learned(stores: Stores) -> bool:
    """Whether no address has facts that are newer than the last complete backfill."""
    done = last_done(stores)
    known = done.settings.get("learned_until") if done is not None else None
    last = stores.inventory.learned_last()
    return known is not None and last is not None and known == last.isoformat()


def _kind(judged: Judged) -> object:
    return judged.verdict if isinstance(judged.verdict, Gap) else judged.verdict.method
