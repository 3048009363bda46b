"""What analysts ask and hand on, as they type it."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from snapshots.__main__ import main
from snapshots.adapters.feeds.rows import cell
from snapshots.app.pip_install import install_extra
from tests.journeys.conftest import Run

FORMULA = '=HYPERLINK("http://evil.example","x")'
ESCAPE = "\x1b]0;owned\x07"


def write(path: Path) -> None:
    """Write sessions of a DigitalOcean, a Chinanet and a private address, with hostile texts in them."""
    lines: list[dict[str, Any]] = []
    for n, (address, user) in enumerate(
        [("165.227.0.5", FORMULA), ("222.186.30.1", ESCAPE), ("222.186.30.1", "+1"), ("10.0.0.7", "\u202eroot")]
    ):
        shared = {"session": f"{n:012x}", "sensor": "-2+3"}
        lines += [
            {"eventid": "cowrie.session.connect", "src_ip": address, "src_port": 7, "protocol": "ssh", **shared},
            {"eventid": "cowrie.login.success", "username": user, "password": "x", **shared},
            {"eventid": "cowrie.command.input", "input": f"{ESCAPE}{FORMULA}", **shared},
            {"eventid": "cowrie.session.closed", "duration": "1.5", **shared},
        ]
    for n, line in enumerate(lines):
        line["timestamp"] = f"2026-11-{10 + n // 8:02}T10:00:{n:02}Z"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture(scope="module")
def loaded_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with those sessions. Copying it is faster than loading."""
    folder = tmp_path_factory.mktemp("loaded")
    write(folder / "cowrie.json")
    assert main(["load", str(folder / "cowrie.json"), "-q", "--db", str(folder / "test.db")]) == 0
    return folder / "test.db"


@pytest.fixture
def loaded(run: Run, tmp_path: Path, loaded_template: Path) -> Run:
    """A database with those sessions."""
    shutil.copyfile(loaded_template, tmp_path / "test.db")
    return run


def rows(run: Run, *arguments: object) -> list[dict[str, Any]]:
    code, out, err = run("query", *arguments, "--format", "json")
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)["rows"]
    return found


def test_sessions_are_found_by_the_method_of_a_fact_and_the_precision_of_a_type(loaded: Run, tmp_path: Path) -> None:
    """DigitalOcean is in a list of addresses, Chinanet only known as a network; and each export has it too."""
    assert [row["type_by"] for row in rows(loaded, "--by", "type-by")] == ["network", "address", None]
    assert [row["asn"] for row in rows(loaded, "--by", "asn", "--type-by", "Address")] == [14061]
    assert [row["asn"] for row in rows(loaded, "--by", "asn", "--method", "type=asof", "--type-by", "network")] == [
        4134
    ]
    assert rows(loaded, "--by", "asn", "--method", "COUNTRY=inferred") == []
    assert rows(loaded, "--by", "country-method")[0]["country_method"] == "asof"

    for option, value, message in (
        ("--method", "city=asof", "use asn=, country= or type= with a method"),
        ("--method", "asn=today", "'today' is not a method"),
        ("--type-by", "guess", "'guess' is not address or network"),
    ):
        code, _, err = loaded("query", option, value)
        assert (code, message in err) == (2, True)

    assert loaded("export", tmp_path / "lines.ndjson", "--format", "ndjson", "--asn", "4134")[0] == 0
    line = json.loads((tmp_path / "lines.ndjson").read_text().splitlines()[0])
    found = [line[name] for name in ("asn_method", "country_method", "type_method", "type_by")]
    assert found == ["asof", "asof", "asof", "network"]


