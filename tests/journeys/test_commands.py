"""What a user sees."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from snapshots.adapters.intel.iporigin import IporiginSource
from tests.journeys.conftest import Run
from tests.tables import mmdb


def test_a_folder_becomes_sessions_with_networks(run: Run, logs: Path) -> None:
    """One command, and every session has its facts."""
    code, out, err = run("load", logs)

    assert (code, err) == (0, "")
    assert "981 new events, 162 new sessions" in out.replace("\n", " ")
    code, out, _ = run("verify", "--target", "95", "--format", "json")
    coverage = json.loads(out)["sessions"]
    assert code == 0
    assert coverage["fields"]["asn"]["share"] >= 0.95
    assert coverage["fields"]["country"]["share"] >= 0.95


@pytest.mark.parametrize(("days", "is_stale"), [(13, False), (15, True)])
def test_a_load_warns_if_the_bundled_types_are_too_old_for_its_attacks(
    run: Run, tmp_path: Path, days: int, is_stale: bool
) -> None:
    """Tor exits are valid for two weeks; the warning appears once, and not if nothing was loaded."""
    at = (IporiginSource().build.built_at + timedelta(days=days)).isoformat()
    event = {"eventid": "cowrie.session.connect", "session": "aa11bb22cc33", "src_ip": "8.8.8.8", "timestamp": at}
    (tmp_path / "cowrie.json").write_text(json.dumps(event) + "\n")

    _, out, _ = run("load", tmp_path / "cowrie.json")
    _, again, _ = run("load", tmp_path / "cowrie.json")

    assert out.count("VPN, TOR, PROXY: the newest table (iporigin@") == int(is_stale)
    assert out.count(f"To renew it: {sys.executable} -m pip install --upgrade iporigin") == int(is_stale)
    assert "too old" not in again
    assert run("report")[1].count("too old for attacks after") == int(is_stale)
    document = json.loads(run("report", "--format", "json")[1])
    assert len(document["expired_facts"]) == int(is_stale)


def test_the_status_shows_until_when_each_kind_of_fact_is_valid(run: Run, tmp_path: Path) -> None:
    """A list of today renews its type, and no other."""
    (tmp_path / "exits.txt").write_text("185.220.101.1\n")
    run("inventory", "import", tmp_path / "exits.txt", "--type", "tor", "--as-of", f"{datetime.now(UTC):%Y-%m-%d}")
    (tmp_path / "cowrie.json").write_text(
        json.dumps({"eventid": "cowrie.session.connect", "session": "a", "src_ip": "8.8.8.8"})[:-1]
        + ', "timestamp": "2026-10-06T00:00:00Z"}\n'
    )
    run("load", tmp_path / "cowrie.json")

    facts = {each["fact"]: each for each in json.loads(run("inventory", "status", "--format", "json")[1])["facts"]}
    shown = run("inventory", "status")[1]

    assert [*facts] == ["ASN", "country", "VPN", "TOR", "PROXY", "DATACENTER"]
    assert (facts["TOR"]["build"].partition("@")[0], facts["TOR"]["expired"]) == ("exits", False)
    assert facts["VPN"]["build"] == "iporigin@2026-10-05"
    assert facts["VPN"]["renew"].endswith(" -m pip install --upgrade iporigin")
    assert facts["VPN"]["valid_until"].startswith("2026-10-19T23:59:59")
    assert "for attacks until" in shown
    assert "ageing = due for a newer build" in shown


def test_loading_the_same_folder_again_changes_no_row(run: Run, logs: Path, tmp_path: Path) -> None:
    """Every value stays the same."""
    run("load", logs)
    before = rows(tmp_path / "test.db")

    code, out, _ = run("load", logs)

    assert (code, out) == (0, "Nothing new in 2 sources. All events are already stored.\n")
    assert rows(tmp_path / "test.db") == before


def test_a_file_that_was_rewritten_in_place_is_loaded_again(run: Run, tmp_path: Path) -> None:
    """Also with the same size, and however soon after it was loaded; only unchanged files are not opened."""
    files = [tmp_path / f"cowrie.json.{n}" for n in range(1, 4)]
    event = {"eventid": "cowrie.session.connect", "timestamp": "2026-03-01T12:00:00.000001Z", "src_ip": "8.8.8.8"}

    for round_ in range(5):
        for n, file in enumerate(files):
            file.write_text(json.dumps(event | {"session": f"s{round_}{n}"}) + "\n")
        assert f"{len(files)} new events" in run("load", tmp_path)[1]
        run("load", tmp_path)
        assert run("load", *files)[:2] == (0, "Nothing new in 3 sources. All events are already stored.\n")

    assert len({row[0] for row in rows(tmp_path / "test.db") if str(row[0]).startswith("s")}) == 5 * len(files)


def rows(database: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(database) as connection:
        found = [
            row
            for table in ("session_summaries", "known_addresses", "ip_observations", "dead_letters")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        ]
    connection.close()
    return found


def test_the_report_lists_the_attacking_networks(run: Run, logs: Path) -> None:
    """As a table, and with the same numbers as JSON."""
    run("load", logs)

    _, table, _ = run("report", "--top", "3")
    _, text, _ = run("report", "--format", "json", "--top", "3")

    report = json.loads(text)
    assert (report["sessions"], report["events"], report["logins"]) == (162, 981, 162)
    assert (report["commands"], report["downloads"]) == (70, 10)
    assert report["networks"][0]["asn"] == 4134
    assert "AS4134  Chinanet" in table
    assert "IP Geolocation by DB-IP (https://db-ip.com)" in table
    assert [len(report[part]) for part in ("networks", "countries", "sources")] == [3, 3, 4]
    assert sum(day["sessions"] for day in report["days"]) == 162


def test_a_session_is_explained(run: Run, logs: Path, tmp_path: Path) -> None:
    """Its address, its snapshot, and the source and date of each fact."""
    run("load", logs)
    with sqlite3.connect(tmp_path / "test.db") as connection:
        (session,) = connection.execute(
            "SELECT min(session_id) FROM session_summaries WHERE snapshot_asn = 4134"
        ).fetchone()
    connection.close()

    code, table, _ = run("explain", session)
    _, text, _ = run("explain", session, "--format", "json")

    explained = json.loads(text)
    assert code == 0
    assert (explained["snapshot"]["asn"], explained["snapshot"]["country"]) == (4134, "CN")
    assert explained["snapshot"]["source"].startswith("dbip@2026-09-01")
    assert {each["source"] for each in explained["observations"]} == {"dbip", "origin-asn", "iporigin"}
    for word in (session, explained["source_ip"], "Chinanet", "asof", "by its connect"):
        assert word in table


def test_gaps_and_reused_ids_are_explained(run: Run, tmp_path: Path) -> None:
    """Why there is no snapshot, and which other sessions have the ID."""
    log = tmp_path / "odd.json"
    connect = {"eventid": "cowrie.session.connect", "session": "a", "src_port": 1}
    log.write_text(
        "\n".join(
            json.dumps(event)
            for event in (
                connect | {"timestamp": "2026-03-01T12:00:00Z", "src_ip": "10.0.0.1"},
                connect | {"timestamp": "2026-03-01T12:01:00Z", "src_ip": "10.0.0.2"},
                {"eventid": "cowrie.x", "session": "b", "timestamp": "2026-03-01T12:00:00Z", "sensor": "\x1b[2Jpot"},
            )
        )
    )

    code, out, _ = run("load", log)
    assert (code, "1 session stored as id~hash" in out) == (0, True)

    _, explained, _ = run("explain", "a")
    assert "not_routable: The address is private" in explained
    assert "same id" in explained
    _, explained, _ = run("explain", "b")
    assert "no_source_ip" in explained
    assert "\\x1b[2Jpot" in explained
    _, coverage, _ = run("verify")
    assert "without a snapshot, not_routable: 2 sessions" in coverage
    assert json.loads(run("explain", "b", "--format", "json")[1])["gap"] == "no_source_ip"


def test_a_tor_exit_that_is_too_old_to_be_believed_is_explained(run: Run, logs: Path, tmp_path: Path) -> None:
    """Who reads the observations must not wonder why the type is not known."""
    run("load", logs)
    with sqlite3.connect(tmp_path / "test.db") as connection:
        query = "SELECT min(session_id) FROM session_summaries WHERE source_ip = '185.220.101.1'"
        (session,) = connection.execute(query).fetchone()
    connection.close()

    assert "TOR was 49 days old at the time of the attack; the limit is 14" in run("explain", session)[1]


@pytest.mark.parametrize(
    ("days", "options", "expected"),
    [
        (3000, (), (None, "TOR was stated 3,000 days after the attack; the limit is 14")),
        (3000, ("--max-type-lag", "3000"), ("TOR", "(after; used)")),
        (14, (), ("TOR", "(after; used)")),
        (
            14,
            ("--max-type-lag", "13.9"),
            (None, "TOR was stated 14.0 days after the attack; the limit is 13.9"),
        ),
        (1, ("--max-type-lag", "0"), (None, "TOR was stated 1 days after the attack; the limit is 0")),
        (20, ("--max-type-lag", "99", "--max-lag", "15"), (None, "the limit is 15")),
    ],
)
def test_a_tor_exit_of_a_list_of_another_year_is_explained(
    run: Run, tmp_path: Path, days: int, options: tuple[str, ...], expected: tuple[str | None, str]
) -> None:
    """The bundled list does not say who was an exit years ago, unless the operator wants it to."""
    at = datetime(2026, 10, 6, tzinfo=UTC) - timedelta(days=days)
    event = {"eventid": "cowrie.session.connect", "session": "a", "src_ip": "185.220.101.1", "src_port": 1}
    log = tmp_path / "cowrie.json"
    log.write_text(json.dumps(event | {"timestamp": f"{at:%Y-%m-%dT%H:%M:%S}Z"}))

    run("load", log, *options)

    ip_type, explained = expected
    snapshot = json.loads(run("explain", "a", "--format", "json")[1])["snapshot"]
    assert snapshot["ip_type"] == ip_type
    assert explained in run("explain", "a", *options)[1]


def test_a_type_that_an_expired_one_was_stated_with_is_not_used(run: Run, tmp_path: Path) -> None:
    """The source stated VPN; that this has expired does not make the address a data center."""
    table = mmdb(tmp_path / "own.mmdb", {"185.220.101.1/32": {"vpn": True, "hosting": True}}, version=4, kind="Own")
    at = datetime.now(UTC) + timedelta(days=18)
    event = {"eventid": "cowrie.session.connect", "session": "a", "src_ip": "185.220.101.1", "src_port": 1}
    log = tmp_path / "cowrie.json"
    log.write_text(json.dumps(event | {"timestamp": f"{at:%Y-%m-%dT%H:%M:%S}Z"}))

    run("load", log, "--mmdb", table)

    found = json.loads(run("explain", "a", "--format", "json")[1])
    assert found["snapshot"]["ip_type"] is None
    assert [(each["ip_type"], each["others"], each["stated"]) for each in found["types_left_out"]] == [
        ("TOR", [], "before"),
        ("VPN", ["DATACENTER"], "before"),
    ]
    text = "VPN was 18 days old at the time of the attack; the limit is 14; DATACENTER, stated with it, is not used"
    assert text in run("explain", "a")[1]


def test_a_load_without_events_asks_whether_it_is_a_cowrie_log(run: Run, logs: Path) -> None:
    """A load that seals every session does not mention missing snapshots."""
    _, out, _ = run("load", logs, "--requires", "asn", "--max-lag", "0")
    assert "without a snapshot" not in out

    folder = logs.parent / "other"
    folder.mkdir()
    (folder / "cowrie.json").write_text("no event\n")
    _, out, _ = run("load", folder)
    assert "None of the lines is an event: is it a Cowrie log?" in out


def test_a_line_that_is_still_being_written_raises_no_doubt_of_the_log(run: Run, logs: Path) -> None:
    """It is read again by each load until it is finished, and nothing else is new."""
    with (logs / "cowrie.json").open("ab") as log:
        log.write(b'{"eventid": "cowrie.session.conn')
    unfinished = "  1 source with an incomplete last line or archive; the next load reads it again"

    assert unfinished in run("load", logs)[1]
    assert run("load", logs)[1].splitlines()[1:] == [unfinished]
    assert json.loads(run("dead-letters", "list", "--format", "json")[1]) == []


def test_a_missed_target_has_its_own_exit_code(run: Run, tmp_path: Path) -> None:
    """A script can act on it."""
    log = tmp_path / "a.json"
    log.write_text('{"eventid":"cowrie.x","session":"a","timestamp":"2026-03-01T12:00:00Z"}\n')
    run("load", log)

    code, _, err = run("verify", "--target", "95")

    assert (code, err) == (3, "Coverage is below the target of 95%.\n")
    assert run("verify")[0] == 0


def test_bad_lines_are_counted_and_stored(run: Run, tmp_path: Path) -> None:
    """In the load's summary, and in the report."""
    log = tmp_path / "a.json"
    log.write_bytes(b'nonsense\n{"eventid":"cowrie.x","session":"a","timestamp":"2026-03-01T12:00:00Z"}\n[]\n{"ses')
    os.utime(log, (1, 1))

    _, out, _ = run("load", log)

    assert "3 invalid lines stored in dead_letters" in out
    _, report, _ = run("report")
    assert "in the table dead_letters: 1 not_an_object, 1 not_json, 1 unfinished_line." in report
    code, again, _ = run("load", log)
    assert (code, again.startswith("Nothing new"), "1 invalid line already in dead_letters" in again) == (0, 1, 1)


