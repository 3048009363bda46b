"""Apply cached verdicts inside the database where that is faster than reading the rows."""

from collections import Counter

from snapshots.app.enrich.apply_verdicts import VerdictApplier, verdicts_counted
from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import PushdownResult

PAGES_UNASKED = 8
"""Number of pages without pushdown after a page in which more than half of the rows had no cached verdict."""


class Pushdown:
    """
    Applies cached verdicts to pages of sessions in the database, and backs off where few are cached.

    Args:
        verdict_applier: Holds the verdict cache.
        run: The run that writes.
    """

    def __init__(self, verdict_applier: VerdictApplier, run: str) -> None:
        self._verdict_applier = verdict_applier
        self._run = run
        self._unasked = 0

    @property
    def is_asked_next(self) -> bool:
        """Whether the next page is tried in the database."""
        return self._unasked == 0

    def apply(self, stores: Stores, *, after: str, limit: int) -> PushdownResult | None:
        """Apply cached verdicts to a page after a position; None if Python evaluates the whole page."""
        if limit == 1:  # isolate a refused row: Python evaluates it, so that it can be quarantined
            return None
        if self._unasked:
            self._unasked -= 1
            return None
        known = self._verdict_applier.apply_cached(stores, run=self._run, after=after, limit=limit)
        if known is None or known.left > known.verdicts.total():
            self._unasked = PAGES_UNASKED
        return known


def counts_of(known: PushdownResult | None) -> Counter[str]:
    """Return the results of a pushdown, by the names of a run's counts."""
    if known is None:
        return Counter()
    return verdicts_counted(known.verdicts) + Counter(judged=known.verdicts.total(), found=known.found)
