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
        (("--hassh", "zzz"), "--hassh 'zzz': no stored hassh begins like this"),
        (("--download", "zzz"), "--download 'zzz': no stored hash of a file begins like this"),
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


def test_an_export_of_a_misspelled_name_writes_nothing(loaded: Run, tmp_path: Path) -> None:
    """The file is not replaced."""
    (tmp_path / "x.csv").write_text("as it was")

    code, _, err = loaded("export", tmp_path / "x.csv", "--user", "rot")

    assert (code, "nearest: root" in err) == (2, True)
    assert (tmp_path / "x.csv").read_text() == "as it was"


def test_hashes_are_found_by_how_they_begin(loaded: Run) -> None:
    """As they are printed in short; of several, all are named."""
    rows = json.loads(loaded("query", "--by", "hassh", "--format", "json")[1])["rows"]
    whole = rows[0]["hassh"]

    for beginning in (whole, whole[:6], whole[:10] + "…", whole[:8].upper()):
        found = json.loads(loaded("query", "--hassh", beginning, "--by", "hassh", "--format", "json")[1])["rows"]
        assert [row["hassh"] for row in found] == [whole]
    code, _, err = loaded("query", "--hassh", "")
    assert (code, "several begin like this" in err) == (2, len(rows) > 1)


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
    assert (code, out, "several sessions begin like this: " + ids[0] in err, "and more" in err) == (1, "", True, True)
    code, _, err = loaded("explain", "zz")
    assert (code, "there is no session 'zz'" in err) == (1, True)
