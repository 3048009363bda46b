"""What every audit promises."""

from snapshots.app.ports.audit import Pruned
from snapshots.app.ports.database import Database
from snapshots.app.ports.sessions import SessionChange
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.snapshot import IpSnapshot
from tests.contracts.test_ip_inventory import counted
from tests.strategies import DAY, HOME, NOON, snapshot


def session(name: str, day: int) -> SessionSummary:
    event = SessionEvent(day, NOON + day * DAY, EventKind.CONNECT, HOME)
    return SessionAggregate.of(name, [event]).summary().judged(snapshot())


def save(database: Database, *sessions: SessionSummary) -> None:
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in sessions if s.sighting], registered_at=NOON)
        stores.counts.count_sessions([SessionChange(held=None, kept=s) for s in sessions], seen_at=NOON)
        stores.sessions.save(sessions, run="run", saved_at=NOON)


def test_a_corrected_session_has_the_corrected_facts(database: Database) -> None:
    """Its address and its counts stay."""
    save(database, session("s", 0))
    stated = IpSnapshot.corrected(snapshot(), asn=1, at=NOON + DAY)

    with database.transaction() as stores:
        stores.audit.correct("s", stated, reason="wrong", run="r", made_at=NOON)
        (kept,) = stores.sessions.find_summaries({"s": ()})["s"]

    assert (kept.snapshot, kept.sighting, kept.event_count) == (stated, session("s", 0).sighting, 1)


def test_the_reason_of_the_last_correction_is_returned(database: Database) -> None:
    """Per session; None before the first correction."""
    save(database, session("s", 0), session("t", 0))
    with database.transaction() as stores:
        assert stores.audit.last_reason("s") is None
        for asn, reason in ((1, "first"), (2, "second")):
            stated = IpSnapshot.corrected(snapshot(), asn=asn, at=NOON + DAY)
            stores.audit.correct("s", stated, reason=reason, run="r", made_at=NOON)

        assert (stores.audit.last_reason("s"), stores.audit.last_reason("t")) == ("second", None)


def test_a_pruning_deletes_sessions_that_ended_before_its_time(database: Database) -> None:
    """The addresses stay, and their counts are updated."""
    save(database, session("a", 0), session("b", 1), session("c", 2))

    with database.transaction() as stores:
        assert stores.audit.would_prune(NOON + DAY) == Pruned(sessions=1, events=1)
        assert stores.audit.prune(NOON + DAY, run="r", made_at=NOON) == Pruned(sessions=1, events=1)
        assert sorted(stores.sessions.find_summaries(dict.fromkeys("abc", ()))) == ["b", "c"]
    assert counted(database) == {HOME.text: (2, NOON + DAY, NOON + 2 * DAY)}

    with database.transaction() as stores:
        stores.audit.prune(NOON + 9 * DAY, run="r", made_at=NOON)
    assert counted(database) == {HOME.text: (0, NOON + DAY, NOON + 2 * DAY)}