def test_a_named_file_with_one_incomplete_line_is_not_an_error(run: Run, tmp_path: Path) -> None:
    """Its writer may continue; a file with text but no event is an error."""
    log, notes = tmp_path / "cowrie.json", tmp_path / "notes.txt"
    log.write_text('{"eventid":"cowrie.session.connect","session":"s"')
    notes.write_text("nothing of Cowrie\n")

    code, out, _ = run("load", log)

    assert (code, "1 source with an incomplete last line" in out) == (0, True)
    assert run("load", notes)[0] == 1


def test_an_empty_database_and_an_empty_file_are_not_errors(run: Run, tmp_path: Path) -> None:
    """There may have been no attack yet."""
    log = tmp_path / "cowrie.json"
    log.write_bytes(b"")
    assert run("load", log) == (
        0,
        "Nothing new in 1 source.\n  1 empty source\n",
        "",
    )

    assert run("report")[1].startswith("No sessions are stored yet.")
    assert run("verify", "--target", "0")[0] == 3
    assert json.loads(run("report", "--format", "json")[1])["first_event_at"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["load", "gone.json"], 1, "Error: there is no file or folder gone.json"),
        (["load"], 2, "Missing argument 'PATHS...'"),
        (["load", ".", "--max-lag", "-1"], 2, "Invalid value for '--max-lag'"),
        (["prune", "--before", "some day"], 2, "Invalid value for '--before'"),
        (["correct", "unknown", "--reason", "x", "--asn", "1"], 1, "there is no sealed session 'unknown'"),
        (["migrate", "--to", "9999"], 2, "there is no version 9999"),
        (["load", ".", "--mmdb", "gone.mmdb"], 1, "gone.mmdb cannot be read"),
        (["report", "--db", "sqlite:////nowhere/x.db"], 1, "there is no database sqlite:////nowhere/x.db"),
        (
            ["load", ".ci", "--db", "mydb"],
            2,
            "not an existing file (a file of that name is ./mydb)",
        ),
        (["report", "--db", "oracle9://me:secret@host/x"], 2, "oracle9://me:***@host/x: only SQLite and PostgreSQL"),
        (["report", "--format", "xml"], 2, "'xml' is not one of"),
        (["verify", "--target", "101"], 2, "101.0 is not in the range"),
        (["explain", "unknown"], 1, "there is no session 'unknown'"),
        (["explore"], 2, "No such command 'explore'"),
    ],
)
def test_an_error_is_one_line(run: Run, logs: Path, arguments: list[str], code: int, message: str) -> None:
    """Never a traceback, never a password."""
    run("load", logs, "-q")

    got, _, err = run(*arguments)

    assert (got, message in err, "Traceback" in err, "secret" in err) == (code, True, False, False), err


