"""Totals in one pass over records, against the rules that they repeat for speed."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import assume, example, given
from hypothesis import strategies as st

from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.event_record import event_of, microseconds_in, record_of, text_of_time
from snapshots.domain.session.event_time import microseconds_of
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.session_id_reuse import tell_apart
from snapshots.domain.session.session_totals import NewSession, SessionTotals, totals_of
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from tests.strategies import HOME, NOON, OTHER, events, ip_snapshots, moments, odd_moments

any_times = moments | odd_moments | st.datetimes(timezones=st.just(UTC))
any_events = st.lists(events(any_times), min_size=1, max_size=12)


@st.composite
def events_of_one_sensor(draw: st.DrawFn) -> list[SessionEvent]:
    """Events with at most one connect, some of them repeated; the kinds and times are any."""
    found = [event._replace(sensor=draw(st.sampled_from([None, "a"]))) for event in draw(any_events)]
    connects = [event for event in found if event.kind is EventKind.CONNECT]
    own = [event for event in found if event.kind is not EventKind.CONNECT or event is connects[0]]
    return [*own, *draw(st.lists(st.sampled_from(own), max_size=3))]


def totals(found: Sequence[SessionEvent]) -> SessionTotals | None:
    return totals_of("s", [record_of(event) for event in found])


def connect(mark: int, **parts: object) -> SessionEvent:
    return SessionEvent(**{"fingerprint": mark, "at": NOON, "kind": EventKind.CONNECT, "address": HOME, **parts})  # type: ignore[arg-type]  # a builder


@given(events(any_times))
@example(connect(2**64 - 1, port=0, sensor="", traits=((Trait.COMMAND, "a\n\u2028"), (Trait.KEY, "k"))))
def test_a_record_holds_the_whole_event(event: SessionEvent) -> None:
    """Nothing is lost on the way to another process."""
    assert event_of(record_of(event)) == event


@given(any_times, any_times)
def test_times_in_records_sort_as_times(one: datetime, other: datetime) -> None:
    """From the year 1 to 9999, and in microseconds too."""
    first, second = text_of_time(one), text_of_time(other)

    assert (first < second) == (one < other)
    assert microseconds_in(first) == microseconds_of(one)


@given(any_events)
@example([connect(1), connect(2)])
@example([connect(1), connect(2, address=OTHER)])
@example([connect(1), connect(1, address=OTHER), connect(1)])
@example([connect(1, address=None), connect(2, kind=EventKind.FORWARD), connect(3, kind=EventKind.OTHER)])
def test_totals_of_any_events_equal_the_summary(found: list[SessionEvent]) -> None:
    """Or there are none, and the events are separated by the rules of the domain."""
    aggregate = SessionAggregate.of("s", found)

    fast = totals(found)

    if fast is not None:
        assert [each.session_id for each in tell_apart(aggregate, ())] == ["s"]
        assert fast.summary() == aggregate.summary("s")


@given(events_of_one_sensor())
@example([connect(1)])
def test_events_of_one_sensor_and_one_connect_have_totals(found: list[SessionEvent]) -> None:
    """So nearly every session takes the fast path."""
    fast = totals(found)

    assert fast is not None
    assert fast.summary() == SessionAggregate.of("s", found).summary()


@given(events_of_one_sensor(), st.sampled_from(Gap) | ip_snapshots)
@example([connect(1)], Gap.NO_SOURCE_IP)
def test_a_new_session_is_judged_as_its_summary(found: list[SessionEvent], verdict: IpSnapshot | Gap) -> None:
    """With a snapshot, with a gap, and before its connect was read."""
    fast = totals(found)
    assume(fast is not None)
    assert fast is not None

    session = NewSession.of(fast).judged(verdict).awaiting_connect()

    summary = fast.summary().judged(verdict).awaiting_connect()
    assert session.summary() == summary
    assert (session.session_id, session.logged_id) == (summary.session_id, summary.logged_id)
    assert (session.first_event_at, session.last_event_at) == (summary.first_event_at, summary.last_event_at)
    assert (session.event_count, session.fingerprints) == (summary.event_count, summary.fingerprints)
    assert session.source_ip == summary.source_ip
    assert (session.is_sealed, session.waits_for_connect) == (summary.is_sealed, summary.waits_for_connect)
