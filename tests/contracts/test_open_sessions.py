"""Contract of the stores of sessions without a snapshot."""

from datetime import datetime, timedelta

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.ports.database import Database, WriteLock
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.app.ports.key_range import WHOLE, KeyRange
from snapshots.app.ports.open_sessions import Judged, OpenCase, OpenSession
from snapshots.app.ports.runs import RunKind
from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME, VerdictSpan
from tests.contracts.conftest import PARTITIONS
from tests.contracts.test_ip_inventory import counted
from tests.strategies import DAY, HOME, NOON, OTHER, observed, snapshot

LATER = NOON + DAY


def put(database: Database, *verdicts: IpSnapshot | Gap, kind: EventKind = EventKind.CONNECT) -> list[SessionSummary]:
    put = [
        SessionAggregate.of(f"s{n}", [SessionEvent(n, NOON, kind, HOME)]).summary().judged(verdict)
        for n, verdict in enumerate(verdicts)
    ]
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in put if s.sighting], registered_at=NOON)
        stores.sessions.save(put, run="load", saved_at=NOON)
    return put


def learn(database: Database, at: datetime = LATER) -> None:
    with database.transaction() as stores:
        stores.inventory.learn([LearnedFacts([HOME], [observed("a", NOON, asn=1)])], {}, learned_at=at)


def found(database: Database, *, limit: int = 9, after: str = "", run: str = "me") -> list[str]:
    with database.transaction() as stores:
        page = stores.open_sessions.page(OpenCase.LEARNED, run=run, stale_before=NOON - DAY, after=after, limit=limit)
    return [session.session_id for session in page.sessions]


def test_open_sessions_are_selected_when_their_address_has_new_facts(database: Database) -> None:
    """Sealed sessions are not, nor those with a permanent gap."""
    put(database, Gap.NOTHING_KNOWN, snapshot(), Gap.EXPIRED, Gap.NOT_ROUTABLE, Gap.NEVER_LOOKED_UP)
    assert found(database) == []

    learn(database)

    assert found(database) == ["s0", "s2", "s4"]
    assert found(database, limit=2) == ["s0", "s2"]
    assert found(database, after="=s2") == ["s4"]


def test_a_session_is_selected_once_per_new_fact(database: Database) -> None:
    """After its evaluation it waits for the next one."""
    put(database, Gap.NOTHING_KNOWN)
    learn(database)
    with database.transaction() as stores:
        page = stores.open_sessions.page(OpenCase.LEARNED, run="me", stale_before=NOON, after="", limit=9)
        (session,) = page.sessions
        again = [Judged(session, session.sighting, Gap.PARTIAL)]
        assert not stores.open_sessions.write_verdicts(again, run="late", written_at=LATER + timedelta(seconds=1))

    assert found(database) == []
    assert kept(database, "s0").gap is Gap.PARTIAL


def test_a_session_of_a_running_load_is_left_to_it(database: Database) -> None:
    """Its connect may name another address."""
    with database.transaction() as stores:
        stores.runs.begin("load", RunKind.LOAD, at=NOON)
    put(database, Gap.AWAITING_CONNECT, Gap.NEVER_LOOKED_UP, kind=EventKind.OTHER)
    learn(database)

    assert found(database) == ["s1"]
    assert found(database, run="load") == ["s0", "s1"]


def test_new_facts_for_open_sessions_are_detected(database: Database) -> None:
    """Only then is a scan needed."""
    put(database, Gap.NOTHING_KNOWN, snapshot())
    learn(database)

    with database.transaction() as stores:
        assert stores.open_sessions.may_have_learned(since=None)
        assert stores.open_sessions.may_have_learned(since=NOON)
        assert not stores.open_sessions.may_have_learned(since=stores.inventory.learned_last())


def test_facts_for_sealed_or_permanently_open_sessions_need_no_scan(database: Database) -> None:
    """However many there are."""
    put(database, snapshot(), Gap.NOT_ROUTABLE)
    learn(database)

    with database.transaction() as stores:
        assert not stores.open_sessions.may_have_learned(since=None)


def opened(database: Database, name: str) -> OpenSession:
    held = kept(database, name)
    return OpenSession(
        name,
        held.sighting,
        held.source_ip.text if held.source_ip is not None else None,
        held.gap.value if held.gap is not None else None,
    )


def test_settling_seals_once_and_never_again(database: Database) -> None:
    """The first verdict stays; later writers get the key of the session back."""
    put(database, Gap.NOTHING_KNOWN, Gap.NOTHING_KNOWN)
    one, two = (opened(database, name) for name in ("s0", "s1"))
    with database.transaction() as stores:
        assert not stores.open_sessions.write_verdicts(
            [Judged(one, one.sighting, snapshot())], run="late", written_at=LATER
        )
        both = [Judged(session, session.sighting, snapshot(asn=1)) for session in (one, two)]
        assert list(stores.open_sessions.write_verdicts(both, run="other", written_at=LATER)) == ["s0"]
        assert not stores.open_sessions.write_verdicts([], run="other", written_at=LATER)

    assert [kept(database, s).snapshot for s in ("s0", "s1")] == [snapshot(), snapshot(asn=1)]
    assert kept(database, "s0").gap is None