def test_a_database_in_a_missing_folder_is_an_error(run: Run, logs: Path) -> None:
    """The message names the folder."""
    code, _, err = run("load", logs, "--db", "sqlite:////nowhere/x.db")

    assert (code, "unable to open database file; the folder /nowhere does not exist" in err) == (1, True)


def test_help_and_version_exit_with_0(run: Run) -> None:
    """Help lists every command."""
    code, out, _ = run("--help")

    assert code == 0
    assert all(command in out for command in ("load", "report", "verify", "explain", "demo"))
    assert run("--version")[0] == 0


def test_quiet_prints_nothing_and_verbose_logs_each_batch(run: Run, logs: Path) -> None:
    """Results to stdout, logs to stderr."""
    assert run("load", logs, "-q") == (0, "", "")
    _, _, err = run("load", logs, "-v", "--db", "sqlite://")
    assert json.loads(err.splitlines()[0]) | {"seconds": 0, "timestamp": 0, "source": 0, "run": 0} == {
        "event": "batch_loaded",
        "level": "info",
        "events": 981,
        "repeated": 0,
        "sessions": 162,
        "sealed": 162,
        "dead_letters": 0,
        "seconds": 0,
        "timestamp": 0,
        "source": 0,
        "run": 0,
    }


def test_a_table_of_the_operator_takes_precedence(run: Run, tmp_path: Path) -> None:
    """If it is from before the attack, its facts are used before the bundled ones."""
    everywhere = {half: {"autonomous_system_number": 64511} for half in ("0.0.0.0/1", "128.0.0.0/1")}
    table = mmdb(tmp_path / "own.mmdb", everywhere, version=4, kind="Own")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    log = tmp_path / "tomorrow.json"
    log.write_text(json.dumps({"eventid": "cowrie.x", "session": "a", "timestamp": tomorrow, "src_ip": "8.8.8.8"}))

    code, _, err = run("load", log, "--mmdb", table, "--requires", "asn")

    assert (code, err) == (0, "")
    snapshot = json.loads(run("explain", "a", "--format", "json")[1])["snapshot"]
    assert (snapshot["asn"], snapshot["source"][:4]) == (64511, "own@")
    assert "own@" in run("report")[1]


