"""Let the store settle what it can by itself, where that pays."""

from collections import Counter

from snapshots.app.enrich.apply_verdicts import VerdictApplier, verdicts_counted
from snapshots.app.ports.database import Stores
from snapshots.app.ports.open_sessions import PushdownResult

PAGES_UNASKED = 8
"""For how many pages the store is not asked again after it left more than half of a page to the program."""


class Pushdown:
    """
    Asks the store to settle pages of sessions that nobody judged, by the verdicts that are remembered.

    Args:
        verdict_applier: Knows the verdicts.
        run: The run that writes.
    """

    def __init__(self, verdict_applier: VerdictApplier, run: str) -> None:
        self._verdict_applier = verdict_applier
        self._run = run
        self._unasked = 0

    @property
    def is_asked_next(self) -> bool:
        """Whether the store is asked for the next page."""
        return self._unasked == 0

    def settle(self, stores: Stores, *, after: str, limit: int) -> PushdownResult | None:
        """Return what the store settled of a page; None if the page is the program's."""
        if limit == 1:  # a row that was refused with others is judged in the program, and maybe set aside
            return None
        if self._unasked:
            self._unasked -= 1
            return None
        known = self._verdict_applier.apply_cached(stores, run=self._run, after=after, limit=limit)
        if known is None or known.left > known.verdicts.total():
            self._unasked = PAGES_UNASKED
        return known


def counts_of(known: PushdownResult | None) -> Counter[str]:
    """Return what the store settled, by the names that a run keeps counts under."""
    if known is None:
        return Counter()
    return verdicts_counted(known.verdicts) + Counter(judged=known.verdicts.total(), found=known.found)
