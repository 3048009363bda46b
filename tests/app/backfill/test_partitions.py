"""The key ranges that the second worker claims."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from snapshots.app.backfill.partitions import MAX_SPARSE_RETRIES, RESERVED_PARTITIONS, PartitionQueue
from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import KeyRange, PushdownResult
from snapshots.domain.snapshot.snapshot import Method

SPAN = 10
SPANS = [KeyRange(f"{n}" if n else "", f"{n + 1}" if n < 9 else "") for n in range(10)]


class Table:
    """A table of a hundred sessions, in ten spans."""

    @property
    def open_sessions(self) -> "Table":
        return self

    def key_ranges(self, count: int, *, after: str) -> Sequence[KeyRange]:
        assert (count, after) == (len(SPANS), "begin")
        return SPANS


STORES = cast("Stores", Table())


def spans() -> PartitionQueue:
    return PartitionQueue(SPAN * len(SPANS), 0, span=SPAN, after="begin")


def done(judged: int, left: int = 0, last: str = "x") -> PushdownResult:
    return PushdownResult(last, left, Counter({Method.ASOF: judged}), 0)


def take(far: PartitionQueue, *, judged: int = 0, more_follows: bool = False) -> KeyRange | None:
    return far.claim(STORES, judged=judged, more_follows=more_follows)


def test_parts_are_taken_from_the_last_on_and_the_near_end_keeps_clear() -> None:
    """A part ends with a page that is not full, or with none."""
    far = spans()

    assert take(far) == KeyRange("9", "")
    far.complete(done(6, last="9a"), asked=6, more_follows=False)
    assert take(far) == KeyRange("9a", "")
    far.complete(done(4, last="9b"), asked=6, more_follows=False)
    assert take(far) == KeyRange("8", "9")
    assert far.main_limit == "8"
    far.complete(None, asked=6, more_follows=False)
    assert take(far) == KeyRange("7", "8")
    assert far.main_limit == "7"
    far.release_all()
    assert far.main_limit == ""


def test_the_end_is_where_the_near_end_may_have_come() -> None:
    """It has some spans in hand; what was left of a part will not be judged from there."""
    far = spans()
    most = SPAN * (len(SPANS) - RESERVED_PARTITIONS)

    assert take(far, judged=most) == SPANS[-1]
    far.complete(done(6, left=1), asked=20, more_follows=False)
    assert take(far, judged=most) is None
    assert take(far, judged=most - 1) == SPANS[-2]


def test_a_part_of_which_little_is_known_is_given_back_and_taken_again_later() -> None:
    """Ever later, and in the end it is gone through all the same."""
    far, waits = spans(), []
    for _ in range(MAX_SPARSE_RETRIES):
        assert take(far) == SPANS[-1]
        waits.append(far.complete(done(1, left=5), asked=6, more_follows=False))
        assert far.main_limit == SPANS[-1].until
    assert take(far) == SPANS[-1]
    assert far.main_limit == "9"
    waits.append(far.complete(done(1, left=5, last="9a"), asked=6, more_follows=False))

    assert waits == [2, 4, 8, 0]
    assert take(far) == KeyRange("9a", "")


def test_what_was_left_while_more_followed_is_gone_through_again_at_the_end() -> None:
    """The near end is not let in between; and those that were judged then had not been counted on."""
    far = spans()
    assert take(far, more_follows=True) == SPANS[-1]
    assert far.complete(done(1, left=9), asked=20, more_follows=True) == 0
    assert take(far, more_follows=True) == SPANS[-2]
    far.complete(done(10), asked=20, more_follows=True)
    assert take(far, more_follows=True) == SPANS[-3]
    far.complete(done(2, left=3, last="7a"), asked=5, more_follows=True)

    assert take(far) == KeyRange("7a", "8")
    far.complete(done(5), asked=20, more_follows=False)
    again = [take(far)]
    far.complete(done(3), asked=20, more_follows=False)
    again.append(take(far))
    assert far.main_limit == "7"
    far.complete(done(8, left=1), asked=20, more_follows=False)

    assert again == [SPANS[-3], SPANS[-1]]
    assert far.main_limit == "7"
    most = SPAN * (len(SPANS) - RESERVED_PARTITIONS) - 1
    assert take(far, judged=most + 1) is None
    assert take(far, judged=most) == SPANS[-4]


@given(st.data())
def test_every_session_that_is_known_at_the_end_is_settled_in_every_part_that_was_taken(data: st.DataObject) -> None:
    """However much is known when a part is gone through first, and however large batches are."""
    far = spans()
    open_sessions = {int(span.after or "0"): SPAN for span in SPANS}
    taken: list[int] = []
    rounds = data.draw(st.integers(0, 9))
    begun: dict[int, int] = {}
    for turn in range(200):
        more_follows = turn < rounds
        span = take(far, judged=SPAN * len(SPANS) - sum(open_sessions.values()), more_follows=more_follows)
        if span is None:
            if more_follows:
                continue
            break
        number, _, at = (span.after or "0").partition(".")
        here = int(number)
        taken.append(here)
        assert far.main_limit == (str(min(taken)) if min(taken) else "")
        begun[here] = open_sessions[here] if not at else begun[here]
        rest = begun[here] - int(at or "0")
        asked = data.draw(st.integers(1, 12))
        page = min(asked, rest)
        judged = data.draw(st.integers(0, page)) if more_follows else page
        open_sessions[here] -= judged
        place = f"{number}.{int(at or '0') + page}"
        settled = done(judged, left=page - judged, last=place) if page else None
        far.complete(settled, asked=asked, more_follows=more_follows)

    assert {number for number in taken if open_sessions[number]} == set()
    assert set(taken) == set(range(min(taken), len(SPANS)))
