"""Prometheus metrics of loads, backfills and verifications."""

from collections.abc import Callable, Sequence
from math import nan
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, write_to_textfile

from snapshots.app.backfill.progress import BackfillObserver
from snapshots.app.load.progress import BatchLoaded, LoadObserver
from snapshots.app.queries.inspection import Inspection, Invariant
from snapshots.app.queries.reports import DatabaseStatus, Reports
from snapshots.app.queries.validity import FactValidity
from snapshots.domain.errors import SnapshotsError
from snapshots.domain.snapshot.coverage import NOT_JUDGED
from snapshots.domain.snapshot.fact_methods import Distance
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.provenance import FACTS
from snapshots.domain.snapshot.snapshot import Method
from snapshots.domain.snapshot.validity import KindValidity

SECONDS_BETWEEN_FILES = 60.0
"""Minimum time between two writes of the file during a load or a backfill."""

BUCKETS = (0.1, 0.3, 1, 3, 10, 30)


class LoadMetrics:
    """
    Metrics of a load. Labels have a bounded number of values: none is an address.

    Args:
        registry: The registry of the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "snapshots_events_total", "Events read, by state (new, repeated).", ["state"], registry=registry
        )
        self._dead_lettered = Counter(
            "snapshots_bad_lines_total", "Lines that were stored as dead letters.", registry=registry
        )
        self._sealed = Counter("snapshots_sealed_total", "Sessions sealed by a load.", registry=registry)
        self._seconds = Histogram(
            "snapshots_load_batch_seconds", "Duration of load batches.", buckets=BUCKETS, registry=registry
        )
        self._written = Gauge(
            "snapshots_load_timestamp_seconds", "Time at which the load metrics were written.", registry=registry
        )

    def batch_loaded(self, batch: BatchLoaded) -> None:
        """Count what was stored."""
        self._events.labels("new").inc(batch.events)
        self._events.labels("repeated").inc(batch.repeated)
        self._dead_lettered.inc(batch.dead_letters)
        self._sealed.inc(batch.sealed)
        self._seconds.observe(batch.seconds)

    def ended(self) -> None:
        """Set the time at which the metrics were written."""
        self._written.set_to_current_time()


class DatabaseMetrics:
    """
    Metrics of the stored sessions. Labels have a bounded number of values: none is an address.

    Args:
        registry: The registry of the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sessions = Gauge("snapshots_sessions", "Number of sessions in the database.", registry=registry)
        self._open = Gauge(
            "snapshots_open_sessions",
            "Number of sessions without a snapshot, by reason.",
            ["reason"],
            registry=registry,
        )
        self._coverage = Gauge(
            "snapshots_coverage_ratio",
            "Fraction of sessions from routable addresses that have the field.",
            ["field"],
            registry=registry,
        )
        self._facts = Gauge(
            "snapshots_facts",
            "Number of sessions with a fact as of the attack, and with one from a table made after it.",
            ["fact", "method"],
            registry=registry,
        )
        self._distances = Gauge(
            "snapshots_facts_by_distance",
            "Number of sessions with a fact, by the time from its statement to the attack.",
            ["fact", "distance"],
            registry=registry,
        )
        self._types = Gauge(
            "snapshots_types",
            "Number of sessions with the IP type of their address, and with that of their network.",
            ["precision"],
            registry=registry,
        )
        self._dead_letters = Gauge(
            "snapshots_dead_letters", "Number of dead letters in the database.", registry=registry
        )
        self._newest = Gauge(
            "snapshots_newest_event_timestamp_seconds", "Time of the newest stored event.", registry=registry
        )
        self._built = Gauge(
            "snapshots_source_built_timestamp_seconds",
            "Build time of the newest build of each source.",
            ["source"],
            registry=registry,
        )
        self._valid_until = Gauge(
            "snapshots_fact_valid_until_timestamp_seconds",
            "Time of the last attack for which the newest table of a kind of fact is not too old.",
            ["fact"],
            registry=registry,
        )

    def database_read(self, status: DatabaseStatus, validity: Sequence[KindValidity]) -> None:
        """Set the gauges of the database."""
        for each in validity:
            self._valid_until.labels(each.kind.value).set(each.valid_until.timestamp())
        sessions = status.sessions
        self._sessions.set(sessions.total)
        for gap in (*Gap, None):
            self._open.labels(gap.value if gap is not None else NOT_JUDGED).set(sessions.by_gap[gap])
        for field, count in sessions.by_field.items():
            share = sessions.share(count)
            self._coverage.labels(field).set(nan if share is None else share)
        for fact in FACTS:
            self._facts.labels(fact, Method.ASOF.value).set(sessions.asof[fact])
            self._facts.labels(fact, Method.INFERRED.value).set(sessions.inferred[fact])
            for distance in Distance:
                self._distances.labels(fact, distance.name.lower()).set(sessions.distances[fact][distance])
        self._types.labels("address").set(sessions.by_address)
        self._types.labels("network").set(sessions.by_network)
        self._dead_letters.set(sum(status.dead_letters.values()))
        if status.last_event_at is not None:
            self._newest.set(status.last_event_at.timestamp())
        for source, built_at in status.newest_builds.items():
            self._built.labels(source).set(built_at.timestamp())


def database_metrics(reports: Reports, fact_validity: FactValidity) -> bytes:
    """
    Return the metrics of the stored sessions in the text format of Prometheus.

    Raises:
        StoreUnavailable: The database did not answer.
    """
    registry = CollectorRegistry()
    DatabaseMetrics(registry).database_read(reports.database_status(), fact_validity.validity())
    return generate_latest(registry)


