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


def new_queue() -> PartitionQueue:
    return PartitionQueue(SPAN * len(SPANS), 0, span=SPAN, after="begin")


def done(judged: int, left: int = 0, last: str = "x") -> PushdownResult:
    return PushdownResult(last, left, Counter({Method.ASOF: judged}), 0)


def claim(queue: PartitionQueue, *, judged: int = 0, more_follows: bool = False) -> KeyRange | None:
    return queue.claim(STORES, judged=judged, more_follows=more_follows)


def test_partitions_are_claimed_from_the_last_and_the_main_worker_has_a_reserve() -> None:
    """A partition ends with a page that is not full, or with an empty one."""
    queue = new_queue()

    assert claim(queue) == KeyRange("9", "")
    queue.complete(done(6, last="9a"), asked=6, more_follows=False)
    assert claim(queue) == KeyRange("9a", "")
    queue.complete(done(4, last="9b"), asked=6, more_follows=False)
    assert claim(queue) == KeyRange("8", "9")
    assert queue.main_limit == "8"
    queue.complete(None, asked=6, more_follows=False)
    assert claim(queue) == KeyRange("7", "8")
    assert queue.main_limit == "7"
    queue.release_all()
    assert queue.main_limit == ""


def test_the_second_worker_stops_at_the_reserve_of_the_main_worker() -> None:
    """The main worker has claimed some partitions; leftovers are not evaluated from there."""
    queue = new_queue()
    most = SPAN * (len(SPANS) - RESERVED_PARTITIONS)

    assert claim(queue, judged=most) == SPANS[-1]
    queue.complete(done(6, left=1), asked=20, more_follows=False)
    assert claim(queue, judged=most) is None
    assert claim(queue, judged=most - 1) == SPANS[-2]


def test_a_partition_with_few_cached_verdicts_is_released_and_claimed_again_later() -> None:
    """At growing intervals, and in the end it is processed in any case."""
    queue, waits = new_queue(), []
    for _ in range(MAX_SPARSE_RETRIES):
        assert claim(queue) == SPANS[-1]
        waits.append(queue.complete(done(1, left=5), asked=6, more_follows=False))
        assert queue.main_limit == SPANS[-1].until
    assert claim(queue) == SPANS[-1]
    assert queue.main_limit == "9"
    waits.append(queue.complete(done(1, left=5, last="9a"), asked=6, more_follows=False))

    assert waits == [2, 4, 8, 0]
    assert claim(queue) == KeyRange("9a", "")


def test_ranges_with_leftovers_are_revisited_at_the_end() -> None:
    """The main worker does not claim them meanwhile."""
    queue = new_queue()
    assert claim(queue, more_follows=True) == SPANS[-1]
    assert queue.complete(done(1, left=9), asked=20, more_follows=True) == 0
    assert claim(queue, more_follows=True) == SPANS[-2]
    queue.complete(done(10), asked=20, more_follows=True)
    assert claim(queue, more_follows=True) == SPANS[-3]
    queue.complete(done(2, left=3, last="7a"), asked=5, more_follows=True)

    assert claim(queue) == KeyRange("7a", "8")
    queue.complete(done(5), asked=20, more_follows=False)
    again = [claim(queue)]
    queue.complete(done(3), asked=20, more_follows=False)
    again.append(claim(queue))
    assert queue.main_limit == "7"
    queue.complete(done(8, left=1), asked=20, more_follows=False)

    assert again == [SPANS[-3], SPANS[-1]]
    assert queue.main_limit == "7"
    most = SPAN * (len(SPANS) - RESERVED_PARTITIONS) - 1
    assert claim(queue, judged=most + 1) is None
    assert claim(queue, judged=most) == SPANS[-4]


@given(st.data())
def test_every_session_with_a_cached_verdict_is_written_in_every_claimed_partition(data: st.DataObject) -> None:
    """However many verdicts are cached at first, and however large batches are."""
    queue = new_queue()
    open_sessions = {int(span.after or "0"): SPAN for span in SPANS}
    claimed: list[int] = []
    rounds = data.draw(st.integers(0, 9))
    begun: dict[int, int] = {}
    for turn in range(200):
        more_follows = turn < rounds
        span = claim(queue, judged=SPAN * len(SPANS) - sum(open_sessions.values()), more_follows=more_follows)
        if span is None:
            if more_follows:
                continue
            break
        number, _, at = (span.after or "0").partition(".")
        here = int(number)
        claimed.append(here)
        assert queue.main_limit == (str(min(claimed)) if min(claimed) else "")
        begun[here] = open_sessions[here] if not at else begun[here]
        rest = begun[here] - int(at or "0")
        asked = data.draw(st.integers(1, 12))
        page = min(asked, rest)
        judged = data.draw(st.integers(0, page)) if more_follows else page
        open_sessions[here] -= judged
        place = f"{number}.{int(at or '0') + page}"
        settled = done(judged, left=page - judged, last=place) if page else None
        queue.complete(settled, asked=asked, more_follows=more_follows)

    assert {number for number in claimed if open_sessions[number]} == set()
    assert set(claimed) == set(range(min(claimed), len(SPANS)))
