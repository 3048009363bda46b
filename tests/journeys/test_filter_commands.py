"""Filters as users type them, on the log that comes with the program."""

import json
import shutil
from pathlib import Path

import pytest

from snapshots.__main__ import main
from tests.journeys.conftest import NEW, Run


@pytest.fixture(scope="module")
def loaded_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with that log. Copying it is faster than loading."""
    db = tmp_path_factory.mktemp("loaded") / "test.db"
    assert main(["load", str(NEW), "-q", "--db", str(db)]) == 0
    return db


@pytest.fixture
def loaded(run: Run, tmp_path: Path, loaded_template: Path) -> Run:
    """A database with that log."""
    shutil.copyfile(loaded_template, tmp_path / "test.db")
    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sensor", "hp-9"), "no session has the sensor 'hp-9'"),
        (("--user", "rot"), "no session has the user 'rot' (nearest: root"),
        (("--network", "chinanett"), "no session has the network 'chinanett' (nearest: Chinanet"),
        (("--not-client", "SSH-9"), "no session has the client 'SSH-9' (stored: "),
        (("--hassh", "zzz"), "--hassh 'zzz': no stored hassh starts with this"),
        (("--download", "f" * 64), f"no session has the hash of a file '{'f' * 64}'"),
        (("--not-password", "4813494d137f"), "no session has the password '4813494d137f'; to give the beginning"),
        (("--download", "zzz"), "--download 'zzz': no stored hash of a file starts with this"),
    ],
)
@pytest.mark.parametrize("by", [(), ("--by", "asn")])
def test_a_value_that_no_session_has_is_a_usage_error(
    loaded: Run, by: tuple[str, ...], options: tuple[str, ...], message: str
) -> None:
    """A misspelled name must not look like an answer; the nearest stored names are listed."""
    code, out, err = loaded("query", *options, "--since", "now", *by)

    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


@pytest.mark.parametrize("form", ["csv", "stix", "abuseipdb", "blocklist"])
def test_an_export_of_a_misspelled_name_writes_nothing(loaded: Run, tmp_path: Path, form: str) -> None:
    """The file is not replaced."""
    (tmp_path / "x.csv").write_text("as it was")

    code, _, err = loaded("export", tmp_path / "x.csv", "--user", "rot", "--format", form)

    assert (code, "nearest: root" in err) == (2, True)
    assert (tmp_path / "x.csv").read_text() == "as it was"


def test_a_report_with_a_misspelled_name_is_a_usage_error(loaded: Run) -> None:
    """As in a query, the nearest stored names are listed."""
    code, out, err = loaded("abuse-report", "4134", "--user", "rot")

    assert (code, out, "nearest: root" in err) == (2, "", True)


def test_hashes_are_found_by_how_they_begin(loaded: Run) -> None:
    """As they are printed in short; of several, all are named."""
    rows = json.loads(loaded("query", "--by", "hassh", "--format", "json")[1])["rows"]
    whole = rows[0]["hassh"]

    for beginning in (whole, whole[:6], whole[:10] + "…", whole[:8].upper()):
        found = json.loads(loaded("query", "--hassh", beginning, "--by", "hassh", "--format", "json")[1])["rows"]
        assert [row["hassh"] for row in found] == [whole]
    code, _, err = loaded("query", "--hassh", "")
    assert (code, "several stored values start with this" in err) == (2, len(rows) > 1)


def test_values_are_found_as_tables_print_them(run: Run, tmp_path: Path) -> None:
    """With escapes for control characters, and a name that was cut."""
    stated = {"session": "a1", "src_ip": "8.8.8.8", "timestamp": "2026-11-24T10:00:00Z"}
    events = [{"eventid": "cowrie.session.connect"}, {"eventid": "cowrie.client.version", "version": "SSH\x1b[31m\n"}]
    log = tmp_path / "cowrie.json"
    log.write_text("".join(json.dumps({**stated, **event}) + "\n" for event in events))
    assert run("load", "-q", log)[0] == 0
    printed = run("query", "--by", "client")[1].splitlines()[1].split("  ")[0]

    assert printed == r"SSH\x1b[31m\n"
    for name, value in (("--client", printed), ("--network", "Goog…")):
        assert len(json.loads(run("query", name, value, "--format", "json")[1])["rows"]) == 1


def test_filters_have_inverses(loaded: Run) -> None:
    """Together they select every session once."""

    def count(*options: str) -> int:
        code, out, err = loaded("query", "--by", "asn", "--format", "json", *options)
        assert (code, err) == (0, "")
        return int(json.loads(out)["sessions"])

    everything = count()
    for name, value in (
        ("country", "none"),
        ("network", "chinanet"),
        ("address", "8.8.0.0/16"),
        ("did", "login,command"),
    ):
        assert count(f"--{name}", value) + count(f"--not-{name}", value) == everything


def test_sessions_are_explained_by_how_their_ids_begin(loaded: Run) -> None:
    """Several at once; JSON is a list of them, and a beginning of several is an error that lists them."""
    rows = json.loads(loaded("query", "--format", "json", "--limit", "100")[1])["rows"]
    ids = sorted(row["session_id"] for row in rows)
    one, other = ids[0], ids[-1]
    unique = next(one[:n] for n in range(1, 13) if sum(each.startswith(one[:n]) for each in ids) == 1)

    assert json.loads(loaded("explain", unique, "--format", "json")[1])["session_id"] == one
    both = json.loads(loaded("explain", other, unique, "--format", "json")[1])
    assert [each["session_id"] for each in both] == [other, one]
    code, out, _ = loaded("explain", other, unique)
    assert (code, one in out, other in out) == (0, True, True)
    code, out, err = loaded("explain", "")
    assert (code, out, "several session IDs start with this: " + ids[0] in err, "and more" in err) == (
        1,
        "",
        True,
        True,
    )
    code, _, err = loaded("explain", "zz")
    assert (code, "there is no session 'zz'" in err) == (1, True)


def test_a_report_counts_the_selected_sessions(loaded: Run, tmp_path: Path) -> None:
    """As a table, as JSON and as a page, with the numbers that `query` gives for the same filter."""
    options = ("--network", "chinanet", "--not-did", "login")
    rows = json.loads(loaded("query", "--by", "asn", "--format", "json", *options)[1])["rows"]
    sessions = sum(row["sessions"] for row in rows)

    table = loaded("report", *options)[1]
    document = json.loads(loaded("report", "--format", "json", *options)[1])
    code = loaded("report", "--html", tmp_path / "report.html", *options)[0]

    page = (tmp_path / "report.html").read_text()
    assert table.startswith(f"Sessions: network chinanet, not did login\n{sessions} sessions from ")
    assert (document["filter"], document["sessions"]) == ("network chinanet, not did login", sessions)
    assert {row["asn"]: row["sessions"] for row in document["networks"]} == {
        row["asn"]: row["sessions"] for row in rows
    }
    assert document["coverage"]["sessions"]["total"] == sessions
    assert sum(each["sessions"] for each in document["timeline"]["counts"]) == sessions
    assert sum(each["sessions"] for each in document["days"]) == sessions
    assert (code, "network chinanet, not did login" in page) == (0, True)
    assert f"<h1>{sessions} sessions from 1 network in 1 country" in page


@pytest.mark.parametrize("since", ["2030-01-01", "2026-11-25", "0001-01-01"])
def test_a_report_of_any_span_has_a_page(loaded: Run, tmp_path: Path, since: str) -> None:
    """Also of one without sessions, of the future, and of one that nothing can precede."""
    code, _, err = loaded("report", "--html", tmp_path / "report.html", "--since", since)

    page = (tmp_path / "report.html").read_text()
    assert (code, "Traceback" in err) == (0, False)
    assert ("No sessions match. Remove a filter." in page) == (since != "0001-01-01")
    assert f"since {since}" in page


def test_a_report_with_a_start_compares_with_the_time_before(loaded: Run) -> None:
    """The period before is on the timeline, and not among the sessions."""
    document = json.loads(
        loaded("report", "--format", "json", "--since", "2026-11-24 02:15", "--until", "2026-11-24 02:16")[1]
    )
    before = json.loads(
        loaded("report", "--format", "json", "--since", "2026-11-24 02:14", "--until", "2026-11-24 02:15")[1]
    )

    assert (document["changed"]["sessions"], document["changed"]["before"]) == (
        document["sessions"],
        before["sessions"],
    )
    assert sum(each["sessions"] for each in document["timeline"]["counts"]) == (
        document["sessions"] + before["sessions"]
    )


def test_drift_compares_the_selected_sessions(loaded: Run) -> None:
    """And refuses a value that no session has."""
    everything = json.loads(loaded("drift", "--format", "json")[1])
    selected, others = (
        json.loads(loaded("drift", "--format", "json", option, "China")[1]) for option in ("--country", "--not-country")
    )

    assert 0 < selected["sealed"] < everything["sealed"] == selected["sealed"] + others["sealed"]
    code, _, err = loaded("drift", "--user", "rot")
    assert (code, "nearest: root" in err) == (2, True)
    code, _, err = loaded("report", "--user", "rot")
    assert (code, "nearest: root" in err) == (2, True)


def test_the_source_of_a_type_by_network_is_shown_with_the_facts_of_an_address(loaded: Run) -> None:
    """No observation of the address states it, so it would seem to come from nowhere."""
    rows = json.loads(loaded("query", "--format", "json", "--limit", "100")[1])["rows"]
    for by in ("network", "address"):
        row = next(row for row in rows if row["type_by"] == by)
        document = json.loads(loaded("facts", "show", row["source_ip"], "--format", "json")[1])
        out = loaded("facts", "show", row["source_ip"])[1]

        assert (document["ip_type"], document["type_by"]) == (row["ip_type"], by)
        assert (f"type by network (network-types): AS{row['asn']} {row['ip_type']}" in out) == (by == "network")