def test_sessions_are_grouped_and_filtered_by_any_key(loaded: Run) -> None:
    """By network, country, behaviour and address."""
    networks = rows(loaded, "--by", "asn", "--addresses")
    assert [(row["asn"], row["sessions"], row["addresses"]) for row in networks] == [
        (4134, 2, 1),
        (14061, 1, 1),
        (None, 1, 1),
    ]
    assert networks[1]["organization"].startswith("DigitalOcean")
    assert [row["country"] for row in rows(loaded, "--by", "country", "--asn", "AS4134")] == ["CN"]
    assert [row["user"] for row in rows(loaded, "--by", "user", "--country", "us", "--country", "cn")] == [
        ESCAPE,
        "+1",
        FORMULA,
    ]
    assert [row["command"] for row in rows(loaded, "--by", "command", "--asn", "4134")] == [f"{ESCAPE}{FORMULA}"]
    assert [row["gap"] for row in rows(loaded, "--by", "gap")] == ["not_routable"]
    (signature,) = rows(loaded, "--by", "commands")
    assert [row["asn"] for row in rows(loaded, "--commands", signature["commands"], "--by", "asn")] == [
        4134,
        14061,
        None,
    ]
    assert [row["day"] for row in rows(loaded, "--by", "day")] == ["2026-11-11", "2026-11-10"]
    assert rows(loaded, "--by", "asn", "--since", "2026-11-11", "--until", "2026-11-12", "--change")[0]["change"] == -1
    assert rows(loaded, "--since", "1h") == []
    _, now, err = loaded("query", "--network-at", "today", "--asn", "14061", "--format", "json")
    assert json.loads(now)["rows"] == [], "the bundled tables are older than the attack"
    assert "no table newer than the attack" in err


def test_pages_follow_each_other_by_cursor(loaded: Run) -> None:
    """The cursor is printed; the newest sessions come first."""
    seen: list[str] = []
    after = ""
    for _ in range(4):
        page = json.loads(loaded("query", "--limit", "1", "--after", after, "--format", "json")[1])
        seen += [row["session_id"] for row in page["rows"]]
        after = page["next"]
    assert seen == [f"{n:012x}" for n in (3, 2, 1, 0)]
    assert json.loads(loaded("query", "--limit", "1", "--after", after, "--format", "json")[1])["rows"] == []


@pytest.mark.parametrize("arguments", [(), ("--by", "user"), ("--by", "command"), ("--by", "sensor")])
def test_input_of_an_attacker_cannot_control_the_terminal(loaded: Run, arguments: tuple[str, ...]) -> None:
    """It is shown as text."""
    code, table, _ = loaded("query", *arguments)

    assert code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(table)


@pytest.mark.parametrize(
    "command",
    [("query", "--format", "csv"), ("export",), ("query", "--by", "user", "--by", "sensor", "--format", "csv")],
)
def test_input_of_an_attacker_is_not_a_formula_in_a_spreadsheet(loaded: Run, command: tuple[str, ...]) -> None:
    """Every text that looks like a formula has a quote before it; numbers stay numbers."""
    table = list(csv.DictReader(io.StringIO(loaded(*command)[1])))

    cells = [value for row in table for value in row.values()]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert {f"'{FORMULA}", "'+1", "'-2+3"} <= set(cells)


@pytest.mark.parametrize("text", [" =1", "\t@x", "\uff1d1+1", "a\r=1", "a\n=1", "\x1b]0;x\x07", "\u202e=1", "\x85=1"])
def test_no_cell_begins_a_formula_or_another_row(text: str) -> None:
    """However it is disguised; control characters are shown as text."""
    shown = cell(text)

    assert shown.startswith("'") or not shown.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))
    assert len(shown.splitlines()) == 1
    assert shown.isprintable()


def test_stored_passwords_are_shown(run: Run, tmp_path: Path) -> None:
    """Each from its newest session; of others only the hash is stored."""
    write(tmp_path / "cowrie.json")
    assert run("load", tmp_path / "cowrie.json", "-q", "--keep-passwords")[0] == 0

    (row,) = rows(run, "--by", "password")
    passwords = json.loads(run("report", "--format", "json")[1])["passwords"]
    run("report", "--html", tmp_path / "report.html")

    assert (row["text"], row["sessions"]) == ("x", 4)
    assert passwords == [{"password_hash": row["password"], "text": "x", "sessions": 4}]
    assert "<code>x</code>" in (tmp_path / "report.html").read_text()


def test_passwords_that_were_not_stored_are_shown_as_hashes(loaded: Run) -> None:
    """The hash can be used as a filter."""
    (row,) = rows(loaded, "--by", "password")

    assert (row["text"], len(row["password"])) == (None, 64)
    assert len(rows(loaded, "--password", row["password"])) == 4


