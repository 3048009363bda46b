"""What events add up to, whatever the order."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import SightingKind
from snapshots.domain.errors import InvalidAddress, InvalidEvent
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method
from tests.strategies import DAY, HOME, NOON, OTHER, events, snapshot

many_events = st.lists(events(), min_size=1, max_size=12)


def session(*found: SessionEvent) -> SessionAggregate:
    return SessionAggregate.of("s", found)


def event(mark: int, kind: EventKind = EventKind.OTHER, **parts: object) -> SessionEvent:
    return SessionEvent(**{"fingerprint": mark, "at": NOON, "kind": kind, "address": HOME, **parts})  # type: ignore[arg-type]  # a builder


@given(many_events, st.randoms(use_true_random=False))
def test_any_permutation_adds_up_to_the_same(found: list[SessionEvent], random: object) -> None:
    """Rotated files are read in the wrong order every day."""
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random

    assert session(*shuffled).summary() == session(*found).summary()


@given(many_events, many_events)
@example([event(1)], [event(1)])
def test_folding_in_parts_equals_folding_the_whole(one: list[SessionEvent], other: list[SessionEvent]) -> None:
    """A session that spans batches adds up exactly, also if the parts overlap."""
    assert session(*one).merge(session(*other)).summary() == session(*one, *other).summary()


@given(many_events, many_events, many_events)
def test_merge_is_associative_commutative_and_idempotent(
    a: list[SessionEvent], b: list[SessionEvent], c: list[SessionEvent]
) -> None:
    """So machines may divide the work in any way."""
    one, two, three = session(*a), session(*b), session(*c)

    assert one.merge(two).merge(three) == one.merge(two.merge(three))
    assert one.merge(two) == two.merge(one)
    assert one.merge(one) == one


@given(many_events, many_events)
@example([event(1, EventKind.FORWARD)], [event(2, address=None)])
@example([event(1, EventKind.FORWARD)], [event(2, EventKind.FORWARD, address=OTHER)])
def test_stored_parts_add_up_like_the_whole(one: list[SessionEvent], other: list[SessionEvent]) -> None:
    """A row that meets new events ends as if all had been read at once, in either order."""
    first = session(*one)
    rest = [e for e in session(*other).events.values() if e.fingerprint not in first.events]
    if not rest:
        return
    whole = session(*one, *other).summary()

    stored = first.summary().merge(session(*rest).summary())
    reverse = session(*rest).summary().merge(first.summary())

    assert _facts(stored) == _facts(reverse) == _facts(whole)


def _facts(summary: SessionSummary) -> tuple[object, ...]:
    """Everything but the gap, which is a judgement and not an addition."""
    return tuple(getattr(summary, name) for name in SessionSummary._fields if name != "gap")


def test_every_kind_of_event_is_counted() -> None:
    """The counters an operator sees."""
    kinds = [*EventKind, EventKind.LOGIN]

    summary = session(*(event(n, kind) for n, kind in enumerate(kinds))).summary()

    assert (summary.event_count, summary.command_count, summary.login_attempts) == (8, 1, 2)
    assert (summary.file_downloads, summary.file_uploads, summary.forward_count) == (1, 1, 1)


def test_a_session_has_its_first_and_last_event_times_and_its_sensor() -> None:
    """In any order of reading."""
    summary = session(event(1, at=NOON + DAY), event(2, sensor="pot", sensor_id="u"), event(3)).summary()

    assert (summary.first_event_at, summary.last_event_at) == (NOON, NOON + DAY)
    assert (summary.sensor, summary.sensor_id) == ("pot", "u")


@given(st.lists(events(), min_size=1), st.lists(st.lists(events(), min_size=1), max_size=4))
def test_a_sealed_session_keeps_its_snapshot_and_its_address(
    first: list[SessionEvent], later: list[list[SessionEvent]]
) -> None:
    """Events that are read later do not change them."""
    held = session(*first, event(0, EventKind.CONNECT)).summary().judged(snapshot())

    for batch in later:
        held = held.merge(session(*batch).summary().judged(snapshot(asn=1)))

    assert held.snapshot == snapshot()
    assert held.sighting == session(*first, event(0, EventKind.CONNECT)).summary().sighting


def test_a_late_connect_sets_the_address_of_an_open_session() -> None:
    """When files are read in the wrong order, the end of a session precedes its connect."""
    held = session(event(1, address=OTHER)).summary().judged(snapshot(asn=1)).awaiting_connect()

    merged = held.merge(session(event(2, EventKind.CONNECT)).summary().judged(snapshot()))

    assert (merged.source_ip, merged.snapshot, merged.gap) == (HOME, snapshot(), None)


def test_a_claimed_address_goes_when_anything_else_is_read() -> None:
    """A forwarded connection named the address only while there was nothing else."""
    held = session(event(1, EventKind.FORWARD)).summary()

    merged = held.merge(session(event(2, address=None)).summary())

    assert (merged.source_ip, merged.gap) == (None, Gap.NO_SOURCE_IP)


def test_an_earlier_sighting_of_a_sealed_session_is_noticed() -> None:
    """It is counted and reported, not applied."""
    held = session(event(1, at=NOON + DAY)).summary().judged(snapshot())

    assert session(event(2)).summary().is_too_late_for(held)
    assert not session(event(2, at=NOON + 2 * DAY)).summary().is_too_late_for(held)
    assert not session(event(2, address=None)).summary().is_too_late_for(held)
    assert not session(event(2, EventKind.FORWARD)).summary().is_too_late_for(held)
    assert not session(event(2)).summary().is_too_late_for(session(event(1, at=NOON + DAY)).summary())


def test_a_snapshot_without_a_connect_waits() -> None:
    """The connect may be in a file that has not been read."""
    without = session(event(1)).summary().judged(snapshot())
    with_it = session(event(1, EventKind.CONNECT)).summary().judged(snapshot())

    assert (without.awaiting_connect().snapshot, without.awaiting_connect().gap) == (None, Gap.AWAITING_CONNECT)
    assert with_it.awaiting_connect() is with_it


def test_a_sealed_session_is_not_evaluated_again() -> None:
    """Neither a better snapshot nor a gap replaces its snapshot."""
    sealed = session(event(1)).summary().judged(snapshot())

    assert sealed.judged(snapshot(asn=1)) is sealed
    assert sealed.judged(Gap.EXPIRED) is sealed


def test_another_loader_needs_only_an_id_an_address_and_a_time() -> None:
    """Three values make an aggregate; the same three make the same one."""
    berlin = timezone(timedelta(hours=1))

    made = SessionAggregate.sighted("s", "::ffff:8.8.8.8", datetime(2026, 3, 1, 13, tzinfo=berlin))

    assert made == SessionAggregate.sighted("s", "8.8.8.8", NOON)
    sighting = made.summary().sighting
    assert sighting is not None
    assert (sighting.address, sighting.seen_at, sighting.kind) == (HOME, NOON, SightingKind.CONNECT)


def test_another_loader_may_have_no_address() -> None:
    """NULL in its table is a gap, not an error."""
    assert SessionAggregate.sighted("s", None, NOON).summary().sighting is None


def test_wrong_values_are_refused_by_name() -> None:
    """The error names the field at once."""
    with pytest.raises(InvalidEvent):
        SessionAggregate.sighted("", "8.8.8.8", NOON)
    with pytest.raises(InvalidAddress):
        SessionAggregate.sighted("s", "nowhere", NOON)
    with pytest.raises(InvalidEvent):
        SessionAggregate.sighted("s", "8.8.8.8", NOON.replace(tzinfo=None))
    with pytest.raises(InvalidEvent):
        SessionAggregate.sighted("s", "8.8.8.8", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))))
    with pytest.raises(InvalidEvent):
        SessionAggregate.of("s").summary()
    with pytest.raises(InvalidEvent):
        session(event(1)).merge(SessionAggregate.of("t"))
    with pytest.raises(InvalidEvent):
        session(event(1)).summary().merge(SessionAggregate.of("t", [event(1)]).summary())


def test_the_same_address_seen_again_is_not_late_for_what_another_loader_sealed() -> None:
    """When that loader saw the address is not known, so every connect would come before it."""
    adopted = replace(snapshot(), method=Method.ADOPTED)
    held = session(event(1)).summary().judged(adopted)

    assert not session(event(2, EventKind.CONNECT)).summary().is_too_late_for(held)
    assert session(event(2, EventKind.CONNECT, address=OTHER)).summary().is_too_late_for(held)
