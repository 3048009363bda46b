"""Compute all verdicts on pages of addresses, to be staged and applied by the database."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from snapshots.app.enrich.service import builds_in
from snapshots.app.ports.database import Database
from snapshots.app.ports.key_range import KeyRange
from snapshots.domain.facts.source_builds import BuildCalendar
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.policy import SnapshotPolicy
from snapshots.domain.snapshot.verdict_spans import AddressSpans, SpanEvaluator


class SpanRequest(NamedTuple):
    """
    A page of addresses whose verdicts are to be computed.

    Attributes:
        run: The run that will stage the verdicts.
        within: The range of addresses.
        limit: Maximum number of addresses.
        first: Time of the earliest session, in UTC; spans that end before may be missing.
        last: Time of the latest session, in UTC; spans that begin later may be missing.
    """

    run: str
    within: KeyRange
    limit: int
    first: datetime
    last: datetime


class ComputedSpans(NamedTuple):
    """
    The verdicts on a page of addresses.

    Attributes:
        last: The last address; "" if the range has no more.
        addresses: Number of addresses.
        encoded: The spans, for `VerdictSpans.add`.
        builds: `builds_in` of the transaction that read the facts.
    """

    last: str
    addresses: int
    encoded: object
    builds: object


ComputeSpans = Callable[[SpanRequest], ComputedSpans]


class SpanComputers(Protocol):
    """Computes verdict spans in as many processes as there are calls at the same time."""

    def __call__(self, request: SpanRequest) -> ComputedSpans:
        """Compute in this process if it is idle, else in a further one."""
        ...

    def close(self) -> None:
        """End the further processes."""
        ...


class SpanComputer:
    """
    Computes the verdicts on addresses for all times, in this process.

    Args:
        database: Holds the facts.
        reader: Chooses facts as of a sighting.
        policy: Decides which snapshots are acceptable.
    """

    def __init__(self, database: Database, reader: AsOfReader, policy: SnapshotPolicy) -> None:
        self._database = database
        self._reader = reader
        self._policy = policy

    def __call__(self, request: SpanRequest) -> ComputedSpans:
        """
        Compute the verdicts on a page of addresses that were looked up in every build.

        Raises:
            StoreUnavailable: The database refused.
        """
        with self._database.view() as stores:
            addresses = stores.inventory.page_looked_up(request.within, limit=request.limit)
            calendar = BuildCalendar.of(stores.sources.registered())
            histories = stores.inventory.history_of([address for address in addresses if address.is_routable])
            evaluator = SpanEvaluator(self._reader, self._policy, largest_asn=stores.largest_asn)
            all_spans = AddressSpans(evaluator, calendar, first=request.first, last=request.last)
            spans = (span for address in addresses for span in all_spans.of(address, histories.get(address, ())))
            encoded = stores.verdict_spans.encode(request.run, spans)
            return ComputedSpans(addresses[-1].text if addresses else "", len(addresses), encoded, builds_in(stores))
