"""Files for other programs, also of logs in which every text was chosen to do harm."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import stix2

from snapshots.__main__ import main
from snapshots.adapters.feeds import session_columns
from snapshots.adapters.feeds.export_formats import export_formats
from snapshots.adapters.feeds.formats.abuseipdb import MAX_COMMENT_BYTES
from snapshots.app.pip_install import install_extra
from tests.journeys.conftest import NEW, Run

HONEYPOT = "198.51.100.77"
SENSOR = "secret-sensor"
HOSTILE = [
    '=HYPERLINK("http://evil.example","x")',
    "+1",
    "@SUM(1)",
    "\x1b]0;owned\x07",
    "\u202eroot",
    "quote \" and ' and , and ; and \\",
    "nul\x00here",
    "line\nbreak\r\nand\u2028more",
    f"ssh {HONEYPOT} -p hunter2",
    "\ud800 lone",
    "long" * 5_000,
]
GOOGLE = ["8.8.8.8", "8.8.4.4"]
PASSWORD = "=hunter2\u202e"


def write(path: Path) -> None:
    """Write a session for each hostile text, with that text wherever an attacker can put one."""
    lines: list[dict[str, Any]] = []
    for n, text in enumerate(HOSTILE):
        shared = {"session": f"{n:012x}", "sensor": SENSOR, "src_ip": GOOGLE[n % 2], "dst_ip": HONEYPOT}
        lines += [
            {"eventid": "cowrie.session.connect", "src_port": 7, "protocol": "ssh", **shared},
            {"eventid": "cowrie.client.version", "version": text, **shared},
            {"eventid": "cowrie.login.failed", "username": text, "password": PASSWORD, **shared},
            {"eventid": "cowrie.login.success", "username": "root", "password": PASSWORD, **shared},
            *(
                {"eventid": "cowrie.command.input", "input": f"{text} {m}", **shared}
                for m in range(70 if n == 10 else 2)
            ),
            {"eventid": "cowrie.session.file_download", "url": f"http://{text}", "shasum": f"{n:064x}", **shared},
            {"eventid": "cowrie.session.closed", "duration": "1.5", **shared},
        ]
    shared = {"session": "f" * 12, "sensor": SENSOR, "src_ip": "9.9.9.9"}
    lines.append({"eventid": "cowrie.session.connect", "src_port": 7, "protocol": "telnet", **shared})
    for n, line in enumerate(lines):
        day = 10 + int(line["session"], 16) % 5 // 2
        line["timestamp"] = f"2026-11-{day:02}T10:{n // 60:02}:{n % 60:02}Z"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture(scope="module")
def hostile_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write(folder / "cowrie.json")
    arguments = ["load", str(folder / "cowrie.json"), "-q", "--keep-passwords", "--db", str(folder / "test.db")]
    assert main(arguments) == 0
    return folder / "test.db"


@pytest.fixture
def hostile(run: Run, tmp_path: Path, hostile_template: Path) -> Run:
    """A database with those sessions and passwords."""
    shutil.copyfile(hostile_template, tmp_path / "test.db")
    return run


@pytest.fixture
def demo(run: Run) -> Run:
    """A database with the log that comes with the program."""
    assert run("load", "-q", NEW)[0] == 0
    return run


def ndjson(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


FORMATS = list(export_formats())


def test_every_module_of_a_format_is_found() -> None:
    """By a name of its own; a second format of the same name would hide the first."""
    modules = {file.stem for file in Path("src/snapshots/adapters/feeds/formats").glob("*.py")} - {"__init__"}

    assert len(FORMATS) == len(modules) > 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_may_have_passwords_is_readable_by_its_owner_only(hostile: Run, tmp_path: Path, name: str) -> None:
    """Every other format has none, also if they are stored."""
    path = tmp_path / "exported"
    assert hostile("export", path, "--format", name)[0] == 0

    is_private = path.stat().st_mode & 0o077 == 0
    assert is_private != export_formats()[name].is_public
    assert is_private or PASSWORD[:-1].encode() not in path.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_the_same_each_time_and_can_be_empty(hostile: Run, tmp_path: Path, name: str) -> None:
    """So that files can be compared; a filter that selects nothing is no error."""
    for file in ("first", "again"):
        assert hostile("export", tmp_path / file, "--format", name)[0] == 0
    code, _, err = hostile("export", tmp_path / "empty", "--format", name, "--since", "2100-01-01")

    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    assert (code, "0 " in err.splitlines()[-1]) == (0, True)
    assert (tmp_path / "empty").exists()


def test_a_binary_format_is_not_written_to_a_terminal() -> None:
    """It would change the state of the terminal."""
    reader, terminal = os.openpty()
    command = [sys.executable, "-m", "snapshots", "export", "--format", "parquet"]
    done = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, text=True, check=False)
    os.close(reader)
    os.close(terminal)

    assert done.returncode == 2
    assert done.stderr.endswith("Error: parquet cannot be written to a terminal: name a FILE\n")


@pytest.mark.parametrize("name", FORMATS)
def test_a_misspelled_value_is_an_error_in_every_format(demo: Run, tmp_path: Path, name: str) -> None:
    """And no file is written."""
    code, _, err = demo("export", tmp_path / "exported", "--format", name, "--sensor", "nothing")

    assert (code, "nothing" in err) == (2, True)
    assert not (tmp_path / "exported").exists()


def test_what_was_done_is_the_same_in_every_format(hostile: Run, tmp_path: Path) -> None:
    """As lists; in CSV as JSON in one cell."""
    lines = ndjson(hostile("export", "--format", "ndjson")[1])
    assert hostile("export", tmp_path / "x.parquet", "--format", "parquet")[0] == 0
    table = pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist()
    rows = list(csv.DictReader(io.StringIO(hostile("export")[1])))

    assert len(lines) == len(HOSTILE) + 1
    for line, stored, row in zip(lines, table, rows, strict=True):
        assert line["session_id"] == stored["session_id"] == row["session_id"]
        for name in ("credentials", "command_texts", "urls", "file_hashes", "ssh_keys"):
            assert line[name] == stored[name]
            cell = json.loads(row[name] or "[]")
            assert cell == line[name] or re.fullmatch(r"\.\.\. \d+ more", cell[-1])
    first = next(line for line in lines if line["session_id"] == "0" * 12)
    tried = {each["user"]: (each["password"], each["attempts"], each["successes"]) for each in first["credentials"]}
    assert tried == {HOSTILE[0]: (PASSWORD, 1, 0), "root": (PASSWORD, 1, 1)}
    assert first["command_texts"] == [f"{HOSTILE[0]} 0", f"{HOSTILE[0]} 1"]
    assert first["file_hashes"] == ["0" * 64]


def test_every_login_attempt_is_exported_and_counted_in_reports(hostile: Run) -> None:
    """Also a success after the first attempt."""
    tried = Counter[str]()
    for line in ndjson(hostile("export", "--format", "ndjson")[1]):
        attempts = sum(each["attempts"] for each in line["credentials"])
        assert line["logins"] == attempts
        tried[line["source_ip"]] += attempts
    ecs = {line["event"]["id"]: line for line in ndjson(hostile("export", "--format", "ecs")[1])}
    report = hostile("abuse-report", "15169")[1]
    comments = Counter[str]()
    for row in reports(hostile)[0]:
        comments[row["IP"]] += int(re.findall(r"(\d+) login attempt", row["Comment"])[0])

    assert +tried == comments == {"8.8.8.8": 12, "8.8.4.4": 10}
    assert set(ecs["0" * 12]["user"]["name"]) == {HOSTILE[0], "root"}
    assert ecs["0" * 12]["event"]["outcome"] == "success"
    assert "12 login attempts" in report
    assert "10 login attempts" in report
    assert report.count("  user: root\n") == len(GOOGLE)


def test_passwords_are_exported_only_if_they_are_stored(demo: Run) -> None:
    """Otherwise their hashes are."""
    credentials = [each for line in ndjson(demo("export", "--format", "ndjson")[1]) for each in line["credentials"]]

    assert credentials
    assert {each["password"] for each in credentials} == {None}
    assert {len(each["password_hash"] or "") for each in credentials} == {0, 64}, "a key has none"


def test_no_cell_of_an_export_is_a_formula_or_too_long(hostile: Run) -> None:
    """Also not a part of a list, if a program splits it at its commas."""
    out = hostile("export")[1]
    cells = [value for row in csv.DictReader(io.StringIO(out)) for value in row.values()]

    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert max(map(len, cells)) <= 32_767
    assert any("more" in cell for cell in cells), "a list that does not fit states how many values are left out"
    assert all(line.isprintable() for line in out.splitlines())
    assert len(out.splitlines()) == len(HOSTILE) + 2


def test_a_list_that_fits_is_whole() -> None:
    """And of one that does not fit, all values but the last are."""
    assert session_columns.list_cell([]) is None
    assert session_columns.list_cell(["=1", "a"]) == '["=1", "a"]'
    cell = json.loads(session_columns.list_cell(["x" * 900] * 64) or "")
    assert len(cell) < 64
    assert cell[-1] == f"... {64 - len(cell) + 1} more"


def reports(run: Run, *arguments: object) -> tuple[list[dict[str, str]], str]:
    code, out, err = run("export", "--format", "abuseipdb", *arguments)
    assert code == 0
    return list(csv.DictReader(io.StringIO(out))), err


def test_reports_to_abuseipdb_have_one_row_per_address_and_day(hostile: Run) -> None:
    """Only of addresses that did something, with categories and a time."""
    found, err = reports(hostile)

    assert sorted((row["IP"], row["ReportDate"][:10]) for row in found) == [
        (address, f"2026-11-{day}") for address in sorted(GOOGLE) for day in (10, 11, 12)
    ]
    assert {row["Categories"] for row in found} == {"15,18,22"}
    assert "9.9.9.9" not in {row["IP"] for row in found}
    assert all(re.fullmatch(r"2026-11-1\dT\d\d:\d\d:\d\d\+00:00", row["ReportDate"]) for row in found)
    assert err == f"{len(found)} reports written.\n"


def test_reports_to_abuseipdb_have_no_text_of_the_attacker_and_nothing_of_the_honeypot(hostile: Run) -> None:
    """Each is short and plain ASCII."""
    out = hostile("export", "--format", "abuseipdb")[1]

    assert not {HONEYPOT, SENSOR, "hunter2", "evil", "owned"} & set(re.split(r"[ :,=\"]", out))
    assert out.isascii()
    for row in csv.DictReader(io.StringIO(out)):
        assert len(row["Comment"].encode()) <= MAX_COMMENT_BYTES
        assert re.fullmatch(r"SSH honeypot: [\w ,:.-]+", row["Comment"])


def test_reports_that_abuseipdb_would_refuse_are_announced(demo: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many, and too old ones."""
    monkeypatch.setattr("snapshots.adapters.feeds.formats.abuseipdb.MAX_LINES", 3)
    found, err = reports(demo)

    assert {row["Categories"] for row in found} >= {"18,22", "15,18,22", "15,18,23"}
    assert "Warning: AbuseIPDB takes 3 reports in one file" in err
    assert "more than 60 days ago" not in reports(demo)[1]


