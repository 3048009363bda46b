"""Reports to the holder of a network."""

import base64
import json
import re
from pathlib import Path

import pytest
import xarf

from tests.journeys.conftest import NEW, Run
from tests.journeys.test_exports import HONEYPOT, SENSOR, write

XARF = ("--format", "xarf", "--organization", "Example", "--contact", "abuse@example.com")


@pytest.fixture
def demo(run: Run) -> Run:
    """A database with the log that comes with the program."""
    assert run("load", "-q", NEW)[0] == 0
    return run


@pytest.fixture
def hostile(run: Run, tmp_path: Path) -> Run:
    """A database with texts that were chosen to do harm, from addresses of AS15169."""
    write(tmp_path / "cowrie.json")
    assert run("load", "-q", "--keep-passwords", tmp_path / "cowrie.json")[0] == 0
    return run


def test_a_report_lists_what_each_address_of_the_network_did(demo: Run) -> None:
    """With times and counts, and how the network is known."""
    code, out, err = demo("abuse-report", "AS60729", "--since", "2026-11-01")

    head, *addresses = out.split("\n\n")
    assert (code, err) == (0, "")
    assert head.splitlines() == [
        "Attacks from AS60729 (Stiftung Erneuerbare Freiheit) on a Cowrie honeypot (SSH and Telnet)",
        "Period: 2026-11-24 02:14:09 to 2026-11-24 02:15:29 UTC",
        "2 addresses, 4 sessions",
    ]
    assert addresses[1].splitlines() == [
        "2a0b:f4c2::1",
        "  from 2026-11-24 02:14:28 to 2026-11-24 02:15:29 UTC",
        "  ssh: 2 sessions, 2 login attempts, 2 sessions with a successful login, 2 commands, 0 files",
        "  network: AS60729, as published by the time of the attack (dbip@2026-09-01)",
        "  user: root",
        "  command: uname -s -v -n -r -m",
    ]


def test_a_report_in_x_arf_is_valid_and_equal_each_time(demo: Run) -> None:
    """By the schema of X-ARF v4; the evidence is the text about the address."""
    code, out, err = demo("abuse-report", "60729", *XARF)
    text = demo("abuse-report", "60729")[1]

    assert (code, err) == (0, "")
    assert demo("abuse-report", "60729", *XARF)[1] == out
    reports = [json.loads(line) for line in out.splitlines()]
    assert len({report["report_id"] for report in reports}) == len(reports) == 2
    for report in reports:
        assert xarf.parse(report).errors == []
        assert base64.b64decode(report["evidence"][0]["payload"]).decode().strip() in text
        assert report["tags"] == ["asn:60729", "asn-method:asof"]


def test_no_text_of_an_attacker_breaks_a_report(hostile: Run) -> None:
    """One line for each text, shortened, and neither passwords nor the name of the honeypot."""
    code, out, _ = hostile("abuse-report", "15169")

    assert code == 0
    assert all(line.isprintable() for line in out.splitlines())
    assert {
        re.match(r"[\d.]+$|  (from|ssh: \d|network|user|command|URL|file)|Attacks|Period|\d|The|Up|$", line) is None
        for line in out.splitlines()
    } == {False}
    assert max(map(len, out.splitlines())) < 330
    assert SENSOR not in out
    assert "hunter2\\u202e" not in out
    for report in map(json.loads, hostile("abuse-report", "15169", *XARF)[1].splitlines()):
        assert xarf.parse(report).errors == []
        assert HONEYPOT not in json.dumps({**report, "evidence": []})


def test_connections_without_a_login_are_not_reported_as_login_attacks(hostile: Run) -> None:
    """They are counted on stderr."""
    code, out, err = hostile("abuse-report", "19281", *XARF)

    assert (code, out) == (0, "")
    assert err == "1 address that only connected left out.\nNo attacks from routable addresses match.\n"
    assert hostile("abuse-report", "19281")[:2] == (0, "")


def test_a_report_about_a_network_without_sessions_is_empty(demo: Run) -> None:
    """And states so."""
    assert demo("abuse-report", "1") == (0, "", "No attacks from routable addresses match.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Google",), "'Google' is not an ASN (use a number such as 4134 or AS4134)"),
        (("1", "--asn", "2"), "--asn cannot be combined with the argument ASN"),
        (("1", "--format", "xarf"), "--format xarf needs --organization and --contact"),
        (("1", "--contact", "a@example.com"), "--organization and --contact need --format xarf"),
        (("1", *XARF[:4], "--contact", "someone"), "--contact is an email address"),
        (("99999999999",), "is not an ASN"),
        (("9999999999",), "is not an ASN"),
    ],
)
def test_an_invalid_report_is_a_usage_error(demo: Run, arguments: tuple[str, ...], message: str) -> None:
    """With the value and what to write instead."""
    code, _, err = demo("abuse-report", *arguments)

    assert (code, message in " ".join(err.split())) == (2, True)
