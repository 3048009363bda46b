"""Sessions that share one id."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.session_id_reuse import tell_apart
from snapshots.domain.session.summary import SessionSummary
from tests.strategies import END_OF_TIME, HOME, NOON, OTHER, events, odd_moments, snapshot


def event(mark: int, kind: EventKind = EventKind.OTHER, *, after: int = 0, **parts: object) -> SessionEvent:
    at = NOON + timedelta(seconds=after)
    return SessionEvent(**{"fingerprint": mark, "at": at, "kind": kind, "address": HOME, **parts})  # type: ignore[arg-type]  # a builder


def connect(mark: int, *, after: int = 0, **parts: object) -> SessionEvent:
    return event(mark, EventKind.CONNECT, after=after, **{"port": 1, **parts})


def logged(*found: SessionEvent) -> SessionAggregate:
    return SessionAggregate.of("id", found)


def marks(sessions: list[SessionAggregate]) -> list[set[int]]:
    return [set(found.events) for found in sorted(sessions, key=lambda s: (len(s.session_id), s.session_id))]


def stored(*found: SessionEvent, name: str = "id") -> SessionSummary:
    return SessionAggregate.of(name, found).summary("id")


def test_one_connect_is_one_session_under_its_own_id() -> None:
    """The rule for all but a few."""
    sessions = tell_apart(logged(connect(1), event(2, after=5)), [])

    assert [(s.session_id, set(s.events)) for s in sessions] == [("id", {1, 2})]


def test_two_connects_are_two_sessions_and_each_event_follows_the_connect_before_it() -> None:
    """In one version of Cowrie a whole process shared one id."""
    sessions = tell_apart(logged(event(2, after=5), connect(3, after=9), event(4, after=10), connect(1)), [])

    assert marks(sessions) == [{1, 2}, {3, 4}]
    assert [s.session_id[:3] for s in sessions].count("id~") == 1


def test_an_event_prefers_the_session_of_its_own_address() -> None:
    """Two sessions at once, and the address in the log line decides."""
    mine, other = connect(1), connect(2, after=1, address=OTHER)

    assert marks(tell_apart(logged(mine, other, event(3, after=2)), [])) == [{1, 3}, {2}]


def test_an_event_before_every_connect_goes_to_the_first() -> None:
    """Clocks and files are not perfect."""
    assert marks(tell_apart(logged(event(3, after=-1), connect(1), connect(2, after=1)), [])) == [{1, 3}, {2}]


def test_the_same_connect_under_two_sensor_names_is_one_session() -> None:
    """The same file was loaded under another name."""
    sessions = tell_apart(logged(connect(1, sensor="a"), connect(2, sensor="b")), [])

    assert marks(sessions) == [{1, 2}]


def test_two_sensors_without_connects_are_two_sessions() -> None:
    """Random ids collide when there are many sensors."""
    assert marks(tell_apart(logged(event(1, sensor="a"), event(2, sensor="b")), [])) == [{1}, {2}]


def test_an_event_without_a_sensor_fits_any_session() -> None:
    """A sensor that is not named contradicts nothing."""
    assert marks(tell_apart(logged(connect(1, sensor="a"), event(2, after=1)), [])) == [{1, 2}]


def test_an_event_of_another_sensor_is_another_session() -> None:
    """Its connect was not read, but it is not this one's."""
    assert marks(tell_apart(logged(connect(1, sensor="a"), event(2, after=1, sensor="b")), [])) == [{1}, {2}]


def test_stored_events_are_not_counted_again() -> None:
    """Loading twice changes nothing."""
    assert tell_apart(logged(connect(1), event(2)), [stored(connect(1), event(2))]) == []


def test_new_events_join_the_stored_session() -> None:
    """A session that spans two loads."""
    sessions = tell_apart(logged(connect(1), event(2, after=1)), [stored(connect(1))])

    assert [(s.session_id, set(s.events)) for s in sessions] == [("id", {2})]


def test_a_connect_joins_the_stored_session_that_lacks_one() -> None:
    """Its file was read later."""
    sessions = tell_apart(logged(connect(1)), [stored(event(2, after=1))])

    assert [s.session_id for s in sessions] == ["id"]


