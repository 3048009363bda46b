"""When cached verdicts are applied inside the database."""

from collections import Counter
from typing import cast

import pytest

from snapshots.app.backfill.pushdown import PAGES_UNASKED, Pushdown
from snapshots.app.enrich.apply_verdicts import VerdictApplier
from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import PushdownResult
from snapshots.domain.snapshot.snapshot import Method
from tests.fakes import InMemoryDatabase


class ScriptedApplier:
    """Returns one result for each page, and counts the pages."""

    def __init__(self, *results: PushdownResult | None) -> None:
        self.results = list(results)
        self.page_count = 0

    def apply_cached(self, _stores: Stores, *, run: str, after: str, limit: int) -> PushdownResult | None:
        self.page_count += 1
        return self.results.pop(0)


def result(*, sealed: int, left: int) -> PushdownResult:
    return PushdownResult("last", left, Counter({Method.ASOF: sealed}), 0)


def pages_tried(applier: ScriptedApplier, pages: int, *, limit: int = 10) -> int:
    """Offer some pages, and return for how many the database was tried."""
    pushdown = Pushdown(cast(VerdictApplier, applier), "run")
    with InMemoryDatabase().transaction() as stores:
        for _ in range(pages):
            pushdown.apply(stores, after="", limit=limit)
    return applier.page_count


def test_the_next_page_is_tried_if_half_of_the_rows_had_a_cached_verdict() -> None:
    """Exactly half is enough."""
    assert pages_tried(ScriptedApplier(result(sealed=5, left=5), None), 2) == 2


@pytest.mark.parametrize("poor", [result(sealed=5, left=6), None])
def test_after_a_page_with_few_cached_verdicts_some_pages_are_read_instead(poor: PushdownResult | None) -> None:
    """Then the database is tried again."""
    assert pages_tried(ScriptedApplier(poor), 1 + PAGES_UNASKED) == 1
    assert pages_tried(ScriptedApplier(poor, None), 2 + PAGES_UNASKED) == 2


def test_a_single_row_is_evaluated_in_python() -> None:
    """A refused row is alone in its batch, and must be quarantined."""
    assert pages_tried(ScriptedApplier(), 3, limit=1) == 0
