"""What campaigns are found by, as a user sees it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import NEW, Run

HOSTILE = "\x1b[31mred\x07 [bold]x[/bold]"


def write(path: Path, **dump: Any) -> None:
    """Write a session with hostile texts in it, and more commands than are shown."""
    events: list[dict[str, Any]] = [
        {"eventid": "cowrie.session.connect", "src_ip": "8.8.8.8", "src_port": 1, "protocol": "ssh"},
        {"eventid": "cowrie.client.version", "version": HOSTILE},
        {"eventid": "cowrie.login.failed", "username": HOSTILE, "password": "letmein"},
        {"eventid": "cowrie.login.success", "username": "root", "password": "other"},
        *({"eventid": "cowrie.command.input", "input": f"{HOSTILE} {n}"} for n in range(12)),
        {"eventid": "cowrie.session.file_download", "url": HOSTILE, "shasum": "0" * 64},
        {"eventid": "cowrie.session.closed", "duration": "61.5"},
    ]
    shared = [{"session": "a", "timestamp": f"2026-11-02T10:00:{n:02}Z"} for n in range(len(events))]
    path.write_text(json.dumps([one | other for one, other in zip(events, shared, strict=True)], **dump))


@pytest.mark.parametrize("options", [(), ("--keep-passwords",)])
def test_explain_shows_the_behaviour_of_a_session(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Escape sequences are harmless, and the password is shown only if it was to be stored."""
    write(tmp_path / "export.json", indent=2)
    assert run("load", tmp_path / "export.json", *options)[:1] == (0,)

    code, table, _ = run("explain", "a")
    behaviour = json.loads(run("explain", "a", "--format", "json")[1])["behaviour"]

    assert code == 0
    assert "\x1b" not in table
    assert "\x07" not in table
    assert "[bold]x[/bold] 9" in table
    assert "and 2 more" in table
    assert "61.5 s" in table
    assert ("letmein" in table) == bool(options)
    assert behaviour["password"] == ("letmein" if options else None)
    assert (behaviour["username"], behaviour["login_succeeded"], behaviour["duration_ms"]) == (HOSTILE, True, 61500)
    assert [each["text"] for each in behaviour["commands"]] == [f"{HOSTILE} {n}" for n in range(12)]


def test_an_export_of_a_log_has_the_same_events_as_the_log(run: Run, tmp_path: Path) -> None:
    """Whichever is loaded first."""
    text = gzip.decompress(NEW.read_bytes())
    (tmp_path / "cowrie.json").write_bytes(text)
    hits = [{"_source": json.loads(line)} for line in text.splitlines()]
    (tmp_path / "export.json").write_text(json.dumps({"took": 1, "hits": {"hits": hits}}, indent=1))

    assert run("load", tmp_path / "export.json")[0] == 0
    code, out, _ = run("load", tmp_path / "cowrie.json")

    assert (code, "Nothing new" in out) == (0, True)


def test_the_input_format_option_overrides_the_detection(run: Run, tmp_path: Path) -> None:
    """Read as lines, an array is a sequence of invalid lines."""
    write(tmp_path / "export.json", indent=2)

    assert "0 new events" in run("load", tmp_path / "export.json", "--input-format", "lines")[1]
    assert "18 new events" in run("load", tmp_path / "export.json", "--input-format", "json")[1]
    assert run("load", tmp_path / "export.json", "--input-format", "xml")[0] == 2