def test_a_session_with_a_changed_address_is_not_written(database: Database) -> None:
    """The verdict is for another address than the stored one."""
    put(database, Gap.NOTHING_KNOWN)
    stale = opened(database, "s0")._replace(stored_ip=OTHER.text)

    with database.transaction() as stores:
        lost = stores.open_sessions.write_verdicts(
            [Judged(stale, stale.sighting, snapshot())], run="late", written_at=LATER
        )

    assert list(lost) == ["s0"]
    assert kept(database, "s0").gap is Gap.NOTHING_KNOWN


def test_a_session_that_was_evaluated_since_it_was_read_is_not_changed(database: Database) -> None:
    """A load that evaluated it in between has seen more of its events."""
    put(database, Gap.NOTHING_KNOWN)
    stale = opened(database, "s0")._replace(stored_gap=None)

    with database.transaction() as stores:
        lost = stores.open_sessions.write_verdicts(
            [Judged(stale, stale.sighting, snapshot())], run="late", written_at=LATER
        )

    assert list(lost) == ["s0"]
    assert kept(database, "s0").gap is Gap.NOTHING_KNOWN


def page(database: Database, case: OpenCase, run: str = "me") -> list[str]:
    """Read one session after the other, and compare with the count."""
    found: list[str] = []
    after = ""
    silent = NOON - DAY
    with database.transaction() as stores:
        while True:
            first = stores.open_sessions.first(case, run=run, stale_before=silent, within=KeyRange(after, ""))
            some = stores.open_sessions.page(case, run=run, stale_before=silent, after=after, limit=1)
            assert (some.last, [s.session_id for s in some.sessions]) == (
                (first[0], [first[1]]) if first is not None else ("", [])
            )
            if not some.last:
                break
            after = some.last
            found += [session.session_id for session in some.sessions]
        assert stores.open_sessions.count(case, run=run, stale_before=silent) == len(found)
    return found


def test_each_open_session_belongs_to_its_cases(database: Database) -> None:
    """Never judged, undone, or judged by another run; sealed ones to none."""
    put(database, Gap.UNDONE, snapshot(), Gap.NO_SOURCE_IP)
    with database.transaction() as stores:
        for name in ("n1", "n2"):
            unjudged = SessionAggregate.sighted(name, HOME.text, NOON).summary()
            stores.sessions.save([unjudged], run="load", saved_at=NOON)
        stores.runs.begin("me", RunKind.BACKFILL, at=NOON)
        stores.runs.quarantine("me", "n2", "refused", at=NOON)

    assert page(database, OpenCase.NEVER_JUDGED) == ["n1"]
    assert page(database, OpenCase.NEVER_JUDGED, run="other") == ["n1", "n2"]
    assert page(database, OpenCase.UNDONE) == ["s0"]
    assert page(database, OpenCase.AGAIN) == ["s2"]
    assert page(database, OpenCase.AGAIN, run="load") == []


def test_addresses_found_by_an_interrupted_backfill_are_counted_once_after_a_pruning(database: Database) -> None:
    """The pruning recounts, and leaves to the backfill the addresses that it will count when it resumes."""
    old = SessionAggregate.of("old", [SessionEvent(1, NOON, EventKind.CONNECT, OTHER)]).summary()
    no_address = [SessionAggregate.of(n, [SessionEvent(1, LATER, EventKind.OTHER, None)]).summary() for n in "nm"]
    sighting = Sighting(address=OTHER, seen_at=LATER)
    with database.transaction() as stores:
        stores.inventory.register_addresses([sighting], registered_at=NOON)
        stores.counts.count_sessions([SessionChange(held=None, kept=old)], seen_at=NOON)
        stores.sessions.save([old, *no_address], run="load", saved_at=NOON)
        for run, name in (("counted", "m"), ("back", "n")):
            found = Judged(OpenSession(name, None), sighting, snapshot())
            stores.open_sessions.write_verdicts([found], run=run, written_at=LATER)
        assert stores.counts.addresses_until(WHOLE, limit=9) == OTHER.text
        stores.counts.count_found("counted", KeyRange("", OTHER.text), seen_at=LATER)
    assert counted(database)[OTHER.text][0] == 2

    with database.transaction() as stores:
        uncounted = {"counted": [KeyRange(OTHER.text, "")], "back": [WHOLE]}
        assert stores.audit.prune(LATER, run="prune", made_at=LATER, uncounted=uncounted).sessions == 1
    assert counted(database)[OTHER.text][0] == 1

    with database.transaction() as stores:
        stores.counts.count_found("back", WHOLE, seen_at=LATER)
    assert counted(database)[OTHER.text][0] == 2


