"""What every session store promises."""

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.ports.database import Database
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from tests.strategies import DAY, HOME, NOON, events, ip_snapshots, snapshot

RUN = "run"

verdicts = st.one_of(ip_snapshots, st.sampled_from(Gap))


@st.composite
def summaries(draw: st.DrawFn, name: str = "s") -> SessionSummary:
    found = draw(st.lists(events(), min_size=1, max_size=5))
    summary = SessionAggregate.of(name, found).summary()
    return summary.judged(Gap.NO_SOURCE_IP if summary.sighting is None else draw(verdicts))


def one_event(mark: int = 1, kind: EventKind = EventKind.OTHER, name: str = "s") -> SessionSummary:
    at = NOON + timedelta(seconds=mark)
    return SessionAggregate.of(name, [SessionEvent(mark, at, kind, HOME)]).summary()


ODD = ["\\N", "\\", "a\tb", "a\nb\r", '"', "'", "\\x41", "\u2028", "é\U0001f4a9", "%s", "null"]


@pytest.mark.parametrize("text", ODD)
def test_text_is_stored_unchanged(database: Database, text: str) -> None:
    """Whatever it means to the bulk formats of databases."""
    odd = one_event(name=text)._replace(sensor=text)
    save(database, odd.judged(Gap.NOTHING_KNOWN))

    assert [kept.sensor for kept in found(database, text)] == [text]


def save(database: Database, *saved: SessionSummary) -> None:
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in saved if s.sighting], registered_at=NOON)
        stores.sessions.save(saved, run=RUN, saved_at=NOON)