class BackfillMetrics:
    """
    Metrics of a backfill.

    Args:
        registry: The registry of the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._handled = Counter("snapshots_backfilled_total", "Sessions processed by this backfill.", registry=registry)
        self._seconds = Histogram(
            "snapshots_backfill_batch_seconds",
            "Duration of backfill batches.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._written = Gauge(
            "snapshots_backfill_timestamp_seconds",
            "Time at which the backfill metrics were written.",
            registry=registry,
        )

    def batch_done(self, handled: int, seconds: float) -> None:
        """Count what was stored."""
        self._handled.inc(handled)
        self._seconds.observe(seconds)
        self._written.set_to_current_time()


class VerifyMetrics:
    """
    Metrics of a verification.

    Args:
        registry: The registry of the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._violations = Gauge(
            "snapshots_violations",
            "Number of violations found by verify, by invariant.",
            ["invariant"],
            registry=registry,
        )
        self._written = Gauge("snapshots_verify_timestamp_seconds", "Time of the last verification.", registry=registry)

    def inspected(self, inspection: Inspection) -> None:
        """Set the gauges of violations."""
        for invariant in Invariant:
            self._violations.labels(invariant.value).set(inspection.counts.get(invariant, 0))
        self._written.set_to_current_time()


class MetricsFile:
    """
    A file for the textfile collector of the Prometheus node exporter, written atomically.

    Each metric belongs to one command, so that the files of several commands can be in one folder.

    Args:
        path: The file; its name should end with .prom.
        reports: Source of the gauges of the database.
        fact_validity: Source of the gauges of facts.
        stopwatch: Returns seconds from an arbitrary start.
        warn: Called once if the file cannot be written; the work continues.
    """

    def __init__(
        self,
        path: Path,
        reports: Reports,
        fact_validity: FactValidity,
        *,
        stopwatch: Callable[[], float],
        warn: Callable[[str], None],
    ) -> None:
        self._registry = CollectorRegistry()
        self._load: tuple[LoadMetrics, DatabaseMetrics] | None = None
        self._path = path
        self._reports = reports
        self._fact_validity = fact_validity
        self._stopwatch = stopwatch
        self._warn = warn
        self._written_at = stopwatch()
        self._has_warned = False

    def load_observer(self, next_observer: LoadObserver) -> LoadObserver:
        """Return an observer of a load that counts and forwards to another observer."""
        metrics = LoadMetrics(self._registry)
        self._load = metrics, DatabaseMetrics(self._registry)
        return _MeteredLoad(metrics, next_observer, self._write_if_old)

    def work_observer(self, next_observer: BackfillObserver) -> BackfillObserver:
        """Return an observer of a backfill that counts and forwards to another observer."""
        return _MeteredWork(BackfillMetrics(self._registry), next_observer, self._write_if_old)

    def ticking(self, is_stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Return a wrapper of *is_stopped* that also writes the file if it is old."""

        def ask() -> bool:
            self._write_if_old()
            return is_stopped()

        return ask

    def write(self, inspection: Inspection | None = None) -> None:
        """Write the file; *inspection* is the result of `verify`."""
        self._written_at = self._stopwatch()
        try:
            if self._load is not None:
                of_load, of_database = self._load
                of_database.database_read(self._reports.database_status(), self._fact_validity.validity())
                of_load.ended()
            if inspection is not None:
                VerifyMetrics(self._registry).inspected(inspection)
            write_to_textfile(str(self._path), self._registry)
        except (OSError, SnapshotsError) as exc:
            if not self._has_warned:
                self._warn(f"the metrics cannot be written to {self._path}: {getattr(exc, 'strerror', None) or exc}")
            self._has_warned = True

    def _write_if_old(self) -> None:
        if self._stopwatch() - self._written_at >= SECONDS_BETWEEN_FILES:
            self.write()


class _MeteredLoad:
    def __init__(self, metrics: LoadMetrics, next_observer: LoadObserver, write_if_old: Callable[[], None]) -> None:
        self._metrics = metrics
        self._next = next_observer
        self._write_if_old = write_if_old

    def source_opened(self, name: str, size: int | None) -> None:
        self._next.source_opened(name, size)

    def bytes_read(self, count: int) -> None:
        self._next.bytes_read(count)

    def source_damaged(self, name: str, damage: str) -> None:
        self._next.source_damaged(name, damage)

    def batch_loaded(self, batch: BatchLoaded) -> None:
        self._metrics.batch_loaded(batch)
        self._write_if_old()
        self._next.batch_loaded(batch)


class _MeteredWork:
    def __init__(
        self, metrics: BackfillMetrics, next_observer: BackfillObserver, write_if_old: Callable[[], None]
    ) -> None:
        self._metrics = metrics
        self._next = next_observer
        self._write_if_old = write_if_old
        self._counts_sessions = True

    def stage_begun(self, name: str, total: int, *, run: str, counts_sessions: bool = True) -> None:
        self._counts_sessions = counts_sessions
        self._next.stage_begun(name, total, run=run, counts_sessions=counts_sessions)

    def batch_done(self, handled: int, seconds: float) -> None:
        if self._counts_sessions:
            self._metrics.batch_done(handled, seconds)
        self._write_if_old()
        self._next.batch_done(handled, seconds)

    def waiting_for(self, reason: str) -> None:
        self._next.waiting_for(reason)