def test_truncated_results_are_marked_as_truncated(loaded: Run) -> None:
    """For groups and for rows; an empty result still has its header."""
    _, out, err = loaded("query", "--limit", "1", "--format", "csv")
    after = err.split("'")[1]

    assert len(list(csv.DictReader(io.StringIO(loaded("query", "--after", after, "--format", "csv")[1])))) == 3
    assert loaded("query", "--by", "user", "--top", "1", "--format", "csv")[2].startswith(
        "Showing 1 of 4 groups; --top N"
    )
    assert out.splitlines()[0] == loaded("query", "--asn", "1", "--format", "csv")[1].strip()
    assert loaded("export", "--asn", "1")[1].startswith(out.splitlines()[0] + ",")


def test_indexes_require_an_existing_database(run: Run, tmp_path: Path) -> None:
    """None is created."""
    for arguments in (("indexes",), ("indexes", "--drop")):
        code, _, err = run(*arguments, "--db", tmp_path / "none.db")
        assert (code, "there is no database" in err) == (1, True)


def test_sessions_are_exported_in_every_format(loaded: Run, tmp_path: Path) -> None:
    """With the same sessions and values in each."""
    written = {form: tmp_path / f"out.{form}" for form in ("csv", "ndjson", "ecs", "parquet")}
    for form, path in written.items():
        code, out, err = loaded("export", path, "--format", form)
        assert (code, out, err) == (0, "", "4 sessions written.\n")

    expected = [f"{n:012x}" for n in (3, 2, 1, 0)]
    ndjson = [json.loads(line) for line in written["ndjson"].read_text().splitlines()]
    ecs = [json.loads(line) for line in written["ecs"].read_text().splitlines()]
    table = pyarrow.parquet.read_table(written["parquet"]).to_pylist()
    with written["csv"].open(newline="") as file:
        assert [row["session_id"] for row in csv.DictReader(file)] == expected
    assert [row["session_id"] for row in ndjson] == expected
    assert [(row["session_id"], row["asn"], row["user"]) for row in table] == [
        (row["session_id"], row["asn"], row["user"]) for row in ndjson
    ]
    assert [event["event"]["id"] for event in ecs] == expected
    assert ecs[1]["source"]["as"] == {"number": 4134, "organization": {"name": ndjson[1]["organization"]}}
    assert (ecs[1]["source"]["geo"], ecs[1]["source"]["ip"]) == ({"country_iso_code": "CN"}, "222.186.30.1")
    assert (ecs[0]["snapshots"]["gap"], "as" in ecs[0]["source"]) == ("not_routable", False)
    assert ecs[0]["event"]["duration"] == 1_500_000_000
    assert list(tmp_path.glob(".out*")) == []


def test_a_block_list_has_no_private_addresses(loaded: Run) -> None:
    """Routable addresses only, each once."""
    assert loaded("export", "--format", "blocklist")[1].splitlines() == ["165.227.0.5", "222.186.30.1"]
    assert loaded("export", "--format", "blocklist", "--min-sessions", "2")[1].splitlines() == ["222.186.30.1"]
    assert loaded("export", "--format", "blocklist", "--country", "us")[1].splitlines() == ["165.227.0.5"]