def found(database: Database, name: str = "s") -> list[SessionSummary]:
    with database.transaction() as stores:
        return list(stores.sessions.find_summaries({name: ()}).get(name, ()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(summary=summaries(name="t"))
def test_a_saved_session_is_read_back_unchanged(database: Database, summary: SessionSummary) -> None:
    """To the microsecond, and with every fingerprint."""
    with database.transaction() as stores:
        name = f"t{abs(hash(summary))}"
        mine = summary._replace(session_id=name)
        stores.inventory.register_addresses([s for s in [mine.sighting] if s], registered_at=NOON)
        stores.sessions.save([mine], run=RUN, saved_at=NOON)

        assert stores.sessions.find_summaries({name: ()}) == {name: [mine._replace(new_logins=())]}


def test_a_long_session_finds_every_requested_fingerprint(database: Database) -> None:
    """However many it has, and whichever were requested when it was saved again."""
    marks = [*range(300), 2**63, 2**64 - 1]
    long = SessionAggregate.of("s", [SessionEvent(mark, NOON, EventKind.OTHER, HOME) for mark in marks]).summary()
    save(database, long.judged(Gap.NEVER_LOOKED_UP), one_event(7, name="t"))
    with database.transaction() as stores:
        stores.sessions.save(stores.sessions.find_summaries({"s": ()})["s"], run=RUN, saved_at=NOON)
        stores.sessions.save(stores.sessions.find_summaries({"s": [299]})["s"], run=RUN, saved_at=NOON)

        asked = {"s": [*marks, 1000], "t": [7, 299]}
        known = {name: found[0].fingerprints for name, found in stores.sessions.find_summaries(asked).items()}

    assert {name: known[name] & set(asked[name]) for name in asked} == {"s": set(marks), "t": {7}}


def test_an_unknown_id_is_absent(database: Database) -> None:
    """It is neither an error nor None."""
    with database.transaction() as stores:
        assert stores.sessions.find_summaries({"unknown": ()}) == {}
        assert stores.sessions.find_summaries({}) == {}


def test_all_sessions_of_a_logged_id_are_found(database: Database) -> None:
    """Also those under a qualified name."""
    second = one_event(2, name="s~1")._replace(logged_id="s")
    save(database, one_event(), second, one_event(name="other"))

    assert sorted(s.session_id for s in found(database)) == ["s", "s~1"]


def test_a_stored_snapshot_is_never_changed_by_a_save(database: Database) -> None:
    """The guard of the store itself, should a caller be wrong."""
    held = one_event().judged(snapshot(country=None))
    save(database, held)

    save(database, one_event(2, EventKind.CONNECT)._replace(event_count=9).judged(snapshot(asn=1, country="DE")))

    (kept,) = found(database)
    assert (kept.snapshot, kept.sighting, kept.event_count) == (held.snapshot, held.sighting, 9)


def test_a_gap_never_replaces_a_snapshot(database: Database) -> None:
    """Saving an open session does not unseal the stored one."""
    save(database, one_event().judged(snapshot()))

    save(database, one_event().judged(Gap.NOTHING_KNOWN))

    assert [(s.snapshot, s.gap) for s in found(database)] == [(snapshot(), None)]


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    """A batch is stored whole or not at all."""

    def interrupted() -> None:
        with database.transaction() as stores:
            stores.inventory.register_addresses([s for s in [one_event().sighting] if s], registered_at=NOON)
            stores.sessions.save([one_event()], run=RUN, saved_at=NOON)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert found(database) == []


def test_waiting_sessions_are_read_in_pages(database: Database) -> None:
    """Those that await their connect, each once; an address that was never looked up is another reason."""
    waiting = [one_event(name=f"s{n}").judged(snapshot()).awaiting_connect() for n in range(5)]
    never_asked = one_event(name="s5").judged(Gap.NEVER_LOOKED_UP)
    save(database, *waiting, never_asked, one_event(name="s6").judged(Gap.NOTHING_KNOWN))

    with database.transaction() as stores:
        first = stores.sessions.find_waiting(run="me", stale_before=NOON, after="", limit=3)
        rest = stores.sessions.find_waiting(run="me", stale_before=NOON, after=first[-1].session_id, limit=3)

    assert [s.session_id for s in [*first, *rest]] == ["s0", "s1", "s2", "s3", "s4"]


@pytest.mark.parametrize(
    ("asks", "stale_before", "state", "found"),
    [
        ("me", NOON - DAY, None, 0),  # the other run is at work
        (RUN, NOON - DAY, None, 1),  # it asks itself
        ("me", NOON, None, 1),  # no heartbeat since then
        ("me", NOON - DAY, RunState.FAILED, 1),  # it has ended
    ],
)
def test_a_session_of_another_live_run_is_left_to_that_run(
    database: Database, asks: str, stale_before: datetime, state: RunState | None, found: int
) -> None:
    """It may still read the connect event; after its death another run completes the session."""
    with database.transaction() as stores:
        stores.runs.begin(RUN, RunKind.LOAD, at=NOON)
        if state is not None:
            stores.runs.end(RUN, state, at=NOON)
    save(database, one_event().judged(snapshot()).awaiting_connect())

    with database.transaction() as stores:
        waiting = stores.sessions.find_waiting(run=asks, stale_before=stale_before, after="", limit=9)

    assert len(waiting) == found


class StoreAgainstOracle(RuleBasedStateMachine):
    """A session that is merged and saved, against a list of all its events."""

    def __init__(self) -> None:
        super().__init__()
        self.database = SqlDatabase("sqlite://")
        self.counted: dict[int, SessionEvent] = {}
        self.sealed_with: IpSnapshot | None = None
        self.sealed_sighting: object = None

    @rule(found=st.lists(events(), min_size=1, max_size=4), verdict=verdicts)
    def load(self, found: list[SessionEvent], verdict: IpSnapshot | Gap) -> None:
        with self.database.transaction() as stores:
            held = {s.session_id: s for s in stores.sessions.find_summaries({"s": ()}).get("s", ())}.get("s")
            new = [e for e in found if held is None or e.fingerprint not in held.fingerprints]
            if not new:
                return
            offered = SessionAggregate.of("s", new).summary()
            offered = offered.judged(Gap.NO_SOURCE_IP if offered.sighting is None else verdict)
            kept = offered if held is None else held.merge(offered)
            stores.inventory.register_addresses([s for s in [kept.sighting] if s], registered_at=NOON)
            stores.sessions.save([kept], run=RUN, saved_at=NOON)
        self.counted |= {e.fingerprint: e for e in new}
        if self.sealed_with is None:
            self.sealed_with, self.sealed_sighting = kept.snapshot, kept.sighting

    @invariant()
    def every_event_counts_once_and_the_first_snapshot_stays(self) -> None:
        with self.database.transaction() as stores:
            stored = stores.sessions.find_summaries({"s": ()}).get("s", ())
            tallies = stores.sessions.logins_of(["s"]).get("s", ())
        assert sum(s.event_count for s in stored) == len(self.counted)
        tried = [e for e in self.counted.values() if e.kind is EventKind.LOGIN]
        assert sum(tally.attempts for tally in tallies) == len(tried)
        assert sum(tally.successes for tally in tallies) == sum(Trait.SUCCESS in dict(e.traits) for e in tried)
        if self.sealed_with is not None:
            assert [(s.snapshot, s.sighting) for s in stored] == [(self.sealed_with, self.sealed_sighting)]

    def teardown(self) -> None:
        self.database.close()


TestStoreAgainstOracle = pytest.mark.slow(StoreAgainstOracle.TestCase)
TestStoreAgainstOracle.settings = settings(max_examples=25, stateful_step_count=12)
