"""Numbers for those who watch."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from snapshots.adapters.telemetry.metrics import (
    BackfillMetrics,
    DatabaseMetrics,
    LoadMetrics,
    MetricsFile,
    VerifyMetrics,
)
from snapshots.app.errors import StoreBusy
from snapshots.app.load.progress import BatchLoaded, NoLoadObserver
from snapshots.app.queries.inspection import Inspection, Invariant, Violation
from snapshots.app.queries.reports import CoverageReport, DatabaseStatus, Report, Reports
from snapshots.app.queries.session_queries import EVERYTHING, SessionFilter
from snapshots.app.queries.validity import FactValidity
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.coverage import Coverage, CoverageCase
from snapshots.domain.snapshot.fact_methods import FactMethod
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method
from tests.app.backfill.test_batch_runner import RecordedProgress
from tests.fakes import FixedBuilds
from tests.strategies import NOON

COVERAGE = Coverage.of(
    [
        CoverageCase(count=3, facts=dict.fromkeys(("asn", "country"), FactMethod(Method.ASOF)), method=Method.ASOF),
        CoverageCase(count=1, gap=Gap.NOTHING_KNOWN),
        CoverageCase(count=6, gap=Gap.NOT_ROUTABLE),
        CoverageCase(count=2),
    ]
)
BATCH = BatchLoaded(run="r", source="a\nb", events=5, repeated=2, sessions=3, sealed=1, dead_letters=4, seconds=0.2)


class StatusReports(Reports):
    """Reports of which the test requests only one."""

    def __init__(self, coverage: Coverage = COVERAGE) -> None:
        self.coverage_report = CoverageReport(sessions=coverage, addresses=coverage, lag=None)

    def database_status(self) -> DatabaseStatus:
        return DatabaseStatus(
            sessions=self.coverage_report.sessions,
            dead_letters={"not_json": 2, "unfinished_line": 1},
            last_event_at=NOON if self.coverage_report.sessions.total else None,
            newest_builds={"dbip": NOON - timedelta(days=3)},
        )

    def report(self, *, top: int, session_filter: SessionFilter = EVERYTHING) -> Report:
        raise NotImplementedError

    def coverage(self) -> CoverageReport:
        raise NotImplementedError

    def inspect(self, *, show: int, run: str | None = None, full: bool = True) -> Inspection:
        raise NotImplementedError

    def explain(self, session_id: str) -> None:
        raise NotImplementedError


TOR_LIST = SourceBuild(
    name="tor-exits", built_at=NOON, licence="CC0", sha256="00", origin="/data/exits.txt", form="list TOR"
)


class Watch:
    """A stopwatch that is set by hand, and a list of warnings."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.warned: list[str] = []

    def file(self, path: Path, reports: Reports | None = None) -> MetricsFile:
        return MetricsFile(
            path,
            reports or StatusReports(),
            FactValidity(FixedBuilds(TOR_LIST), AsOfReader(), {}),
            stopwatch=lambda: self.seconds,
            warn=self.warned.append,
        )