def test_an_output_file_is_written_completely_or_not_at_all(
    loaded: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its previous content stays, and no partial file is left."""
    path = tmp_path / "out.csv"
    path.write_text("before")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("snapshots.adapters.feeds.formats.csv.csv_texts", full)
    code, _, err = loaded("export", path)

    assert (code, err) == (1, f"Error: {path} cannot be written: No space left on device\n")
    assert path.read_text() == "before"
    assert list(tmp_path.glob(".out*")) == []
    assert loaded("export", tmp_path / "no" / "out.csv")[0] == 1
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert loaded("export", tmp_path / "loop")[0] == 1


def test_an_output_may_be_a_device_or_a_link(loaded: Run, tmp_path: Path) -> None:
    """They are not replaced, and new files have the usual permissions, or private ones if they may hold passwords."""
    link, target = tmp_path / "link.csv", tmp_path / "target.csv"
    target.write_text("before")
    target.chmod(0o600)
    link.symlink_to(target)

    assert loaded("export", "/dev/null")[0] == 0
    assert loaded("export", link)[0] == 0
    before = os.umask(0o027)
    try:
        assert loaded("export", tmp_path / "new.csv")[0] == 0
        assert loaded("export", tmp_path / "new.txt", "--format", "blocklist")[0] == 0
    finally:
        os.umask(before)

    assert not Path("/dev/null").is_file()
    assert (link.is_symlink(), target.stat().st_mode & 0o777) == (True, 0o600)
    assert target.read_text().startswith('"session_id"')
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("new.csv", "new.txt")]
    assert modes == [0o600, 0o640]


@pytest.mark.usefixtures("loaded")
def test_a_closed_pipe_is_not_an_error() -> None:
    """Such as a pipe to `head`."""
    command = [sys.executable, "-m", "snapshots", "export"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        stderr = child.stderr.read()

    assert b"Traceback" not in stderr
    assert b"Error" not in stderr
    assert child.returncode == 0


def test_parquet_without_pyarrow_states_what_to_install(
    loaded: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyarrow is an extra."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    code, _, err = loaded("export", tmp_path / "x.parquet", "--format", "parquet")

    assert (code, f"Parquet needs the extra parquet: {install_extra('parquet')}" in err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "some day"),
        ("--did", "login,nothing"),
        ("--not-did", "x"),
        ("--by", "nonsense"),
        ("--network-at", "later"),
        ("--since", "0001-01-01T00:00+14:00"),
        ("--change",),
        ("--addresses",),
        ("--by", "asn", "--after", "~x"),
    ],
)
def test_an_invalid_query_is_a_usage_error(loaded: Run, arguments: tuple[str, ...]) -> None:
    """The exit code is 2."""
    assert loaded("query", *arguments)[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--asn", "x"),
        ("--by", "command", "--by", "command"),
        ("--by", "asn", "--change"),
        ("--after", "nowhere"),
        ("--by", "asn", "--change", "--since", "0001-01-01"),
        ("--by", "asn", "--change", "--since", "99999w"),
        ("--country", "Nowhere"),
    ],
)
def test_contradictory_options_are_a_usage_error(loaded: Run, arguments: tuple[str, ...]) -> None:
    """With a message of one line."""
    code, _, err = loaded("query", *arguments)

    assert (code, err.count("\n"), err.startswith("Error: ")) == (2, 1, True)


def test_indexes_of_queries_are_dropped_and_built(loaded: Run) -> None:
    """A new database has them."""
    assert loaded("indexes")[1] == "All indexes exist.\n"
    assert loaded("indexes", "--drop")[1].count("dropped") == 8
    assert loaded("indexes", "--drop")[1] == "No index to drop.\n"
    assert loaded("indexes")[1].count("built") == 8


def test_verify_reports_how_many_of_very_many_sessions_it_checked(loaded: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """--full checks all of them."""
    for name in ("MOST_INSPECTED", "SAMPLE_SIZE"):
        monkeypatch.setattr(f"snapshots.adapters.sql.queries.inspection.integrity.{name}", 1)

    _, part, _ = loaded("verify")
    _, whole, _ = loaded("verify", "--full")

    assert " of 3 checked" in part
    assert "--full checks all of them" in part
    assert "3 sealed sessions checked" in whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--country", "Atlantis"),
            "'Atlantis' is not a country (use ISO 3166-1 alpha-2, such as DE, or the English name)",
        ),
        (
            ("--asn", "Google"),
            "'Google' is not an ASN (use a number from 1 to 4294967295, such as 4134 or AS4134; --network",
        ),
        (("--ip-type", "BOTNET"), "'BOTNET' is not an IP type (use one of VPN, TOR, PROXY, DATACENTER,"),
        (("--address", "here"), "'here' is not an IP address or network (such as 192.0.2.1,"),
        (("--since", "2026-03-02", "--until", "2026-03-01"), "--since (2026-03-02 00:00:00) is not before --until"),
        (("--by", "asn", "--change"), "--change needs --since"),
        (("--by", "week", "--by", "day"), "give only one of hour, day, week and month"),
        (("--after", "somewhere"), "'somewhere' is not a cursor: use the value of `next` in the previous page"),
        (("--db", "."), ". is a folder, not a database: name a file in it, such as ./snapshots.db"),
    ],
)
def test_a_usage_error_states_the_correct_syntax(loaded: Run, options: tuple[str, ...], message: str) -> None:
    """On one line, with the value."""
    code, out, err = loaded("query", *options)

    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
