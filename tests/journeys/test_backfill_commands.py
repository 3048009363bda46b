"""Filling the past of an adopted database, and taking it back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.cowrieprocessor import AdoptableSchema, put_address, put_session
from tests.journeys.conftest import SQLITE_BY_DEFAULT, Run
from tests.journeys.test_adoption import Adopted, Make, make
from tests.waiting import wait_until

__all__ = ["make"]

KILLS = int(os.environ.get("SNAPSHOTS_KILLS", "4"))
OUR_AFFAIR = {"snapshot_gap", "gap_checked_at", "gap_run"}
GOOGLE, CLOUDFLARE, PRIVATE, TIMELESS = "8.8.8.8", "1.1.1.1", "10.0.0.7", "9.9.9.9"


def event(eventid: str, address: str, at: str) -> str:
    return json.dumps({"session": "x", "eventid": eventid, "src_ip": address, "timestamp": f"2026-03-01T{at}Z"})


DOCUMENTS: Mapping[str, Any] = {
    "bulk": {"session": {GOOGLE: {"dshield": {}}}, "virustotal": {"00": {}}},
    "top": {GOOGLE: {"dshield": {}}},
    "refresh": {"dshield": {"ip": {"number": GOOGLE}}},
    "design": {"session_metadata": {"source_ip": "::ffff:8.8.8.8"}},
    "passwords": {"password_stats": {"total": 3}},
    "several": {"session": {GOOGLE: {}, CLOUDFLARE: {}}},
    "empty": {},
    "list": [1, 2],
    "odd": {"session": 5, "dshield": [], "session_metadata": {"source_ip": 7}, "0.0.0.0": {}},
}
FOUND = {"bulk": GOOGLE, "top": GOOGLE, "refresh": GOOGLE, "design": GOOGLE, "connect": GOOGLE, "first": CLOUDFLARE}
FOUND |= {"held": GOOGLE, "unknown": GOOGLE, "mapped": GOOGLE, "": GOOGLE, "codes": GOOGLE, "dated": GOOGLE}
FOUND |= {"timeless": TIMELESS}
REASONS = dict.fromkeys(("passwords", "empty", "list", "odd", "claimed", "nothing"), "no_source_ip")
REASONS |= {"several": "ambiguous_ip", "private": "not_routable", "open codes": "not_routable"}
REASONS |= {"hidden codes": "not_routable"}


@pytest.fixture(params=SQLITE_BY_DEFAULT)
def theirs(request: pytest.FixtureRequest, make: Make, run: Run) -> Adopted:
    """Sessions of every shape, adopted."""
    found = make(AdoptableSchema(dialect=request.param, by_migrations=request.param == "postgresql"))
    with found.engine.begin() as connection:
        for name, document in DOCUMENTS.items():
            put_session(connection, name, enrichment=json.dumps(document))
        put_session(connection, "held", source_ip=GOOGLE, enrichment=json.dumps({CLOUDFLARE: {}}))
        put_session(connection, "unknown", source_ip="0.0.0.0", enrichment=json.dumps({GOOGLE: {}}))
        put_session(connection, "mapped", source_ip="::ffff:8.8.8.8")
        put_session(connection, "private", source_ip="100.64.0.9")
        put_session(connection, "", source_ip=GOOGLE)
        code = {"snapshot_asn": 0, "snapshot_country": "XX", "enrichment_at": "2026-03-02 00:00:00.000000"}
        put_session(connection, "codes", source_ip=GOOGLE, **code)
        put_session(connection, "open codes", source_ip="100.64.0.9", **code)
        put_session(connection, "hidden codes", enrichment=json.dumps({PRIVATE: {}}), **code)
        put_session(connection, "dated", source_ip=GOOGLE, enrichment_at="2026-03-02 00:00:00.000000")
        put_session(connection, "timeless", first_event_at=None, last_event_at=None)
        put_session(connection, "sealed", source_ip=GOOGLE, snapshot_asn=1, enrichment_at="2026-03-02 00:00:00.000000")
        events = {
            "connect": [("session.connect", GOOGLE, "12:00:05"), ("login.failed", CLOUDFLARE, "12:00:01")],
            "first": [("login.failed", GOOGLE, "12:00:05"), ("command.input", CLOUDFLARE, "12:00:01")],
            "timeless": [("session.connect", TIMELESS, "12:00:05")],
            "claimed": [("direct-tcpip.request", CLOUDFLARE, "12:00:00"), ("client.version", "?", "12:00:01")],
            "nothing": [],
        }
        number = 0
        for name, sightings in events.items():
            if name != "timeless":
                put_session(connection, name)
            for kind, address, at in sightings:
                number += 1
                row = {"i": number, "s": name, "p": event(f"cowrie.{kind}", address, at)}
                connection.execute(text("INSERT INTO raw_events (id, session_id, payload) VALUES (:i, :s, :p)"), row)
    assert run("adopt")[0] == 0
    return found


def run_of(out: str) -> str:
    return out.rsplit("snapshots undo ", 1)[1].split("`", maxsplit=1)[0]


def test_every_session_gets_a_snapshot_or_a_gap(theirs: Adopted, run: Run) -> None:
    """In every column that can have the address; sessions sealed by its own loader stay."""
    sealed = theirs.row("sealed")

    code, out, err = run("backfill")

    assert (code, err) == (0, "")
    rows = {row["session_id"]: row for row in theirs.rows()}
    assert {name for name, row in rows.items() if row["snapshot_asn"]} == {*FOUND, "sealed"}
    assert {name: rows[name]["source_ip"] for name in FOUND} == FOUND
    assert {name: rows[name]["snapshot_gap"] for name in REASONS} == REASONS
    assert rows["hidden codes"]["source_ip"] == PRIVATE
    assert rows["sealed"] == sealed
    assert f"{len(FOUND)} received a snapshot" in out
    code, verified, _ = run("verify")
    assert (code, verified.count(" codes")) == (3, 2), "only the remaining placeholders are reported"
    assert f"{len(FOUND)} sealed sessions checked" in run("verify", "--run", run_of(out))[1]
    assert "Nothing to do" in run("backfill")[1]


def test_the_dry_run_of_a_backfill_equals_its_result(theirs: Adopted, run: Run) -> None:
    """And the dry run changes no row."""
    before = theirs.rows()
    forecast = json.loads(run("backfill", "--dry-run", "--format", "json")[1])
    assert theirs.rows() == before

    done = json.loads(run("backfill", "--format", "json")[1])

    for what in ("judged", "sealed", "open", "found", "lost", "quarantined"):
        assert forecast[what] == done[what]
    assert len(forecast["samples"]) >= 4


def test_undo_restores_the_table(theirs: Adopted, run: Run) -> None:
    """To the value, except for the update time and the gap; the inventory counts as before."""
    before = [{k: v for k, v in row.items() if k not in OUR_AFFAIR} for row in theirs.rows()]
    counts = {row["ip_address"]: row["session_count"] for row in theirs.rows("known_addresses")}
    name = run_of(run("backfill")[1])
    counted = {row["ip_address"]: row["session_count"] for row in theirs.rows("known_addresses")}
    assert counted[GOOGLE] == counts[GOOGLE] + 7
    assert counted[CLOUDFLARE] == 1

    assert f"{len(FOUND) - 2} sessions would be open again; 2 have" in run("undo", name, "--dry-run")[1]
    code, out, err = run("undo", name)

    assert (code, err) == (0, "")
    assert f"{len(FOUND) - 2} sessions are open again; 2 have their previous snapshot" in out
    assert "dbip@" in out
    assert [{k: v for k, v in row.items() if k not in OUR_AFFAIR} for row in theirs.rows()] == before
    after = {row["ip_address"]: row["session_count"] for row in theirs.rows("known_addresses")}
    assert {**counts, CLOUDFLARE: 0, TIMELESS: 0, PRIVATE: 0} == after
    assert {row["snapshot_gap"] for row in theirs.rows() if row["session_id"] in FOUND} == {"undone"}
    assert "Nothing to undo" in run("undo", name)[1]
    assert [row["state"] for row in json.loads(run("runs", "--format", "json")[1])][-1] == "undone"
    assert f"{len(FOUND)} received a snapshot" in run("backfill")[1]


def test_loading_continues_after_a_backfill(theirs: Adopted, run: Run, tmp_path: Path) -> None:
    """What is sealed only counts; where a load sees the address itself, undoing the backfill takes nothing from it."""
    with theirs.engine.begin() as connection:
        put_session(connection, "hidden", enrichment=json.dumps({PRIVATE: {}}))
    name = run_of(run("backfill")[1])
    assert theirs.row("hidden")["source_ip"] == PRIVATE
    lines = [
        {"session": "bulk", "eventid": "cowrie.session.closed", "src_ip": GOOGLE, "timestamp": "2026-03-01T12:10:00Z"},
        {"session": "hidden", "eventid": "cowrie.session.connect", "src_ip": CLOUDFLARE, "src_port": 5}
        | {"timestamp": "2026-03-01T12:00:00Z"},
    ]
    log = tmp_path / "cowrie.json"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))

    code, _, err = run("load", log)

    assert (code, err) == (0, "")
    assert (theirs.row("bulk")["source_ip"], theirs.row("bulk")["event_count"]) == (GOOGLE, 6)
    assert (theirs.row("hidden")["source_ip"], theirs.row("hidden")["source_ip_run"]) == (CLOUDFLARE, None)
    run("undo", name)
    assert (theirs.row("hidden")["source_ip"], theirs.row("bulk")["source_ip"]) == (CLOUDFLARE, None)


def test_a_session_sealed_by_the_other_loader_meanwhile_is_left_and_counted(theirs: Adopted, run: Run) -> None:
    """It is neither overwritten nor counted as ours. Its address is in raw events, which Python reads."""
    from snapshots.adapters.sql.backfill.open_sessions import SqlOpenSessions  # noqa: PLC0415 - what is in its way is put there

    settle = SqlOpenSessions.write_verdicts

    def seal_first(self: Any, judged: Any, **rest: Any) -> Any:
        seal = "UPDATE session_summaries SET snapshot_asn = 7, enrichment_at = updated_at WHERE session_id = 'connect'"
        self._connection.execute(text(seal))
        return settle(self, judged, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlOpenSessions, "write_verdicts", seal_first)
        done = json.loads(run("backfill", "--format", "json")[1])

    assert done["lost"] == 1
    assert sum(done["sealed"].values()) == len(FOUND) - 1
    assert theirs.row("connect")["snapshot_asn"] == 7


def test_a_row_that_the_database_refuses_is_quarantined(theirs: Adopted, run: Run) -> None:
    """The others receive their snapshots, and the exit code reports the failure."""
    if theirs.engine.dialect.name != "sqlite":
        statement = (
            "ALTER TABLE session_summaries ADD CONSTRAINT odd CHECK (session_id <> 'top' OR snapshot_asn IS NULL)"
        )
    else:
        statement = (
            "CREATE TRIGGER odd BEFORE UPDATE ON session_summaries WHEN NEW.session_id = 'top'"
            " AND NEW.snapshot_asn IS NOT NULL BEGIN SELECT RAISE(ABORT, 'odd'); END"
        )
    with theirs.engine.begin() as connection:
        connection.execute(text(statement))

    code, out, err = run("backfill")

    assert code == 1
    assert f"{len(FOUND) - 1} received a snapshot" in out
    assert err.startswith("Quarantined top: the database")
    assert "odd" in err
    assert run("backfill")[0] == 1, "it is tried again"


def test_an_improvement_without_newer_tables_states_what_to_import(run: Run, tmp_path: Path) -> None:
    """All snapshots come from the only tables in use."""
    line = {
        "eventid": "cowrie.session.connect",
        "session": "s",
        "src_ip": "8.8.8.8",
        "timestamp": "2018-01-01T00:00:00Z",
    }
    (tmp_path / "cowrie.json").write_text(json.dumps(line) + "\n")
    run("load", tmp_path / "cowrie.json")

    code, out, _ = run("backfill", "--improve")

    assert code == 0
    assert out.startswith("1 sealed sessions checked; 0 were improved.\nNo table is closer to these attacks")
    assert "snapshots facts import" in out


def test_sessions_that_stay_open_do_not_count_as_sealed(run: Run, tmp_path: Path) -> None:
    """`verify` compares the number of sealed sessions with that on record."""
    lines = [
        event("cowrie.session.connect", address, "12:00:00").replace('"x"', f'"{name}"')
        for name, address in {"open": "10.1.2.3", "sealed": GOOGLE}.items()
    ]
    (tmp_path / "cowrie.json").write_text("\n".join(lines) + "\n")
    assert run("load", "-q", "--max-age", "0", "--max-lag", "0", tmp_path / "cowrie.json")[0] == 0

    assert "1 received a snapshot" in run("backfill", "--rejudge-all")[1]

    code, out, _ = run("verify")
    assert (code, "not on record" in out) == (0, False), out


def test_metrics_that_cannot_be_written_are_a_warning(run: Run, tmp_path: Path) -> None:
    """The work is done, so the exit code is 0; one line names the file."""
    file = tmp_path / "no such folder" / "load.prom"
    run("backfill")

    code, _, err = run("verify", "--metrics-file", file)

    assert (code, err.count(f"the metrics cannot be written to {file}: No such file or directory")) == (0, 1)


def test_mutually_exclusive_options_are_refused(run: Run) -> None:
    """Before the database is opened."""
    assert run("backfill", "--dry-run", "--resume")[0] == 2
    assert run("backfill", "--improve", "--rejudge-all")[0] == 2
    assert run("backfill", "--rate", "0")[0] == 2
    assert run("backfill", "--resume")[0] == 1
    assert run("undo", "nothing")[0] == 1


def test_the_beginning_of_a_name_selects_a_run(run: Run, logs: Path) -> None:
    """At least its day and hour, so that an empty variable selects no run."""
    assert run("load", "-q", logs)[0] == 0
    (name,) = (record["run"] for record in json.loads(run("runs", "--format", "json")[1]))
    hour = name[: len("20261129T17")]

    for beginning in (name, hour, name[:-1]):
        assert "checked, none changed" in run("verify", "--run", beginning)[1]
    assert run("load", "-q", logs)[0] == 0
    code, _, err = run("undo", hour)
    assert (code, "several runs start with" in err, name in err) == (2, True, True)
    for beginning in ("", hour[:-1]):
        code, out, err = run("undo", beginning)
        assert (code, out, "is too short for the name of a run" in err) == (2, "", True)
    code, _, err = run("verify", "--run", "20200101T000000")
    assert (code, "there is no run '20200101T000000'" in err) == (1, True)


def put_many(theirs: Adopted, count: int) -> None:
    with theirs.engine.begin() as connection:
        put_address(connection, GOOGLE)
        for n in range(count):
            put_session(connection, f"many{n:05}", enrichment=json.dumps({GOOGLE if n % 3 else CLOUDFLARE: {}}))


@pytest.fixture
def command(theirs: Adopted) -> list[str]:
    url = theirs.engine.url.render_as_string(hide_password=False)
    return [sys.executable, "-m", "snapshots", "backfill", "--db", url, "--batch-size", "20"]


def sealed_many(theirs: Adopted) -> int:
    return sum(1 for row in theirs.rows() if row["session_id"].startswith("many") and row["snapshot_asn"])


def wait_for_batch(theirs: Adopted, child: subprocess.Popen[Any]) -> None:
    """Wait until a backfill has sealed more sessions, or has ended."""
    before = sealed_many(theirs)
    wait_until(lambda: sealed_many(theirs) > before or child.poll() is not None)


def states(theirs: Adopted) -> Iterator[tuple[Any, ...]]:
    facts = ("session_id", "source_ip", "snapshot_asn", "snapshot_country", "snapshot_source", "snapshot_gap")
    return (tuple(row[column] for column in facts) for row in theirs.rows())


@pytest.mark.slow
def test_a_killed_backfill_has_the_same_result_after_a_resume(theirs: Adopted, run: Run, command: list[str]) -> None:
    """After any of its first batches: no row is written twice, and none is missed."""
    put_many(theirs, 400)
    done = json.loads(run("backfill", "--format", "json")[1])
    expected = list(states(theirs))
    counts = {row["ip_address"]: row["session_count"] for row in theirs.rows("known_addresses")}
    run("undo", done["run"])

    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(KILLS):
        wait_for_batch(theirs, child)
        child.kill()
        child.wait()
        child = subprocess.Popen([*command, "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    child.wait()
    code = run("backfill", "--resume", "--batch-size", "20")[0] if child.returncode else 0

    # Killed before it began, there is nothing to resume.
    assert code in {0, 1}
    assert code == 0 or run("backfill")[0] == 0
    assert list(states(theirs)) == expected
    assert {row["ip_address"]: row["session_count"] for row in theirs.rows("known_addresses")} == counts


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_a_backfill_after_the_current_batch(
    theirs: Adopted, run: Run, command: list[str], number: int, code: int
) -> None:
    """With 130 after Ctrl-C, with 0 after the SIGTERM of a service manager; --resume completes the work."""
    put_many(theirs, 200)
    child = subprocess.Popen([*command, "--rate", "100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_batch(theirs, child)
    assert child.poll() is None

    child.send_signal(number)
    _, err = child.communicate()

    assert child.returncode == code
    assert "To continue: `snapshots backfill --resume`" in err
    rest = [row for row in theirs.rows() if row["session_id"].startswith("many") and not row["snapshot_asn"]]
    assert rest
    assert run("backfill", "--resume")[0] == 0
    assert all(row["snapshot_asn"] for row in theirs.rows() if row["session_id"].startswith("many"))
