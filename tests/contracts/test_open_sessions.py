"""What every store of open sessions promises."""

from datetime import datetime, timedelta

from snapshots.app.ports import Database
from snapshots.app.run_ports import RunKind
from snapshots.app.session_ports import Judged, OpenSession
from snapshots.domain.gap import Gap
from snapshots.domain.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot import IpSnapshot
from snapshots.domain.summary import SessionSummary
from tests.strategies import DAY, HOME, NOON, OTHER, observed, snapshot

LATER = NOON + DAY


def put(database: Database, *verdicts: IpSnapshot | Gap, kind: EventKind = EventKind.CONNECT) -> list[SessionSummary]:
    put = [
        SessionAggregate.of(f"s{n}", [SessionEvent(n, NOON, kind, HOME)]).summary().judged(verdict)
        for n, verdict in enumerate(verdicts)
    ]
    with database.transaction() as stores:
        stores.inventory.register([s.sighting for s in put if s.sighting], registered_at=NOON)
        stores.sessions.save(put, run="load", saved_at=NOON)
    return put


def learn(database: Database, at: datetime = LATER) -> None:
    with database.transaction() as stores:
        stores.inventory.learn([observed("a", NOON, asn=1)], {}, {}, learned_at=at)


def found(database: Database, *, limit: int = 9, after: str = "", run: str = "me") -> list[str]:
    with database.transaction() as stores:
        page = stores.open_sessions.learned_since(run=run, silent_since=NOON - DAY, after=after, limit=limit)
    return [session.session_id for session in page]


def test_sessions_are_judged_again_when_their_address_learned_something(database: Database) -> None:
    """Sealed ones are not, nor those whose gap nothing can close."""
    put(database, Gap.NOTHING_KNOWN, snapshot(), Gap.EXPIRED, Gap.NOT_ROUTABLE, Gap.NEVER_LOOKED_UP)
    assert found(database) == []

    learn(database)

    assert found(database) == ["s0", "s2", "s4"]
    assert found(database, limit=2) == ["s0", "s2"]
    assert found(database, after="s2") == ["s4"]


def test_a_session_comes_once_for_what_was_learned(database: Database) -> None:
    """Judged again, it waits for the next thing."""
    put(database, Gap.NOTHING_KNOWN)
    learn(database)
    with database.transaction() as stores:
        (session,) = stores.open_sessions.learned_since(run="me", silent_since=NOON, after="", limit=9)
        again = [Judged(session=session, verdict=Gap.PARTIAL)]
        assert stores.open_sessions.settle(again, run="late", settled_at=LATER + timedelta(seconds=1)) == 1

    assert found(database) == []
    assert kept(database, "s0").gap is Gap.PARTIAL


def test_a_session_that_a_load_may_still_read_more_of_is_left_to_it(database: Database) -> None:
    """Its connect may name another address."""
    with database.transaction() as stores:
        stores.runs.begin("load", RunKind.LOAD, at=NOON)
    put(database, Gap.NEVER_LOOKED_UP, kind=EventKind.OTHER)
    learn(database)

    assert found(database) == []
    assert found(database, run="load") == ["s0"]


def test_whether_old_addresses_learned_something_is_told(database: Database) -> None:
    """Only then there is anything to look for."""
    put(database, Gap.NOTHING_KNOWN)
    learn(database)

    with database.transaction() as stores:
        assert stores.open_sessions.may_have_learned(since=LATER)
        assert not stores.open_sessions.may_have_learned(since=LATER + DAY)
        assert not stores.open_sessions.may_have_learned(since=NOON)  # it was registered at that moment


def test_settling_seals_once_and_never_again(database: Database) -> None:
    """Who seals first has sealed for good."""
    put(database, Gap.NOTHING_KNOWN, Gap.NOTHING_KNOWN)
    sessions = [OpenSession(session_id=s, sighting=kept(database, s).sighting) for s in ("s0", "s1")]
    with database.transaction() as stores:
        first = [Judged(session=sessions[0], verdict=snapshot())]
        assert stores.open_sessions.settle(first, run="late", settled_at=LATER) == 1
        both = [Judged(session=session, verdict=snapshot(asn=1)) for session in sessions]
        assert stores.open_sessions.settle(both, run="other", settled_at=LATER) == 1
        assert stores.open_sessions.settle([], run="other", settled_at=LATER) == 0

    assert [kept(database, s).snapshot for s in ("s0", "s1")] == [snapshot(), snapshot(asn=1)]
    assert kept(database, "s0").gap is None


def kept(database: Database, name: str) -> SessionSummary:
    with database.transaction() as stores:
        (session,) = stores.sessions.find([name])[name]
    return session


def test_a_settled_session_may_have_no_address(database: Database) -> None:
    """Then that is its gap."""
    nowhere = SessionAggregate.of("n", [SessionEvent(1, NOON, EventKind.OTHER, None)]).summary()
    with database.transaction() as stores:
        stores.inventory.register([], registered_at=NOON)
        stores.sessions.save([nowhere.judged(Gap.NEVER_LOOKED_UP)], run="load", saved_at=NOON)
        judged = Judged(session=OpenSession(session_id="n", sighting=None), verdict=Gap.NO_SOURCE_IP)
        stores.open_sessions.settle([judged], run="late", settled_at=LATER)

    assert kept(database, "n").gap is Gap.NO_SOURCE_IP
    assert OTHER.version == 4