def test_a_sealed_session_without_a_connect_does_not_take_every_later_one() -> None:
    """Its ID has been given to another session since."""
    sealed = stored(event(1)).judged(snapshot())

    late = tell_apart(logged(connect(2, after=3600)), [sealed])
    too_late = tell_apart(logged(connect(2, after=3601)), [sealed])

    assert [s.session_id for s in late] == ["id"]
    assert [s.session_id[:3] for s in too_late] == ["id~"]


def test_events_find_their_session_among_many() -> None:
    """A whole process shared one id; each event still follows its own connect."""
    connects = [connect(n, after=10 * n, port=n) for n in range(1, 300)]
    others = [event(1000 + n, after=10 * n + 5) for n in range(1, 300)]

    sessions = tell_apart(logged(*connects, *others), [])

    assert sorted(map(sorted, marks(sessions))) == [[n, 1000 + n] for n in range(1, 300)]


def test_a_stored_session_begins_with_its_connect() -> None:
    """An event that came before it does not make it the newest."""
    held = [stored(connect(1), event(2, after=-50)), stored(connect(3, after=-10, port=3), name="id~1")]

    sessions = tell_apart(logged(event(4, after=-5)), held)

    assert [s.session_id for s in sessions] == ["id~1"]


def test_of_two_connects_the_one_of_its_address_joins_the_session_that_lacks_one() -> None:
    """The other is another session."""
    held = stored(event(3, after=5))

    sessions = tell_apart(logged(connect(1, address=OTHER), connect(2, after=4)), [held])

    assert {str(s.session_id): set(s.events) for s in sessions}["id"] == {2}


def test_a_connect_of_another_sensor_is_not_the_one_that_a_stored_session_lacks() -> None:
    """Its own connect may still come."""
    sessions = tell_apart(logged(connect(1, sensor="b")), [stored(event(2, sensor="a"))])

    assert [s.session_id[:3] for s in sessions] == ["id~"]


def test_a_stored_session_keeps_its_name_and_a_second_gets_a_qualified_one() -> None:
    """The same name each time, because it is made from the connect."""
    held = stored(connect(1))

    first = tell_apart(logged(connect(2, after=1)), [held])
    again = tell_apart(logged(connect(2, after=1), event(3, after=2)), [held])

    assert len(first[0].session_id) == len("id~") + 12
    assert first[0].session_id == again[0].session_id


def test_events_of_a_stored_namesake_find_it() -> None:
    """The qualified session grows like any other."""
    name = tell_apart(logged(connect(2, port=2, address=OTHER)), [stored(connect(1))])[0].session_id
    held = [stored(connect(1)), stored(connect(2, port=2, address=OTHER), name=name)]

    sessions = tell_apart(logged(event(5, after=1, address=OTHER)), held)

    assert [(s.session_id, set(s.events)) for s in sessions] == [(name, {5})]


def test_a_connect_without_an_address_still_begins_a_session() -> None:
    """An event with a damaged address is not lost."""
    assert marks(tell_apart(logged(connect(1, address=None, port=None), connect(2)), [])) == [{1}, {2}]