def test_a_file_that_is_not_a_log_is_skipped_and_listed(run: Run, logs: Path) -> None:
    """No file is dropped silently."""
    (logs / "notes.txt").write_text("nothing")

    _, _, err = run("load", logs)

    assert err == "Skipped 1 file without Cowrie events: notes.txt\n"


def test_the_database_in_the_folder_of_the_logs_is_not_opened_as_a_log(run: Run, logs: Path) -> None:
    """SQLite would lose its locks; the message names the skipped file."""
    database = logs / "snapshots.db"

    first, _, _ = run("load", logs, "--db", database)
    second, _, err = run("load", logs, "--db", database)

    assert (first, second) == (0, 0)
    assert err.startswith("Skipped 1 file (part of the database in use; it is not a log): snapshots.db")


def test_a_pipe_that_is_to_be_followed_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    """It was ignored without a word."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    code, _, err = run("load", "--follow", pipe)

    assert code == 2
    assert err == f"Error: {pipe} is a named pipe, which --follow cannot read; load it without --follow\n"


def test_the_demonstration_shows_the_whole_job(run: Run) -> None:
    """Load, report, load again, verify; with a database of its own or a given one."""
    code, out, _ = run("demo")

    assert code == 0
    assert "509 new events, 83 new sessions" in out
    assert "Nothing new in 1 source. All events are already stored." in out
    assert "asof: 83 sessions" in out
    assert run("demo", "--db", "sqlite://")[0] == 0


def test_the_demonstration_is_the_same_on_postgresql(run: Run) -> None:
    """On a server of its own, which is gone afterwards."""
    on_sqlite, on_postgresql = run("demo"), run("demo", "--db", "trial")

    assert on_postgresql == on_sqlite


def test_an_interrupted_load_states_how_to_continue(run: Run, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with exit code 130."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("snapshots.composition.application.open_application", interrupted)
    code, _, err = run("load", logs)

    assert (code, err) == (
        130,
        "\nInterrupted. Completed batches are stored; run the command again to continue or start over.\n",
    )


def test_a_file_that_is_not_a_database_is_an_error(run: Run, logs: Path, tmp_path: Path) -> None:
    """It is not changed."""
    (tmp_path / "test.db").write_text("this is no database" * 99)

    code, _, err = run("load", logs)

    assert (code, "file is not a database" in err) == (1, True)
    assert run("report")[0] == 1


def test_standard_input_is_loaded(tmp_path: Path) -> None:
    """As a filter, in a pipe."""
    log = gzip.decompress(Path("tests/data/cowrie-2.8.1.json.gz").read_bytes())
    command = [sys.executable, "-m", "snapshots", "load", "-", "--db", f"sqlite:///{tmp_path}/test.db"]

    done = subprocess.run(command, input=log, capture_output=True, check=True)

    assert b"472 new events, 79 new sessions" in done.stdout
    again = subprocess.run(command, input=log, capture_output=True, check=True)
    assert again.stdout.startswith(b"Nothing new in 1 source")


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_a_terminal_without_unicode_does_not_fail(logs: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Characters outside its encoding are escaped."""
    database = f"sqlite:///{tmp_path}/test.db"
    subprocess.run([sys.executable, "-m", "snapshots", "load", str(logs), "-q", "--db", database], check=True)

    command = [sys.executable, "-m", "snapshots", "report", "--db", database]
    done = subprocess.run(command, capture_output=True, env=os.environ | environment, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_while_writing_output_is_one_message() -> None:
    """The disk is full."""
    command = [sys.executable, "-m", "snapshots", "demo"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (1, b"Error: the output cannot be written: No space left on device\n")


def test_arguments_with_invalid_bytes_cause_no_traceback(run: Run, tmp_path: Path) -> None:
    """In the name of a file, or of a session."""
    log = tmp_path / os.fsdecode(b"\xff.json")
    log.write_bytes(b'bad\n{"eventid":"cowrie.x","session":"a","timestamp":"2026-03-01T12:00:00Z"}\n')

    assert run("load", log)[0] == 0
    assert "there is no session" in run("explain", os.fsdecode(b"\xff"))[2]


def test_a_closed_pipe_prints_no_traceback(logs: Path, tmp_path: Path) -> None:
    """`snapshots report | head -1`."""
    database = f"sqlite:///{tmp_path}/test.db"
    subprocess.run([sys.executable, "-m", "snapshots", "load", str(logs), "-q", "--db", database], check=True)
    read, write = os.pipe()
    os.close(read)

    command = [sys.executable, "-m", "snapshots", "report", "--db", database]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)

    os.close(write)
    assert b"Traceback" not in done.stderr


def test_each_command_writes_its_metrics(run: Run, logs: Path, tmp_path: Path) -> None:
    """Each into a file of its own."""
    files = {name: tmp_path / f"{name}.prom" for name in ("load", "backfill", "verify")}

    assert run("load", logs, "-q", "--metrics-file", files["load"])[:2] == (0, "")
    assert run("backfill", "-q", "--metrics-file", files["backfill"])[0] == 0
    assert run("backfill", "--dry-run", "-q", "--metrics-file", tmp_path / "dry-run.prom")[0] == 0
    assert run("verify", "--metrics-file", files["verify"])[0] == 0

    assert 'snapshots_coverage_ratio{field="snapshot"} 1.0' in files["load"].read_text()
    assert "snapshots_backfilled_total 0.0" in files["backfill"].read_text()
    assert 'snapshots_violations{invariant="unchanged"} 0.0' in files["verify"].read_text()
    assert not (tmp_path / "dry-run.prom").exists()


def test_each_batch_is_logged_with_its_run(run: Run, logs: Path) -> None:
    """With -v, as JSON if stderr is not a terminal."""
    line = json.loads(run("load", logs, "-v")[2].splitlines()[0])
    named = json.loads(run("runs", "--format", "json")[1])[0]["run"]
    work = [json.loads(text) for text in run("backfill", "-v", "-q")[2].splitlines()]

    assert (line["event"], line["run"], line["events"] > 0) == ("batch_loaded", named, True)
    backfill = json.loads(run("runs", "--format", "json")[1])[0]["run"]
    assert {(entry["event"], entry["run"]) for entry in work} == {("batch_done", backfill)}
    assert work[0]["stage"] == "undone"
