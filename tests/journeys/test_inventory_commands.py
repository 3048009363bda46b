"""Dated tables, history and drift, as an operator uses them."""

import json
from pathlib import Path

import pytest

from tests.journeys.conftest import Run
from tests.tables import broken_record, mmdb

ATTACKER = "185.220.101.1"


@pytest.fixture(autouse=True)
def _database(sql_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(run)
    monkeypatch.setenv("SNAPSHOTS_DB", sql_url)


def log(path: Path, *days: str) -> Path:
    path.write_text(
        "".join(
            json.dumps(
                {
                    "session": f"s{day}",
                    "timestamp": f"{day}T12:00:00Z",
                    "src_ip": ATTACKER,
                    "src_port": 5,
                    "eventid": "cowrie.session.connect",
                }
            )
            + "\n"
            for day in days
        )
    )
    return path


def table(path: Path, asn: int) -> Path:
    path.write_text(f"185.220.101.0,185.220.101.255,{asn},Name of {asn}\n")
    return path


def snapshot(run: Run, day: str) -> dict[str, object]:
    explained = json.loads(run("explain", f"s{day}", "--format", "json")[1])
    return dict(explained["snapshot"] or {"gap": explained["gap"]})


@pytest.mark.parametrize("tables_first", [True, False])
def test_each_session_gets_the_facts_of_the_table_of_its_time(run: Run, tmp_path: Path, *, tables_first: bool) -> None:
    """Whether tables or logs come first, and in any order of the tables."""
    tables = [table(tmp_path / f"asn-{day}.csv", asn) for day, asn in (("2026-06-17", 2), ("2025-04-11", 1))]
    days = ("2025-01-01", "2026-03-20", "2026-07-01")
    imports = [("inventory", "import", path, "--max-lag", "0") for path in tables]
    load = ("load", log(tmp_path / "cowrie.json", *days), "--max-lag", "0")
    for command in [*imports, load] if tables_first else [load, *imports]:
        assert run(*command)[0] == 0

    answers = [snapshot(run, day) for day in days]

    assert answers[0] == {"gap": "too_late"}
    assert [(a["asn"], a["method"]) for a in answers[1:]] == [(1, "asof"), (2, "asof")]
    assert answers[1]["source"] == "asn@2025-04-11"


@pytest.mark.parametrize("list_first", [True, False])
def test_a_dated_list_of_tor_exits_is_valid_for_two_weeks(run: Run, tmp_path: Path, *, list_first: bool) -> None:
    """Whether the list or the log comes first."""
    exits = tmp_path / "tor-exits-2025-03-01.txt"
    exits.write_text(f"{ATTACKER}\n9.9.9.9\n")
    lines = log(tmp_path / "cowrie.json", "2025-03-02", "2025-03-15", "2026-03-01")
    commands = [("inventory", "import", exits, "--type", "tor"), ("load", lines)]
    for command in commands if list_first else commands[::-1]:
        assert run(*command, "--requires", "any", "--max-lag", "0")[0] == 0

    assert [snapshot(run, day).get("ip_type") for day in ("2025-03-02", "2025-03-15")] == ["TOR", "TOR"]
    assert snapshot(run, "2026-03-01").get("ip_type") is None


def test_daily_lists_are_one_source_and_verify_finds_their_facts(run: Run, tmp_path: Path) -> None:
    """A fact names the last list before its attack, also if an older list stated it first."""
    folder = tmp_path / "tor-exits"
    folder.mkdir()
    for moment in ("2026-03-01-12-02-00", "2026-03-01-13-02-00", "2026-03-02-12-02-00"):
        (folder / moment).write_text(f"ExitAddress {ATTACKER} 2026-03-01 00:00:00\n")
    run("inventory", "import", folder, "--type", "tor")

    run("load", log(tmp_path / "cowrie.json", "2026-03-02"))

    assert str(snapshot(run, "2026-03-02")["source"]).split()[-1] == "tor-exits@2026-03-01T13:02"
    code, shown, _ = run("verify")
    assert (code, "1 sealed session checked" in shown) == (0, True)
    assert "2026-03-01T12:02 to 2026-03-02T12:02 tor-exits: TOR" in run("inventory", "show", ATTACKER)[1]


def test_a_list_that_was_made_after_an_attack_of_its_day_is_not_as_of(run: Run, tmp_path: Path) -> None:
    """Neither one with a time, nor one of which only the day is known."""
    for name in ("exits-2026-03-01-12-02.txt", "others-2026-03-20.txt"):
        (tmp_path / name).write_text(f"{ATTACKER}\n")
        run("inventory", "import", tmp_path / name, "--type", "tor")
    days = ("2026-03-01", "2026-03-02", "2026-03-20")
    run("load", log(tmp_path / "cowrie.json", *days))

    explained = [json.loads(run("explain", f"s{day}", "--format", "json")[1])["snapshot"] for day in days]

    assert [each["method"] for each in explained] == ["inferred", "inferred", "inferred"]
    stated = [each["stated_by"]["ip_type"] for each in explained]
    assert [(each["source"], each["stated_at"][:16]) for each in stated] == [
        ("exits", "2026-03-01T12:02"),
        ("exits", "2026-03-01T12:02"),
        ("others", "2026-03-20T23:59"),
    ]


def test_sources_that_disagree_are_counted_and_shown(run: Run, tmp_path: Path) -> None:
    """The best single sign that a fact is wrong."""
    for day, name, country in (("2026-03-01", "one", "NL"), ("2026-03-01", "two", "RO"), ("2026-03-05", "two", "NL")):
        (tmp_path / f"{name}-{day}.csv").write_text(f"185.220.101.0,185.220.101.255,{country}\n")
        run("inventory", "import", tmp_path / f"{name}-{day}.csv")
    run("load", log(tmp_path / "cowrie.json", "2026-03-03"))

    coverage = json.loads(run("verify", "--format", "json")[1])
    explained = json.loads(run("explain", "s2026-03-03", "--format", "json")[1])

    assert coverage["disagreements"]["country"] == {"addresses": 1, "sessions": 1}
    assert explained["disagreements"]["country"]["one"] == "NL"
    assert explained["disagreements"]["country"]["two"] == "RO"
    assert "sources disagree on the country of 1 address (1 session)" in run("report")[1]
    assert "sources disagree on the country: " in run("explain", "s2026-03-03")[1]


def test_an_asn_that_did_not_exist_yet_is_refused(run: Run, tmp_path: Path) -> None:
    """A session has the other facts of the table, or a gap of its own."""
    (tmp_path / "asn-2026-03-20.csv").write_text("185.220.101.0,185.220.101.255,219000\n")
    (tmp_path / "other-2026-03-20.csv").write_text("185.220.101.0,185.220.101.255,64500\n")
    run("inventory", "import", tmp_path / "asn-2026-03-20.csv")
    prefer = ("--prefer", "asn=asn")
    run("load", log(tmp_path / "cowrie.json", "2019-03-01", "2026-03-25"), *prefer)

    assert snapshot(run, "2026-03-25")["asn"] == 219000
    assert snapshot(run, "2019-03-01")["asn"] != 219000
    text = "AS219000 (asn) was not in use before 2025-04-02, so it is not used"
    assert text in run("explain", "s2019-03-01")[1]


def test_a_folder_is_imported_and_listed_with_its_licences(run: Run, tmp_path: Path) -> None:
    """Importing it again adds nothing."""
    folder = tmp_path / "tables"
    folder.mkdir()
    table(folder / "asn-2025-04-11.csv", 1)
    mmdb(folder / "geo.mmdb", {"185.220.101.0/24": {"country": {"iso_code": "DE"}}}, kind="GeoLite2-Country")
    run("load", log(tmp_path / "cowrie.json", "2026-03-20"))

    first = run("inventory", "import", folder)
    again = run("inventory", "import", folder)

    assert "asn@2025-04-11: 1 addresses looked up, 1 observations added" in first[1]
    assert "1 addresses looked up, 0 observations added" in again[1]
    listed = json.loads(run("sources", "--format", "json")[1])
    assert {source["source"] for source in listed} >= {"asn", "geolite2-country", "dbip", "origin-asn", "iporigin"}
    assert "IP Geolocation by DB-IP" in run("sources")[1]


def test_a_wrong_table_can_be_retracted(run: Run, tmp_path: Path) -> None:
    """The session that it sealed stays as it is; the next one is evaluated without it."""
    run("inventory", "import", table(tmp_path / "asn-2025-04-11.csv", 1))
    run("load", log(tmp_path / "cowrie.json", "2026-03-20"))
    assert snapshot(run, "2026-03-20")["asn"] == 1

    code, out, _ = run("inventory", "retract", "asn@2025-04-11")

    assert (code, out) == (0, "asn@2025-04-11 is retracted; 1 observations started with it.\n")
    run("load", log(tmp_path / "cowrie.json", "2026-03-21"))
    assert snapshot(run, "2026-03-20")["asn"] == 1
    assert snapshot(run, "2026-03-21")["asn"] != 1
    assert "(retracted)" in run("inventory", "show", ATTACKER)[1]
    assert "retracted" in run("sources")[1]
    code, _, err = run("inventory", "import", tmp_path / "asn-2025-04-11.csv")
    assert (code, "was retracted" in err) == (1, True)
    assert "there is no build" in run("inventory", "retract", "asn@1999-01-01")[2]
    assert run("inventory", "retract", "asn@2025-04-11") == (0, "asn@2025-04-11 is already retracted.\n", "")


def test_drift_compares_current_facts_with_those_of_the_attack(run: Run, tmp_path: Path) -> None:
    """As a table, as JSON and as CSV."""
    run("inventory", "import", table(tmp_path / "asn-2025-04-11.csv", 1))
    run("load", log(tmp_path / "cowrie.json", "2026-03-20", "2026-03-21"))
    run("inventory", "import", table(tmp_path / "asn-2026-11-01.csv", 2))

    shown = run("drift")[1]
    differ = "ASN: 2 of 2 sessions (100.0%) differ from the newest table. 0 of 2 cannot be compared."
    assert f"{differ}\n  1 -> 2: 2 sessions, 1 addresses" in shown
    assert "asn@2026-11-01" in shown.splitlines()[0]
    found = json.loads(run("drift", "--format", "json")[1])
    assert (found["sessions"], found["addresses"], found["changed"]["asn"]) == (2, 1, 2)
    assert "asn,1,2,2,1\n" in run("drift", "--format", "csv")[1]


def test_a_table_older_than_the_attack_is_not_used_as_current(run: Run, tmp_path: Path) -> None:
    """`drift` and `query --network-at today` state what to import instead."""
    run("inventory", "import", table(tmp_path / "asn-2026-10-10.csv", 1))
    run("load", log(tmp_path / "cowrie.json", "2026-11-01"))

    _, shown, _ = run("drift")
    code, rows, err = run("query", "--by", "asn", "--network-at", "today", "--format", "json")

    assert "ASN: 0 of 0 sessions differ from the newest table. 1 of 1 cannot be compared." in shown
    assert "import or refresh one" in shown
    assert (code, json.loads(rows)["rows"], json.loads(rows)["without_newer_table"]) == (0, [], 1)
    assert "1 session has no table newer than the attack; import or refresh one" in err
    assert "no table newer than the attack" in run("query", "--network-at", "today")[2]


def test_a_snapshot_is_not_compared_with_the_table_it_was_made_from(run: Run, tmp_path: Path) -> None:
    """An inferred snapshot cannot differ from its own table, and a missing fact is not a change."""
    run("load", log(tmp_path / "cowrie.json", "2018-06-01"))  # inferred from the bundled tables

    found = json.loads(run("drift", "--format", "json")[1])
    run("inventory", "import", table(tmp_path / "asn-2026-11-01.csv", 2))
    later = json.loads(run("drift", "--format", "json")[1])

    assert (found["sealed"], found["sessions"], set(found["compared"].values())) == (1, 0, {0})
    assert (later["compared"]["asn"], later["changed"]["asn"], later["changed"]["ip_type"]) == (1, 1, 0)


def test_the_history_of_an_address_is_shown(run: Run, tmp_path: Path) -> None:
    """In any of its forms; one that was never seen is an error."""
    run("inventory", "import", table(tmp_path / "asn-2025-04-11.csv", 1))
    run("load", log(tmp_path / "cowrie.json", "2026-03-20"))

    assert "  2025-04-11 asn: AS1" in run("inventory", "show", f"::ffff:{ATTACKER}")[1]
    found = json.loads(run("inventory", "show", ATTACKER, "--format", "json")[1])
    assert {each["source"] for each in found["observations"]} == {"asn", "dbip", "origin-asn", "iporigin"}
    assert "no session from 9.9.9.9" in run("inventory", "show", "9.9.9.9")[2]
    assert run("inventory", "show", "nonsense")[0] == 2


def test_inventory_status_shows_the_freshness(run: Run, tmp_path: Path) -> None:
    """As text and as JSON."""
    run("load", log(tmp_path / "cowrie.json", "2026-03-20"))

    assert run("inventory", "status")[1].startswith("1 addresses; 0 have not been looked up in every build")
    found = json.loads(run("inventory", "status", "--format", "json")[1])
    assert (found["addresses"], found["behind"], sum(found["by_freshness"].values())) == (1, 0, 1)
    assert run("inventory", "refresh")[1].startswith("0 addresses looked up")


def test_a_source_can_be_preferred_for_one_fact_and_old_facts_refused(run: Run, tmp_path: Path) -> None:
    """The order of trust is the operator's."""
    run("inventory", "import", table(tmp_path / "asn-2026-10-01.csv", 1))
    for n, options in enumerate(((), ("--prefer", "asn=dbip"), ("--max-age", "1"))):
        day = f"2026-11-0{n + 1}"
        run("load", log(tmp_path / "cowrie.json", day), *options)

    assert snapshot(run, "2026-11-01")["asn"] == 1
    assert snapshot(run, "2026-11-02")["asn"] != 1
    assert snapshot(run, "2026-11-03") == {"gap": "expired"}
    assert run("load", tmp_path / "cowrie.json", "--prefer", "nonsense")[0] == 2


def test_unreadable_lines_of_a_list_are_counted(run: Run, tmp_path: Path) -> None:
    """The other lines are imported."""
    path = tmp_path / "vpn-2026-01-01.txt"
    path.write_text("1.2.3.0/24\nnonsense\n")

    code, out, err = run("inventory", "import", path, "--type", "VPN")

    assert (code, err) == (0, "vpn-2026-01-01.txt: 1 row is not or only partly used (1 without an address).\n")
    assert out.startswith("vpn@2026-01-01: ")
    assert "there is no table" in run("inventory", "import", _empty(tmp_path))[2]


def test_one_bad_file_does_not_stop_a_folder(run: Run, tmp_path: Path) -> None:
    """Nor does a link to the folder itself; a bad file that is named stops the command."""
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "a-2026-01-01.csv").write_text("nonsense\n")
    (folder / "b.csv").write_text("1.2.3.0,1.2.3.255,1,Example\n")
    table(folder / "c-2026-01-01.csv", 1)
    (folder / "loop").symlink_to(folder)
    (folder / "loop.csv").symlink_to("loop.csv")

    code, out, err = run("inventory", "import", folder)

    assert (code, out.splitlines()[0].partition(":")[0], len(out.splitlines())) == (1, "c@2026-01-01", 1)
    assert ["a-2026-01-01.csv" in err, "b.csv is unknown" in err, err.count("Error: ")] == [True, True, 2]
    assert run("inventory", "import", folder / "b.csv")[0] == 2


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_a_list_of_all_addresses_needs_a_confirmation(run: Run, tmp_path: Path) -> None:
    """Without a terminal it is refused; --yes imports it."""
    everything = tmp_path / "vpn-2026-01-01.txt"
    everything.write_text("0.0.0.0/0\n")

    code, out, err = run("inventory", "import", everything, "--type", "vpn")

    assert (code, out) == (2, "")
    assert "vpn@2026-01-01 types 100.0% of all addresses as VPN (usual are at most 1.0%); import it with --yes" in err
    assert run("inventory", "import", everything, "--type", "vpn", "--yes")[0] == 0


