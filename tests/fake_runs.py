"""In-memory stores of runs, open sessions and the audit, and the undo of runs."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import cast

from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.audit import Pruned, SealedPage, SealedSession, UndonePage
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.open_sessions import Judged, OpenCase, OpenPage, OpenSession, PushdownResult
from snapshots.app.ports.runs import RunKind, RunRecord, RunState
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import VerdictSpan
from tests.memory import Correction, Memory, is_within

MIN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class InMemoryOpenSessions:
    """The sessions without a snapshot, in the dict of all sessions."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def page(self, case: OpenCase, *, run: str, stale_before: datetime, after: str, limit: int) -> OpenPage:
        names = [name for name in self._names(case, run, stale_before) if f"={name}" > after][:limit]
        return OpenPage([self._open(name) for name in names], f"={names[-1]}" if names else "")

    def first(self, case: OpenCase, *, run: str, stale_before: datetime, within: KeyRange) -> tuple[str, str] | None:
        names = self._names(case, run, stale_before)
        return next(((f"={name}", name) for name in names if is_within([within], f"={name}")), None)

    def count(self, case: OpenCase, *, run: str, stale_before: datetime) -> int:
        return len(self._names(case, run, stale_before))

    def _names(self, case: OpenCase, run: str, stale_before: datetime) -> list[str]:
        return [
            name
            for name, session in sorted(self.memory.sessions.items())
            if not session.is_sealed
            and (run, name) not in self.memory.quarantined
            and self._is_of(case, name, session, run, stale_before)
        ]

    def _is_of(self, case: OpenCase, name: str, session: SessionSummary, run: str, stale_before: datetime) -> bool:
        if session.gap is None or case is OpenCase.NEVER_JUDGED:
            return session.gap is None and case is OpenCase.NEVER_JUDGED
        judge = self.memory.judged_by[name]
        at_work = self.memory.runs.get(judge) is RunState.RUNNING and self.memory.heartbeats[judge] > stale_before
        if session.gap is Gap.AWAITING_CONNECT and at_work and judge != run:
            return False
        if session.gap is Gap.UNDONE or case is OpenCase.UNDONE:
            return session.gap is Gap.UNDONE and case is OpenCase.UNDONE
        if case is OpenCase.AGAIN:
            return judge != run
        known = self.memory.addresses.get(session.source_ip) if session.source_ip else None
        if known is None or known.learned_at is None or not session.gap.is_retryable:
            return False
        judged_at = self.memory.judged_at[name]
        return judged_at is None or known.learned_at > judged_at

    def _open(self, name: str) -> OpenSession:
        session = self.memory.sessions[name]
        return OpenSession(
            session_id=name,
            sighting=session.sighting,
            stored_ip=session.source_ip.text if session.source_ip is not None else None,
            stored_gap=session.gap.value if session.gap is not None else None,
            began_at=session.first_event_at,
            events=self.memory.raw_events.get(name, ()),
            document=self.memory.session_documents.get(name),
        )

    def times_of_unjudged(self) -> tuple[datetime, datetime] | None:
        times = [each.first_event_at for each in self.memory.sessions.values() if each.gap is None]
        return (min(times), max(times)) if times else None

    can_apply_staged = True

    def key_ranges(self, count: int) -> Sequence[KeyRange]:
        names = sorted(name for name, session in self.memory.sessions.items() if session.gap is None)
        ends = [f"={name}" for name in names[:: len(names) // count or 1]][1:]
        return [KeyRange(after, until) for after, until in pairwise(["", *ends, ""])]

    def may_have_learned(self, *, since: datetime | None) -> bool:
        return any(
            self._is_of(OpenCase.LEARNED, name, session, "", datetime.max.replace(tzinfo=UTC))
            and (since is None or (self.memory.addresses[session.source_ip].learned_at or since) > since)
            for name, session in self.memory.sessions.items()
            if session.source_ip is not None and not session.is_sealed
        )

    def _learned_last(self) -> datetime | None:
        return max((a.learned_at for a in self.memory.addresses.values() if a.learned_at is not None), default=None)

    def apply_staged(
        self,
        *,
        run: str,
        within: KeyRange,
        limit: int,
        learned_until: datetime | None,
        is_forecast: bool = False,
    ) -> PushdownResult | None:
        page = self.page(OpenCase.NEVER_JUDGED, run=run, stale_before=MIN_TIME, after=within.after, limit=limit)
        sessions = [each for each in page.sessions if not within.until or f"={each.session_id}" <= within.until]
        if not sessions:
            return None
        judged = []
        for session in sessions:
            for address, since, until, verdict in self.memory.staged.get(run, ()):
                seen = session.sighting
                if seen is not None and seen.address.text == address and since <= seen.seen_at < until:
                    judged.append(Judged(session, seen, verdict))
        if not is_forecast:
            self.write_verdicts(judged, run=run, written_at=MIN_TIME)
            for each in judged:
                self.memory.judged_at[each.session.session_id] = learned_until
        counts = Counter(
            each.verdict.method if isinstance(each.verdict, IpSnapshot) else each.verdict for each in judged
        )
        return PushdownResult(f"={sessions[-1].session_id}", len(sessions), counts, 0)

    def write_verdicts(self, judged: Collection[Judged], *, run: str, written_at: datetime) -> Collection[str]:
        lost = []
        for each in judged:
            held = self.memory.sessions[each.session.session_id]
            stored_ip = held.source_ip.text if held.source_ip is not None else None
            stored_gap = held.gap.value if held.gap is not None else None
            if held.is_sealed or (stored_ip, stored_gap) != (each.session.stored_ip, each.session.stored_gap):
                lost.append(held.session_id)
                continue
            kept = held._replace(sighting=each.sighting, gap=None).judged(each.verdict)
            self.memory.sessions[held.session_id] = kept
            self.memory.judged_by[held.session_id] = run
            self.memory.judged_at[held.session_id] = self._learned_last()
            self.memory.sealed_by[held.session_id] = run
            if each.was_found:
                self.memory.found_by[held.session_id] = (run, stored_ip)
        return lost


class InMemoryVerdictSpans:
    """Staged verdicts by run."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def begin(self, run: str, *, keep: Collection[str]) -> None:
        kept = {each: spans for each, spans in self.memory.staged.items() if each in keep and each != run}
        self.memory.staged = kept

    def encode(self, run: str, spans: Iterable[VerdictSpan]) -> object:
        return run, list(spans)

    def add(self, encoded: object) -> None:
        run, spans = cast("tuple[str, list[VerdictSpan]]", encoded)
        self.memory.staged.setdefault(run, []).extend(spans)

    def has_any(self, run: str) -> bool:
        return bool(self.memory.staged.get(run))

    def delete(self, run: str) -> None:
        self.memory.staged.pop(run, None)


class InMemoryRuns:
    """Runs in a dict."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def begin(self, run: str, kind: RunKind, *, at: datetime, settings: Mapping[str, str] | None = None) -> None:
        self.memory.runs[run] = RunState.RUNNING
        self.memory.heartbeats[run] = at
        self.memory.records[run] = RunRecord(
            run=run, kind=kind, state=RunState.RUNNING, began_at=at, heartbeat_at=at, settings=dict(settings or {})
        )

    def record_progress(
        self, run: str, counts: Mapping[str, int] | None, *, at: datetime, checkpoint: str | None = None
    ) -> None:
        held = self.memory.records[run]
        counts = held.counts if counts is None else counts
        self.memory.counts[run] = counts
        self.memory.heartbeats[run] = at
        place = held.checkpoint if checkpoint is None else checkpoint
        self.memory.records[run] = replace(held, counts=dict(counts), heartbeat_at=at, checkpoint=place)

    def add_settings(self, run: str, settings: Mapping[str, str]) -> None:
        held = self.memory.records[run]
        self.memory.records[run] = replace(held, settings={**held.settings, **settings})

    def resume(self, run: str, *, at: datetime) -> None:
        self.memory.runs[run] = RunState.RUNNING
        held = self.memory.records[run]
        self.memory.records[run] = replace(held, state=RunState.RUNNING, heartbeat_at=at, ended_at=None)

    def find(self, run: str, *, for_update: bool = False) -> RunRecord | None:
        return self.memory.records.get(run)

    def names(self, beginning: str, *, limit: int) -> Sequence[str]:
        return sorted(name for name in self.memory.records if name.startswith(beginning))[:limit]

    def latest(self, *, limit: int, kinds: Collection[RunKind] = tuple(RunKind)) -> Sequence[RunRecord]:
        found = [record for record in self.memory.records.values() if record.kind in kinds]
        return sorted(found, key=lambda record: (record.began_at, record.run), reverse=True)[:limit]

    def mark_undone(self, run: str) -> None:
        self.memory.runs[run] = RunState.UNDONE
        self.memory.records[run] = replace(self.memory.records[run], state=RunState.UNDONE)

    def quarantine(self, run: str, session_id: str, reason: str, *, at: datetime) -> None:
        self.memory.quarantined.setdefault((run, session_id), reason)

    def quarantined_by(self, run: str) -> Mapping[str, str]:
        return {session: reason for (by, session), reason in self.memory.quarantined.items() if by == run}

    def end(self, run: str, state: RunState, *, at: datetime) -> None:
        self.memory.runs[run] = state
        self.memory.records[run] = replace(self.memory.records[run], state=state, ended_at=at)


class InMemoryAudit:
    """Corrections and prunings in lists."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def correct(self, session_id: str, snapshot: IpSnapshot, *, reason: str, run: str, made_at: datetime) -> None:
        held = self.memory.sessions[session_id]
        if not held.is_sealed:
            raise StoreUnavailable("the session is open")
        by = self.memory.sealed_by.get(session_id, "")
        self.memory.corrections.append(Correction(session_id, held.snapshot, snapshot, reason, run, by))
        self.memory.sessions[session_id] = held._replace(snapshot=snapshot)
        self.memory.sealed_by[session_id] = run

    def last_reason(self, session_id: str) -> str | None:
        reasons = [made.reason for made in self.memory.corrections if made.session_id == session_id]
        return reasons[-1] if reasons else None

    def sealed(self, *, after: str, limit: int) -> SealedPage:
        sessions = sorted(self.memory.sessions.items())
        names = [name for name, session in sessions if f"={name}" > after and session.snapshot][:limit]
        found = [self.memory.sessions[name] for name in names]
        sealed = [
            SealedSession(session_id=s.session_id, sighting=s.sighting, snapshot=s.snapshot)
            for s in found
            if s.sighting is not None and s.snapshot is not None
        ]
        return SealedPage(sealed, f"={names[-1]}" if names else "")

    def replace(self, snapshots: Mapping[str, IpSnapshot], *, reason: str, run: str, made_at: datetime) -> None:
        for session_id, snapshot in snapshots.items():
            self.correct(session_id, snapshot, reason=reason, run=run, made_at=made_at)

    def take_out_sentinels(self, *, reason: str, run: str, made_at: datetime) -> int:
        return 0  # summaries cannot hold one

    def count_sentinels(self) -> int:
        return 0

    def prune(
        self,
        before: datetime,
        *,
        run: str,
        made_at: datetime,
        uncounted: Mapping[str, Sequence[KeyRange]] | None = None,
    ) -> Pruned:
        pruned = self.would_prune(before)
        staying = {name: s for name, s in self.memory.sessions.items() if s.last_event_at >= before}
        self.memory.sessions.clear()
        self.memory.sessions.update(staying)
        self.memory.event_parts[:] = [part for part in self.memory.event_parts if part.session_id in staying]
        for name in self.memory.logins.keys() - staying.keys():
            del self.memory.logins[name]
        self.memory.delete_unused_credentials()
        for name in self.memory.found_by.keys() - staying.keys():
            del self.memory.found_by[name]
        for address, known in self.memory.addresses.items():
            own = [session for session in staying.values() if session.source_ip == address]
            finders = [self.memory.found_by.get(session.session_id, ("", None))[0] for session in own]
            known.session_count = sum(not is_within((uncounted or {}).get(by, ()), address.text) for by in finders)
            if own:
                known.first_seen = min(session.first_event_at for session in own)
                known.last_seen = max(session.last_event_at for session in own)
        return pruned

    def would_prune(self, before: datetime) -> Pruned:
        going = [session for session in self.memory.sessions.values() if session.last_event_at < before]
        return Pruned(sessions=len(going), events=sum(session.event_count for session in going))


class InMemoryRunUndo:
    """Undo of runs in the dicts."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def undo(
        self, run: str, *, by: str, uncounted: Sequence[KeyRange], after: str, limit: int, at: datetime
    ) -> UndonePage:
        touched = sorted(
            name
            for name, session in self.memory.sessions.items()
            if (session.is_sealed and self.memory.sealed_by.get(name) == run)
            or (self.memory.found_by.get(name, ("", None))[0] == run and not session.is_sealed)
        )
        names = [name for name in touched if f"={name}" > after][:limit]
        opened = restored = forgotten = 0
        sources: set[str] = set()
        for name in names:
            held = self.memory.sessions[name]
            if held.snapshot is not None and self.memory.sealed_by.get(name) == run:
                sources.update(held.snapshot.source.split())
                before = next(
                    (c for c in reversed(self.memory.corrections) if (c.session_id, c.run) == (name, run)), None
                )
                if before is not None:
                    self.memory.sessions[name] = held._replace(snapshot=before.before)
                    self.memory.sealed_by[name] = before.sealed_by
                    restored += 1
                    continue
                opened += 1
            elif held.is_sealed:
                continue
            else:
                forgotten += 1
            was_found = self.memory.found_by.pop(name, ("", None))[0] == run
            if was_found and held.source_ip is not None and not is_within(uncounted, held.source_ip.text):
                self.memory.addresses[held.source_ip].session_count -= 1
            sighting = None if was_found else held.sighting
            self.memory.sessions[name] = held._replace(snapshot=None, sighting=sighting, gap=Gap.UNDONE)
            self.memory.judged_by[name], self.memory.judged_at[name] = by, at
        return UndonePage(
            last=f"={names[-1]}" if names else "",
            opened=opened,
            restored=restored,
            forgotten=forgotten,
            sources=frozenset(sources),
        )
