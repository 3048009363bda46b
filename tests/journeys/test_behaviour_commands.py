"""What campaigns are found by, as a user sees it."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from snapshots.domain.session.logins import MOST_CREDENTIALS
from tests.journeys.conftest import NEW, Run

HOSTILE = "\x1b[31mred\x07 [bold]x[/bold]"


def write(path: Path, **dump: Any) -> None:
    """Write a session with hostile texts in it, and more commands than are shown."""
    events: list[dict[str, Any]] = [
        {"eventid": "cowrie.session.connect", "src_ip": "8.8.8.8", "src_port": 1, "protocol": "ssh"},
        {"eventid": "cowrie.client.version", "version": HOSTILE},
        {"eventid": "cowrie.login.failed", "username": HOSTILE, "password": "let me in, please"},
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
    assert ("let me in, please" in table) == bool(options)
    assert behaviour["password"] == ("let me in, please" if options else None)
    assert (behaviour["username"], behaviour["login_succeeded"], behaviour["duration_ms"]) == (HOSTILE, True, 61500)
    assert [each["text"] for each in behaviour["commands"]] == [f"{HOSTILE} {n}" for n in range(12)]


def test_every_login_attempt_is_counted_and_shown(run: Run, tmp_path: Path) -> None:
    """By user and password, in tables and as JSON; a text that is not stored is not shown."""
    write(tmp_path / "export.json", indent=2)
    assert run("load", tmp_path / "export.json")[0] == 0

    found = json.loads(run("query", "--by", "login", "--format", "json")[1])
    document = json.loads(run("explain", "a", "--format", "json")[1])

    assert found["attempts_without_credentials"] == 0
    assert {(row["user"], row["text"], row["sessions"], row["attempts"]) for row in found["rows"]} == {
        (HOSTILE, None, 1, 1),
        ("root", None, 1, 1),
    }
    attempts = {(each["username"], each["attempts"], each["successes"]) for each in document["login_attempts"]}
    assert (document["logins"], attempts) == (2, {(HOSTILE, 1, 0), ("root", 1, 1)})
    assert "root, SHA-256" in run("explain", "a")[1]
    assert "1 attempt, 1 succeeded" in run("explain", "a")[1]
    assert json.loads(run("query", "--user", "root", "--password", "other", "--format", "json")[1])["rows"]


def test_login_attempts_beyond_the_bound_are_stated_with_the_counts(run: Run, tmp_path: Path) -> None:
    """They are in no group; their session may be of this version."""
    shared = {"eventid": "cowrie.login.failed", "session": "a", "timestamp": "2026-11-02T10:00:00Z", "username": "u"}
    lines = [json.dumps({**shared, "password": str(n)}) for n in range(MOST_CREDENTIALS + 2)]
    (tmp_path / "cowrie.json").write_text("\n".join(lines) + "\n")
    assert run("load", tmp_path / "cowrie.json")[0] == 0

    _, out, err = run("query", "--by", "user", "--format", "json")

    assert json.loads(out)["attempts_without_credentials"] == 2
    assert "2 login attempts without stored credentials: of each session at most 1,000 pairs" in err
    assert "of each session at most 1,000 pairs" in " ".join(run("query", "--help")[1].split())


def test_passwords_that_were_stored_without_text_are_named_when_texts_are_wanted(run: Run, tmp_path: Path) -> None:
    """Loading the log again does not store them, because its events are known."""
    write(tmp_path / "export.json", indent=2)
    assert "--keep-passwords" not in run("load", tmp_path / "export.json", "--keep-passwords", "--db", "other.db")[2]
    run("load", tmp_path / "export.json")

    again = run("load", tmp_path / "export.json", "--keep-passwords")[2]

    assert "Of 2 passwords only the hash is stored" in again
    assert "let me in" not in run("query", "--by", "password", "--full")[1]
    assert "let me in" in run("query", "--by", "password", "--full", "--db", "other.db")[1]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs modes of files")
def test_a_page_with_the_text_of_a_rare_password_is_private(run: Run, tmp_path: Path) -> None:
    """A very common one is shown on every page."""
    write(tmp_path / "export.json", indent=2)
    for name, options in (("public", ()), ("private", ("--keep-passwords",))):
        run("load", tmp_path / "export.json", "--db", f"{name}.db", *options)
        assert run("report", "--html", tmp_path / f"{name}.html", "--db", f"{name}.db")[0] == 0

    assert (tmp_path / "public.html").stat().st_mode & 0o077
    assert not (tmp_path / "private.html").stat().st_mode & 0o077


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


def test_credentials_are_ordered_by_attempts(run: Run, tmp_path: Path) -> None:
    """One session that tries often comes before two that try once; an attempt without a password is counted apart."""
    logins = [("a1", "root", "x"), ("a2", "root", "x"), *[("a3", "admin", "y")] * 3, ("a4", "git", None)]
    lines = [
        {
            "eventid": "cowrie.login.failed",
            "session": session,
            "src_ip": "8.8.8.8",
            "timestamp": f"2026-11-24T10:00:{n:02}Z",
            "username": user,
            **({"password": password} if password is not None else {}),
        }
        for n, (session, user, password) in enumerate(logins)
    ]
    log = tmp_path / "cowrie.json"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("load", "-q", log)[0] == 0

    found = json.loads(run("query", "--by", "login", "--format", "json")[1])

    assert [(row["user"], row["attempts"], row["sessions"]) for row in found["rows"]] == [
        ("admin", 3, 1),
        ("root", 2, 2),
    ]
    assert found["attempts_without_credentials"] == 1
    err = run("query", "--by", "login")[2]
    assert "1 login attempt without stored credentials" in err
    assert "an attempt with a key has no password" in err


def test_the_page_names_the_empty_file(run: Run, tmp_path: Path) -> None:
    """Its hash is well known, and no evidence of an attack."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    stated = {"session": "a1", "src_ip": "8.8.8.8", "timestamp": "2026-11-24T10:00:00Z"}
    log = tmp_path / "cowrie.json"
    log.write_text(json.dumps({"eventid": "cowrie.session.file_upload", "shasum": empty, **stated}) + "\n")
    assert run("load", "-q", log)[0] == 0

    assert run("report", "--html", tmp_path / "x.html")[0] == 0

    assert f'<code>{empty}</code> <span class="small">(the empty file)</span>' in (tmp_path / "x.html").read_text()
    assert "0 downloads, 1 upload." in " ".join(run("report")[1].split())