def test_an_import_states_how_many_sealed_sessions_can_be_improved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay as they are; a repeated import changes nothing, and of many sessions only the command is named."""
    run("load", log(tmp_path / "cowrie.json", "2026-03-20"))
    own = tmp_path / "own-2026-03-01.csv"
    own.write_text("network,asn,country,type\n185.220.101.0/24,60729,DE,hosting\n")

    first = run("inventory", "import", own)[1]
    again = run("inventory", "import", own)[1]
    monkeypatch.setattr("snapshots.adapters.cli.commands.inventory.MOST_EVALUATED", 0)
    other = tmp_path / "other-2026-03-02.csv"
    other.write_text(own.read_text().replace("DE", "NL"))
    many = run("inventory", "import", other)[1]

    assert "1 sealed sessions can be improved with these facts: `snapshots backfill --improve`." in first
    assert "improve" not in again
    assert "`snapshots backfill --improve --dry-run` counts what can be improved" in many
    assert json.loads(run("backfill", "--improve", "--format", "json")[1])["improved"] == {"inferred to asof": 1}


def test_an_implausible_table_is_refused_unless_it_is_forced(run: Run, tmp_path: Path) -> None:
    """The table before it stays in use; of several tables, the others are imported."""
    wrong = tmp_path / "a" / "asn-2026-02-01.csv"
    wrong.parent.mkdir()
    wrong.write_text("first,last,asn\n1.0.0.0,223.255.255.255,64500\n")
    table(tmp_path / "a" / "other-2026-02-01.csv", 1)

    code, out, err = run("inventory", "import", tmp_path / "a")

    assert (code, out.partition(":")[0]) == (1, "other@2026-02-01")
    assert "Error: asn@2026-02-01 is refused: 8.8.8.8 is AS64500 and not AS15169" in err
    assert "asn@2026-02-01" not in run("sources")[1]
    assert run("inventory", "import", wrong)[0] == 1
    assert run("inventory", "import", wrong, "--force")[0] == 0


def test_a_file_that_is_overwritten_is_reported_when_it_is_imported(run: Run, tmp_path: Path) -> None:
    """Not at every load: nothing can be done about it later."""
    exits, err = tmp_path / "torbulkexitlist", ""
    for day in (11, 12, 13):
        exits.write_text(f"{ATTACKER}\n1.2.3.{day}\n")
        code, _, err = run("inventory", "import", exits, "--as-of", f"2026-10-{day}")
        assert (code, "Warning" in err) == (0, day > 11)

    assert f"{exits} held torbulkexitlist@2026-10-12 before" in err
    assert run("load", log(tmp_path / "cowrie.json", "2026-10-15"), "-q") == (0, "", "")
    assert snapshot(run, "2026-10-15")["ip_type"] == "TOR"


def test_a_damaged_table_does_not_end_a_load(run: Run, tmp_path: Path) -> None:
    """It is reported, and facts come from the other tables."""
    path = mmdb(tmp_path / "a.mmdb", {"185.220.101.0/24": {"asn": 64500}, "9.9.9.0/24": {"asn": 9}})
    assert run("inventory", "import", path, "--as-of", "2026-03-01", "--name", "mine")[0] == 0
    path.write_bytes(path.read_bytes()[:-100])

    code, _, err = run("load", log(tmp_path / "cowrie.json", "2026-03-20"), "-q")

    assert (code, "has changed since it was imported" in err) == (0, True)
    assert snapshot(run, "2026-03-20")["asn"] == 60729
    damaged = broken_record(
        tmp_path / "b.mmdb", {"9.9.9.0/24": {"asn": 9}, "185.220.101.0/24": {"asn": 64500, "as": "xyz"}}
    )
    code, _, err = run("load", log(tmp_path / "cowrie.json", "2026-03-21"), "-q", "--mmdb", damaged)
    assert (code, snapshot(run, "2026-03-21")["asn"]) == (0, 60729)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_confirmation_is_asked_on_a_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_wanted: bool
) -> None:
    """The answer decides."""
    everything = tmp_path / "vpn-2026-01-01.txt"
    everything.write_text("0.0.0.0/0\n")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_args, **_options: is_wanted)

    code, out, _ = run("inventory", "import", everything, "--type", "vpn")

    assert (code, out.startswith("vpn@2026-01-01: ")) == ((0, True) if is_wanted else (2, False))