def numbers(path: Path) -> dict[str, float]:
    """Read a file as a node exporter does: each name with its labels, and its value."""
    return {
        sample.name + (json.dumps(sample.labels, sort_keys=True) if sample.labels else ""): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_metrics_of_a_load_and_of_the_database_are_written(tmp_path: Path) -> None:
    """Shares are of reachable sessions, and every reason has a value, even without sessions."""
    file = Watch().file(tmp_path / "load.prom")
    observer = file.load_observer(NoLoadObserver())
    observer.source_opened("a", None)
    observer.bytes_read(1)
    observer.source_damaged("a", "it is truncated")
    for _ in range(2):
        observer.batch_loaded(BATCH)
    file.write()

    found = numbers(tmp_path / "load.prom")
    assert found['snapshots_events_total{"state": "new"}'] == 10
    assert found['snapshots_events_total{"state": "repeated"}'] == 4
    assert (found["snapshots_bad_lines_total"], found["snapshots_sealed_total"]) == (8, 2)
    assert found["snapshots_load_batch_seconds_count"] == 2
    assert found["snapshots_sessions"] == 12
    assert found['snapshots_coverage_ratio{"field": "snapshot"}'] == 0.5
    assert found['snapshots_coverage_ratio{"field": "ip_type"}'] == 0
    assert found['snapshots_facts{"fact": "asn", "method": "asof"}'] == 3
    assert found['snapshots_facts{"fact": "asn", "method": "inferred"}'] == 0
    assert found['snapshots_facts_by_distance{"distance": "after_longer", "fact": "asn"}'] == 0
    assert found['snapshots_types{"precision": "network"}'] == 0
    assert found['snapshots_open_sessions{"reason": "not_judged"}'] == 2
    assert {f'snapshots_open_sessions{{"reason": "{gap.value}"}}' for gap in Gap} <= found.keys()
    assert found["snapshots_dead_letters"] == 3
    assert found["snapshots_newest_event_timestamp_seconds"] == NOON.timestamp()
    assert found['snapshots_source_built_timestamp_seconds{"source": "dbip"}'] == (NOON - timedelta(days=3)).timestamp()
    valid_until = found['snapshots_fact_valid_until_timestamp_seconds{"fact": "TOR"}']
    assert valid_until == (NOON + timedelta(days=14)).timestamp()
    assert not any("violations" in name or "backfill" in name for name in found)


def test_an_empty_database_has_no_share(tmp_path: Path) -> None:
    """A share of zero would raise an alert."""
    file = Watch().file(tmp_path / "load.prom", StatusReports(Coverage()))
    file.load_observer(NoLoadObserver())
    file.write()

    found = numbers(tmp_path / "load.prom")
    assert str(found['snapshots_coverage_ratio{"field": "snapshot"}']) == "nan"


def test_commands_share_no_number(tmp_path: Path) -> None:
    """Otherwise a node exporter would refuse their files in one folder."""
    watch = Watch()
    load, backfill, verify = (watch.file(tmp_path / f"{name}.prom") for name in ("load", "backfill", "verify"))
    load.load_observer(NoLoadObserver()).batch_loaded(BATCH)
    work = backfill.work_observer(RecordedProgress())
    work.stage_begun("precompute", 3, run="b", counts_sessions=False)
    work.batch_done(3, 0.5)  # addresses, before any session
    work.stage_begun("never_judged", 7, run="b")
    work.waiting_for("")
    work.batch_done(7, 0.5)
    load.write()
    backfill.write()
    verify.write(Inspection(sealed=1, of=1, corrections=0))

    names = [{name.partition("{")[0] for name in numbers(path)} for path in sorted(tmp_path.iterdir())]
    assert len(names) == 3
    assert set.intersection(*names) == set()
    assert names[0] & names[1] == names[1] & names[2] == set()
    assert numbers(tmp_path / "backfill.prom")["snapshots_backfilled_total"] == 7


def test_every_violation_is_counted(tmp_path: Path) -> None:
    """However few of them are named."""
    named = [Violation(invariant=Invariant.UNCHANGED, where="s1")]
    counts = {Invariant.UNCHANGED: 4, Invariant.GUARDED: 1}
    Watch().file(tmp_path / "v.prom").write(Inspection(sealed=9, of=9, corrections=0, violations=named, counts=counts))

    found = numbers(tmp_path / "v.prom")
    assert found['snapshots_violations{"invariant": "unchanged"}'] == 4
    assert found['snapshots_violations{"invariant": "guarded"}'] == 1
    assert found['snapshots_violations{"invariant": "in_range"}'] == 0


def test_a_silent_load_writes_too(tmp_path: Path) -> None:
    """Who follows a log in which nothing happens is alive all the same."""
    watch = Watch()
    file = watch.file(tmp_path / "load.prom")
    file.load_observer(NoLoadObserver())
    ask = file.ticking(lambda: False)
    assert (ask(), (tmp_path / "load.prom").exists()) == (False, False)

    watch.seconds = 61

    assert (ask(), (tmp_path / "load.prom").exists()) == (False, True)


def test_metrics_of_an_unreachable_database_do_not_end_the_work(tmp_path: Path) -> None:
    """A warning states the reason."""

    class Gone(StatusReports):
        def database_status(self) -> DatabaseStatus:
            raise StoreBusy("later")

    watch = Watch()
    file = watch.file(tmp_path / "load.prom", Gone())
    file.load_observer(NoLoadObserver())
    file.write()

    assert watch.warned == [f"the metrics cannot be written to {tmp_path}/load.prom: later"]


def test_a_long_load_writes_metrics_at_intervals(tmp_path: Path) -> None:
    """Not after every batch."""
    watch = Watch()
    observer = watch.file(tmp_path / "load.prom").load_observer(NoLoadObserver())
    observer.batch_loaded(BATCH)
    assert not (tmp_path / "load.prom").exists()

    watch.seconds = 61
    observer.batch_loaded(BATCH)

    assert numbers(tmp_path / "load.prom")["snapshots_load_batch_seconds_count"] == 2


def test_an_unwritable_metrics_file_does_not_end_the_work(tmp_path: Path) -> None:
    """The warning is printed once, and no partial file is left."""
    watch = Watch()
    (tmp_path / "load.prom").mkdir()
    file = watch.file(tmp_path / "load.prom")
    file.write()
    file.write()
    watch.file(tmp_path / "no" / "load.prom").write()

    assert len(watch.warned) == 2
    assert "cannot be written" in watch.warned[0]
    assert [path.name for path in tmp_path.iterdir()] == ["load.prom"]


def registry() -> CollectorRegistry:
    """Everything in one registry, as in a program that embeds this package."""
    made = CollectorRegistry()
    for kind in (LoadMetrics, DatabaseMetrics, BackfillMetrics, VerifyMetrics):
        kind(made)
    return made


def test_alerts_and_dashboard_use_existing_metrics() -> None:
    """And every metric is used by one of them, or is listed as an exception."""
    folder = Path("docs/monitoring")
    documents = [(folder / name).read_text() for name in ("alerts.yml", "grafana/dashboards/metrics.json")]
    asked = set(re.findall(r"snapshots_[a-z_]+", "".join(documents)))
    known = {f"{family.name}{'_total' if family.type == 'counter' else ''}" for family in registry().collect()}

    assert {name.removesuffix("_bucket") for name in asked} == known
    json.loads(documents[1])


@pytest.mark.parametrize("kind", [LoadMetrics, DatabaseMetrics, BackfillMetrics, VerifyMetrics])
def test_metrics_follow_the_naming_rules_of_prometheus(kind: type) -> None:
    """A prefix, a unit, and a help text."""
    made = CollectorRegistry()
    kind(made)

    for family in made.collect():
        assert re.fullmatch(r"snapshots_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert "second" not in family.name or family.name.endswith("seconds")


def test_every_metric_is_in_the_reference() -> None:
    """With a meaning."""
    handbook = Path("docs/reference/metrics.md").read_text()

    assert [
        family.name for family in registry().collect() if not re.search(rf"`{family.name}(_total)?`", handbook)
    ] == []