def test_reports_of_old_attacks_are_announced(run: Run, tmp_path: Path) -> None:
    """The reporting policy excludes them."""
    event = {"eventid": "cowrie.login.failed", "username": "a", "password": "b", "src_ip": "8.8.8.8"}
    connect = {"eventid": "cowrie.session.connect", "src_ip": "8.8.8.8", "src_port": 1}
    events = [{**each, "session": "a", "timestamp": "2020-01-01T00:00:00Z"} for each in (connect, event)]
    (tmp_path / "cowrie.json").write_text("".join(f"{json.dumps(each)}\n" for each in events))
    assert run("load", "-q", tmp_path / "cowrie.json")[0] == 0

    found, err = reports(run)

    assert found[0]["Categories"] == "18"
    assert found[0]["Comment"].startswith("Login honeypot: 1 login attempt in 1 session from 2020-01-01 00:00:00 ")
    assert "Warning: 1 attack more than 60 days ago, which AbuseIPDB does not take: use --since 60d\n" in err


@pytest.mark.parametrize("name", ["demo", "hostile"])
def test_a_stix_bundle_is_valid_complete_and_equal_each_time(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Every session is dated at the attack, with the address in the network of then."""
    run = request.getfixturevalue(name)
    for path in ("a.json", "b.json"):
        assert run("export", tmp_path / path, "--format", "stix")[0] == 0
    lines = {line["session_id"]: line for line in ndjson(run("export", "--format", "ndjson")[1])}
    text = (tmp_path / "a.json").read_text()

    bundle = stix2.parse(text)

    assert (tmp_path / "b.json").read_text() == text
    assert text.isascii()
    objects = {each["id"]: each for each in bundle.objects}
    assert len(objects) == len(bundle.objects)
    observed = [each for each in bundle.objects if each["type"] == "observed-data"]
    assert {each.external_references[0].external_id for each in observed} == set(lines)
    for each in observed:
        line = lines[each.external_references[0].external_id]
        refers = [objects[ref] for ref in each.object_refs]
        (address,) = [ref for ref in refers if ref["type"] in {"ipv4-addr", "ipv6-addr"}]
        networks = [objects[ref].number for ref in address.get("belongs_to_refs", [])]
        assert (address.value, networks) == (line["source_ip"], [line["asn"]] if line["asn"] else [])
        assert each.created.isoformat() == line["first_event_at"]
        commands = [ref.command_line for ref in refers if ref["type"] == "process"]
        assert commands == list(dict.fromkeys(line["command_texts"]))
        assert [ref.hashes["SHA-256"] for ref in refers if ref["type"] == "file"] == line["file_hashes"]


def test_the_same_address_in_two_networks_is_two_objects(demo: Run) -> None:
    """An address that moved must not belong to the network of another time."""
    lines = [json.loads(line.rstrip(",")) for line in demo("export", "--format", "stix")[1].splitlines()[1:-1]]

    names = {each["value"]: each["id"] for each in lines if each["type"] == "ipv4-addr" and "belongs_to_refs" in each}
    assert names
    for value, name in names.items():
        assert name != stix2.IPv4Address(value=value).id


def test_an_empty_stix_bundle_is_valid(run: Run) -> None:
    """It has no objects."""
    code, out, _ = run("export", "--format", "stix")

    assert code == 0
    assert "objects" not in stix2.parse(out, version="2.1")


def test_stix_without_its_library_states_what_to_install(
    demo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "stix2.v21", None)

    code, _, err = demo("export", tmp_path / "x.json", "--format", "stix")

    assert (code, err) == (1, f"Error: STIX needs the extra stix: {install_extra('stix')}\n")
    assert not (tmp_path / "x.json").exists()


def test_a_block_list_leaves_out_allowed_addresses(demo: Run, tmp_path: Path) -> None:
    """And counts them on stderr."""
    (tmp_path / "allow.txt").write_text("# office\n61.177.172.0/24\n2a0b:f4c2::1\n")
    everything = demo("export", "--format", "blocklist")[1].splitlines()

    code, out, err = demo("export", "--format", "blocklist", "--except", tmp_path / "allow.txt")

    left_out = [text for text in everything if text.startswith("61.177.172.") or text == "2a0b:f4c2::1"]
    assert (code, out.splitlines()) == (0, [text for text in everything if text not in left_out])
    assert (
        err == f"{len(left_out)} addresses left out as allowed.\n{len(everything) - len(left_out)} addresses written.\n"
    )


@pytest.mark.parametrize("style", ["plain", "cidr", "nftables", "ipset"])
def test_a_list_is_replaced_by_an_empty_one_only_if_that_is_requested(demo: Run, tmp_path: Path, style: str) -> None:
    """An empty list opens the firewall."""
    path = tmp_path / "list"
    command = ("export", path, "--format", "blocklist", "--style", style)
    assert demo(*command, "--asn", "1")[0] == 0, "a new list may be empty"
    path.write_text("")
    assert demo(*command, "--asn", "1")[0] == 0
    assert demo(*command)[0] == 0
    before = path.read_text()

    code, _, err = demo(*command, "--asn", "1")

    assert (code, path.read_text()) == (1, before)
    assert "was not replaced: use --allow-empty" in " ".join(err.split())
    assert demo(*command, "--asn", "1", "--allow-empty")[0] == 0
    assert path.read_text() != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--min-sessions", "2"), "--min-sessions needs --format blocklist"),
        (("--style", "cidr"), "--style needs --format blocklist"),
        (("--except", "x", "--format", "csv"), "--except needs --format blocklist"),
        (("--allow-empty", "--format", "ecs"), "--allow-empty needs --format blocklist"),
        (("--bulk",), "--bulk needs --format ecs"),
    ],
)
def test_an_option_of_another_format_is_a_usage_error(demo: Run, options: tuple[str, ...], message: str) -> None:
    """It would have no effect."""
    code, _, err = demo("export", *options)

    assert (code, message in err) == (2, True)


def test_the_list_of_scanners_is_used_on_request_only(run: Run, tmp_path: Path) -> None:
    """A block list has them otherwise."""
    event = {"eventid": "cowrie.session.connect", "src_port": 1, "timestamp": "2026-11-01T00:00:00Z"}
    events = [{**event, "session": str(n), "src_ip": text} for n, text in enumerate(["8.8.8.8", "162.142.125.7"])]
    (tmp_path / "cowrie.json").write_text("".join(f"{json.dumps(each)}\n" for each in events))
    assert run("load", "-q", tmp_path / "cowrie.json")[0] == 0

    assert run("export", "--format", "blocklist")[1].splitlines() == ["162.142.125.7", "8.8.8.8"]
    code, out, err = run("export", "--format", "blocklist", "--except-scanners")
    assert (code, out, err) == (0, "8.8.8.8\n", "1 address left out as allowed.\n1 address written.\n")


def test_sessions_without_an_address_are_left_out_of_stix_and_counted(run: Run, tmp_path: Path) -> None:
    """Every other format has them."""
    event = {"eventid": "cowrie.command.input", "input": "id", "session": "a", "timestamp": "2026-11-01T00:00:00Z"}
    (tmp_path / "cowrie.json").write_text(f"{json.dumps(event)}\n")
    assert run("load", "-q", tmp_path / "cowrie.json")[0] == 0

    assert run("export", "--format", "stix")[2] == (
        "1 session without an address or a time left out.\n0 sessions written.\n"
    )
    assert ndjson(run("export", "--format", "ndjson")[1])[0]["command_texts"] == ["id"]


def test_lines_for_the_bulk_api_are_written(demo: Run) -> None:
    """Two for each session."""
    lines = ndjson(demo("export", "--format", "ecs", "--bulk")[1])

    assert len(lines) == 2 * 83
    assert {line["index"]["_index"] for line in lines[::2]} == {"snapshots-sessions"}
    assert [line["index"]["_id"] for line in lines[::2]] == [line["event"]["id"] for line in lines[1::2]]
