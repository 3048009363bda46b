"""Sessions whose clock cannot be right: shown as what they are, and no measure of anything else."""

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.snapshot.as_of import AsOfReader
from tests.fakes import FixedClock
from tests.journeys.conftest import Run

TICK = timedelta(microseconds=1)


def line(session: str, at: str) -> str:
    event = {
        "eventid": "cowrie.session.connect",
        "session": session,
        "timestamp": at,
        "src_ip": "8.8.8.8",
        "src_port": 1,
        "sensor": "s",
    }
    return json.dumps(event) + "\n"


@pytest.fixture
def loaded(run: Run, tmp_path: Path) -> Run:
    """Three days of sessions, and one at each end of time."""
    log = tmp_path / "cowrie.json"
    days = [line(f"day{n}", f"2026-10-0{n}T12:00:00.000000Z") for n in range(1, 4)]
    ends = [line("end", "9999-12-31T23:59:59.999999Z"), line("begin", "0001-01-01T00:00:00.000000Z")]
    log.write_text("".join(days + ends))
    assert run("load", "-q", log)[0] == 0
    return run


def test_a_report_excludes_and_counts_implausible_times(loaded: Run, tmp_path: Path) -> None:
    """As text, as JSON, and on the HTML page."""
    note = "2 sessions have an impossible clock (before 2000 or more than a day in the future)"

    code, out, _ = loaded("report")
    assert (code, "5 sessions" in out, note in out) == (0, True, True)
    assert "2026-10-01 to 2026-10-03" in out
    assert "9999" not in out
    assert "0001-01-01" not in out

    code, out, _ = loaded("report", "--format", "json", "--html", tmp_path / "report.html")
    document = json.loads(out)
    assert code == 0
    assert document["impossible_clocks"] == 2
    assert [document[name][:10] for name in ("first_event_at", "last_event_at")] == ["2026-10-01", "2026-10-03"]
    assert {row["begins"][:7] for row in document["timeline"]["counts"]} == {"2026-10"}
    assert [row["day"] for row in document["days"]] == ["2026-10-01", "2026-10-02", "2026-10-03"]
    assert abs(document["coverage"]["lag_days"]["greatest"]) < 100
    page = (tmp_path / "report.html").read_text()
    assert note in page
    assert "9999-12" not in page


def test_listed_sessions_have_their_stored_values(loaded: Run) -> None:
    """Lists of sessions exclude none with an impossible clock."""
    assert "9999-12-31" in loaded("query")[1]
    assert "9999-12-31 23:59:59" in loaded("explain", "end")[1]
    assert "0001-01-01 00:00:00" in loaded("explain", "begin")[1]
    for span, begins in (("hour", "9999-12-31 23:00"), ("day", "9999-12-31"), ("month", "9999-12-01")):
        assert f"\n{begins} " in loaded("query", "--by", span)[1]
    for command in ("verify", "drift", "export -", "inventory show 8.8.8.8", "backfill --dry-run"):
        code, _, err = loaded(*command.split())
        assert (code, "Error" in err) == (0, False), err


def test_the_newest_event_for_a_monitor_is_a_plausible_one(loaded: Run, tmp_path: Path) -> None:
    """An alert about a standing load looks at its age."""
    empty = tmp_path / "more.json"
    empty.write_text(line("day4", "2026-10-04T12:00:00.000000Z"))
    loaded("load", "-q", "--metrics-file", tmp_path / "load.prom", empty)

    numbers = dict(line.split(" ") for line in (tmp_path / "load.prom").read_text().splitlines() if line[0] != "#")
    newest = datetime(2026, 10, 4, 12, tzinfo=UTC).timestamp()
    assert float(numbers["snapshots_newest_event_timestamp_seconds"]) == newest


def test_a_database_with_only_implausible_times_has_a_report(run: Run, tmp_path: Path) -> None:
    """Such as from a honeypot without a clock battery."""
    (tmp_path / "cowrie.json").write_text(line("s", "1970-01-01T00:00:10.000000Z"))
    run("load", "-q", tmp_path / "cowrie.json")

    assert "unknown to unknown" in run("report")[1]
    assert run("report", "--html", tmp_path / "r.html")[0] == 0
    assert json.loads(run("report", "--format", "json")[1])["impossible_clocks"] == 1


def test_the_database_and_the_rule_agree_on_what_is_plausible(sql_database: SqlDatabase) -> None:
    """At both ends, to the microsecond."""
    clock = FixedClock()
    times = PlausibleTimes.seen_from(clock.now())
    ends = [times.earliest, times.latest]
    moments = [end + n * TICK for end in ends for n in (-1, 0, 1)]
    moments += [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), clock.now()]
    pairs = list(product(moments, moments))
    zeros = dict.fromkeys(("event_count", "command_count", "file_downloads", "login_attempts", "forward_count"), 0)
    rows = [
        {
            "session_id": f"s{n}",
            "first_event_at": first,
            "last_event_at": last,
            "created_at": first,
            "updated_at": last,
            "event_fingerprints": b"",
            **zeros,
        }
        for n, (first, last) in enumerate(pairs)
    ]
    with sql_database.transaction() as stores:
        stores.connection.execute(session_summaries.insert(), rows)

    found = SqlReports(sql_database, AsOfReader(), clock=clock).report(top=1)

    assert found.impossible_clocks == sum(first not in times or last not in times for first, last in pairs)
    assert found.first_event_at == times.earliest
    assert found.last_event_at == times.latest