@given(st.lists(events(), min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_events_are_assigned_to_the_same_sessions_in_any_order(found: list[SessionEvent], random: object) -> None:
    """Every event belongs to exactly one session."""
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random

    one, other = tell_apart(logged(*found), []), tell_apart(logged(*shuffled), [])

    assert {s.session_id: s.events for s in one} == {s.session_id: s.events for s in other}
    assert sorted(m for s in one for m in s.events) == sorted({e.fingerprint for e in found})


def theirs(*found: SessionEvent, until: int, name: str = "id", sensor: str | None = "their-name") -> SessionSummary:
    """A session for which another loader counted the events up to some seconds after noon."""
    counted = SessionAggregate.of(name, found).summary("id")
    until_then = NOON + timedelta(seconds=until)
    return counted._replace(fingerprints=frozenset(), sensor=sensor, counted_until=until_then, logged_id=None)


def test_events_counted_by_another_loader_are_skipped_and_later_ones_count() -> None:
    """Its rows do not list their events, only the time up to which they count; its sensor name is its own."""
    held = theirs(event(1), event(2, after=5), until=5)

    (session,) = tell_apart(logged(connect(1, sensor="s"), event(2, after=5), event(3, after=6, sensor="s")), [held])
    merged = held.merge(session.summary("id"))

    assert (session.session_id, set(session.events)) == ("id", {1, 2, 3})
    assert (merged.event_count, merged.sensor, merged.counted_until) == (3, "their-name", held.counted_until)
    assert tell_apart(logged(connect(1), event(2, after=5), event(3, after=6)), [merged]) == []


def test_events_counted_by_another_loader_still_provide_the_address() -> None:
    """Its daily loader stored none."""
    held = theirs(event(1, address=None), until=5)._replace(sighting=None)

    (session,) = tell_apart(logged(connect(2, after=4), connect(1)), [held])

    assert session.summary().event_count == 0
    assert held.merge(session.summary("id")).sighting == connect(1).sighting


def test_a_connect_after_what_another_loader_counted_begins_another_session() -> None:
    """The first connect of a session comes before its other events."""
    held = theirs(event(1), until=5)

    sessions = tell_apart(logged(connect(2, after=9), event(3, after=10)), [held])

    assert [len(s.session_id) > 2 for s in sessions] == [True]
    assert marks(sessions) == [{2, 3}]


def test_a_connect_without_an_address_joins_the_session_that_was_named_by_it() -> None:
    """Its row has no address for it, so it got another; the name is still that of the first connect."""
    nameless = connect(2, after=1, address=None, port=5)
    (named,) = tell_apart(logged(nameless), [stored(connect(1))])
    held = [stored(connect(1)), stored(nameless, connect(3, after=2, port=6), name=named.session_id)]

    sessions = tell_apart(logged(nameless._replace(fingerprint=4), event(5, after=2)), held)

    assert [(s.session_id, set(s.events)) for s in sessions] == [(named.session_id, {4, 5})]


def test_an_event_joins_the_session_that_was_named_by_its_sensor() -> None:
    """The row of a session with two sensor names stores only one of them."""
    (named,) = tell_apart(logged(event(2, sensor="b")), [stored(connect(1, sensor="c"))])
    two_sensors = stored(event(2, sensor="b"), connect(3, sensor="a"), name=named.session_id)
    held = [stored(connect(1, sensor="c")), two_sensors]

    sessions = tell_apart(logged(event(4, sensor="b"), event(5, sensor="a")), held)

    assert [(s.session_id, set(s.events)) for s in sessions] == [(named.session_id, {4, 5})]


def test_a_session_at_the_end_of_the_calendar_does_not_wait_for_its_connect() -> None:
    """Adding an hour would exceed the calendar."""
    last = event(1)._replace(at=END_OF_TIME)
    sealed = stored(last).judged(snapshot(enrichment_at=NOON))

    assert [s.session_id for s in tell_apart(logged(connect(2)._replace(at=END_OF_TIME)), [sealed])] == ["id"]


@given(st.lists(st.lists(events(times=odd_moments), max_size=6), max_size=6), st.data())
def test_each_event_is_stored_once_for_any_split_into_loads(
    loads: list[list[SessionEvent]], data: st.DataObject
) -> None:
    """What is stored are the events that were read; reading all of them again, in any order, adds nothing."""
    store: dict[str, SessionSummary] = {}
    for found in loads:
        _store(store, found)
        for name in data.draw(st.lists(st.sampled_from(sorted(store)), unique=True)) if store else []:
            store[name] = store[name].judged(snapshot(enrichment_at=NOON))

    everything = [event for found in loads for event in found]
    assert {mark for kept in store.values() for mark in kept.fingerprints} == {e.fingerprint for e in everything}
    assert sum(kept.event_count for kept in store.values()) == len({e.fingerprint for e in everything})
    assert tell_apart(logged(*data.draw(st.permutations(everything))), list(store.values())) == []


def _store(store: dict[str, SessionSummary], found: list[SessionEvent]) -> None:
    sessions = tell_apart(logged(*found), list(store.values()))
    new = {session.session_id: session.summary("id") for session in sessions}
    assert len(new) == len(sessions), "two sessions under one name"
    store |= {name: store[name].merge(summary) if name in store else summary for name, summary in new.items()}
