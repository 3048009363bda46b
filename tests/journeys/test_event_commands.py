"""Events that are kept as they were logged."""

import gzip
import json
from hashlib import sha256
from importlib import resources
from pathlib import Path

import pytest

from snapshots.adapters.sql.stores.event_lines import packed, unpacked
from snapshots.app.errors import StoreUnavailable
from tests.journeys.conftest import NEW, Run

HOSTILE = (
    b'{"session":"a0","eventid":"cowrie.command.input","input":"\xe2\x80\xae\xff","timestamp":"2026-03-01T12:00Z"}'
)


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    log = tmp_path / "cowrie.json"
    log.write_bytes(gzip.decompress(NEW.read_bytes()))
    return log


def sessions_in(log: Path) -> dict[str, list[bytes]]:
    """Return the lines of each session, computed independently."""
    found: dict[str, list[bytes]] = {}
    for line in log.read_bytes().splitlines():
        found.setdefault(json.loads(line.decode("utf-8", "replace"))["session"], []).append(line)
    return found


def test_every_event_is_returned_as_it_was_logged(logged: Path, run: Run, tmp_path: Path) -> None:
    """However often it was loaded; the output can be loaded elsewhere."""
    assert run("load", logged, "--store-events", "-q")[0] == 0
    assert run("load", logged, "--store-events", "-q")[0] == 0
    of_session = sessions_in(logged)

    again = tmp_path / "again.json"
    code, out, _ = run("events", *of_session, "--raw")
    again.write_text(out)

    assert code == 0
    assert sessions_in(again) == {name: sorted(lines, key=_time) for name, lines in of_session.items()}
    events = sum(len(lines) for lines in of_session.values())
    assert f"{events} new events" in run("load", again, "--db", f"sqlite:///{tmp_path}/2.db")[1]


def _time(line: bytes) -> str:
    return str(json.loads(line.decode("utf-8", "replace"))["timestamp"])


def test_a_terminal_receives_no_control_characters(logged: Path, run: Run) -> None:
    """Raw bytes are written only on request."""
    logged.write_bytes(HOSTILE + b"\n")
    run("load", logged, "--store-events", "-q")

    _, out, _ = run("events", "a0")

    assert "\\u202e\\xff" in out


def test_without_the_option_no_events_are_stored(logged: Path, run: Run) -> None:
    """And the message states how to store them."""
    run("load", logged, "-q")

    code, out, err = run("events", next(iter(sessions_in(logged))))

    assert (code, out) == (1, "")
    assert "--store-events" in err


def test_packed_lines_that_are_damaged_are_an_error() -> None:
    """Not fewer lines, and no traceback."""
    whole = packed([b"one", b"two"])

    assert list(unpacked(whole)) == [b"one", b"two"]
    for part in (b"", b"\x07" + whole[1:], whole[:-2], b"\x01\xff\xff"):
        with pytest.raises(StoreUnavailable, match="cannot be unpacked"):
            unpacked(part)


def test_the_dictionary_never_changes() -> None:
    """Lines that were packed with it could not be unpacked with another; a new one gets a new name."""
    dictionary = resources.files("snapshots.adapters.sql").joinpath("data", "cowrie-lines-1.txt").read_bytes()

    assert sha256(dictionary).hexdigest() == "c86c0cf584b5d5699e6515034a89198c577f37760616af0f3112eefc7a6f645a"