def test_a_found_address_is_counted_once_and_removed_by_an_undo(database: Database) -> None:
    """The row has no address again, the inventory counts as before, and sessions sealed by others stay."""
    no_address = SessionAggregate.of("n", [SessionEvent(1, NOON, EventKind.OTHER, None)]).summary()
    put(database, snapshot())
    with database.transaction() as stores:
        stores.sessions.save([no_address], run="load", saved_at=NOON)
        sighting = Sighting(address=OTHER, seen_at=NOON)
        stores.inventory.register_addresses([sighting], registered_at=NOON)
        stores.open_sessions.write_verdicts(
            [Judged(OpenSession("n", None), sighting, snapshot())], run="back", written_at=LATER
        )
    assert kept(database, "n").source_ip == OTHER
    with database.transaction() as stores:
        after = ""
        while until := stores.counts.addresses_until(KeyRange(after, ""), limit=1):
            stores.counts.count_found("back", KeyRange(after, until), seen_at=LATER)
            after = until
    with database.transaction() as stores:
        undone = stores.run_undo.undo("back", by="undo", uncounted=[], after="", limit=9, at=LATER)
        assert (undone.last, undone.opened, undone.restored, undone.sources) == (
            "=n",
            1,
            0,
            frozenset({"a@2026-03-01"}),
        )
        again = stores.run_undo.undo("back", by="undo", uncounted=[], after="", limit=9, at=LATER)
        assert (again.last, again.opened) == ("", 0)

    assert (kept(database, "n").sighting, kept(database, "n").gap) == (None, Gap.UNDONE)
    assert kept(database, "s0").is_sealed


def kept(database: Database, name: str) -> SessionSummary:
    with database.transaction() as stores:
        (session,) = stores.sessions.find_summaries({name: ()})[name]
    return session


def test_a_session_without_an_address_gets_its_own_gap(database: Database) -> None:
    """The gap is no_source_ip."""
    no_address = SessionAggregate.of("n", [SessionEvent(1, NOON, EventKind.OTHER, None)]).summary()
    with database.transaction() as stores:
        stores.inventory.register_addresses([], registered_at=NOON)
        stores.sessions.save([no_address.judged(Gap.NEVER_LOOKED_UP)], run="load", saved_at=NOON)

    judged = Judged(opened(database, "n"), None, Gap.NO_SOURCE_IP)
    with database.transaction() as stores:
        stores.open_sessions.write_verdicts([judged], run="late", written_at=LATER)

    assert kept(database, "n").gap is Gap.NO_SOURCE_IP


def test_the_times_of_sessions_without_a_verdict_are_known(database: Database) -> None:
    """So a backfill computes no verdicts on other times."""
    with database.transaction() as stores:
        assert stores.open_sessions.times_of_unjudged() is None
    put(database, Gap.NOTHING_KNOWN)
    events = [SessionEvent(n, NOON + n * DAY, EventKind.OTHER, HOME) for n in (3, 1, 2)]
    unjudged = [SessionAggregate.of(f"u{event.fingerprint}", [event]).summary() for event in events]
    with database.transaction() as stores:
        stores.sessions.save(unjudged, run="theirs", saved_at=NOON)
        assert stores.open_sessions.times_of_unjudged() == (NOON + DAY, NOON + 3 * DAY)


def test_key_ranges_cover_every_session_without_a_verdict_exactly_once(database: Database) -> None:
    """So several workers can share the work; the pages of a range stay within it."""
    unjudged = [
        SessionAggregate.of(f"s{n:04}", [SessionEvent(n, NOON, EventKind.OTHER, HOME)]).summary() for n in range(900)
    ]
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in unjudged if s.sighting], registered_at=NOON)
        stores.sessions.save(unjudged, run="theirs", saved_at=NOON)
        stores.verdict_spans.begin("me", keep=[])
        stores.verdict_spans.add(
            stores.verdict_spans.encode("me", [VerdictSpan(HOME.text, MIN_TIME, MAX_TIME, snapshot())])
        )

    with database.view() as stores:
        ranges = stores.open_sessions.key_ranges(4)
    forecasts = [applied(database, within, is_forecast=True) for within in ranges]
    sizes = [applied(database, within) for within in ranges]

    if not isinstance(database, SqlDatabase) or (database.engine.dialect.name == "postgresql" and not PARTITIONS):
        assert len(ranges) == 4
    if isinstance(database, SqlDatabase) and PARTITIONS and database.engine.dialect.name == "postgresql":
        assert sum(sizes) == 0  # rows of partitions have no common storage order
        return
    assert forecasts == sizes  # nothing was written before a forecast, so no session is in two ranges
    assert sum(sizes) == 900
    assert min(sizes) > 0


def applied(database: Database, within: KeyRange, *, is_forecast: bool = False) -> int:
    """Apply the staged verdicts to a range, or only forecast them, and compare each page with its forecast."""
    total, left = 0, within
    while True:
        with database.transaction(lock=WriteLock.SHARED) as stores:
            forecast, done = (
                stores.open_sessions.apply_staged(
                    run="me", within=left, limit=50, learned_until=None, is_forecast=only_forecast
                )
                for only_forecast in (True, is_forecast)
            )
        assert forecast == done
        if done is None:
            return total
        assert done.size <= 50
        assert done.verdicts.total() in {0, done.size}  # SQL leaves rows with a sighting, which these have
        total += done.size
        left = KeyRange(done.last, within.until)
