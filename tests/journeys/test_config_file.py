"""Defaults of options in a file, and the completion of a shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snapshots.adapters.cli.config_file import SHARED
from snapshots.adapters.cli.main import cli
from tests.journeys.conftest import NEW, Run


@pytest.fixture
def config(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that names a database of its own; no environment variable names one."""
    assert run("--version")[0] == 0
    monkeypatch.delenv("SNAPSHOTS_DB")
    file = tmp_path / "snapshots.toml"
    file.write_text(f'db = "{tmp_path}/own.db"\n\n[load]\nkeep-passwords = true\nquiet = true\n')
    return file


def passwords(run: Run, *options: object) -> list[object]:
    """Return the stored texts of the passwords that were tried."""
    rows = json.loads(run(*options, "query", "--by", "password", "--format", "json")[1])["rows"]
    return [row["text"] for row in rows if row["text"] is not None]


def test_options_have_the_values_of_the_file(run: Run, config: Path, tmp_path: Path) -> None:
    """Of the shared ones, and of those of one command; the command line wins."""
    code, out, err = run("--config", config, "load", NEW)

    assert (code, out, err) == (0, "", "")
    assert (tmp_path / "own.db").exists()
    assert run("--config", config, "load", "--db", tmp_path / "other.db", NEW)[0] == 0
    assert (tmp_path / "other.db").exists()


def test_the_file_of_the_user_is_read(run: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the configuration folder; SNAPSHOTS_CONFIG names another one, and SNAPSHOTS_DB wins over both."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "xdg/snapshots").mkdir(parents=True)
    config.rename(tmp_path / "xdg/snapshots/snapshots.toml")
    other = tmp_path / "other.toml"
    other.write_text(f'db = "{tmp_path}/third.db"\n')

    assert run("load", NEW)[0] == 0
    assert (tmp_path / "own.db").exists()
    monkeypatch.setenv("SNAPSHOTS_CONFIG", str(other))
    assert run("load", "-q", NEW)[0] == 0
    assert (tmp_path / "third.db").exists()
    monkeypatch.setenv("SNAPSHOTS_DB", f"sqlite:///{tmp_path}/fourth.db")
    assert run("load", "-q", NEW)[0] == 0
    assert (tmp_path / "fourth.db").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("db = ", "is not valid TOML"),
        ('data = "x"', "'data' cannot be set for all commands (use db, "),
        ("[loud]\nquiet = true", "there is no command 'loud'"),
        ("[load]\nloud = true", "`load` has no option --loud"),
        ("[load]\nquiet = 1", "quiet must be true or false"),
        ("[load]\nmetrics-file = true", "metrics-file must be a text, in quotes"),
        ("db = 5", "db must be a text, in quotes"),
        ("db = {a = 1}", "db must be a text, in quotes"),
        ("lock-timeout = true", "lock-timeout must be a number"),
        ("[load.foo]\nquiet = true", "`load` has no command 'foo'"),
        ("[facts.refersh]\nlimit = 1", "`facts` has no command 'refersh'"),
        (f"x = {'[' * 20_000}", "is not valid TOML"),
        ("#" * 2**20 + "#", "has more than 1,048,576 bytes"),
        ('[load]\nmetrics-file = ["a", "b"]', "metrics-file can have only one value"),
        ("[load]\nmetrics-file = 2026-01-01", "metrics-file must be a text, in quotes"),
        ("lock-timeout = -1", "Invalid value for '--lock-timeout'"),
        ("[facts]\nfresh = true", "`facts` has no option --fresh"),
    ],
)
def test_wrong_files_are_usage_errors(run: Run, config: Path, content: str, message: str) -> None:
    """Each with the file and what is wrong."""
    config.write_text(content)

    arguments = ("facts", "status") if content.startswith("[facts") else ("load", NEW)
    code, _, err = run("--config", config, *arguments)

    assert (code, message in " ".join(err.split())) == (2, True), err


def test_a_file_that_is_named_must_exist(run: Run, tmp_path: Path) -> None:
    """Otherwise the defaults would be used unnoticed."""
    code, _, err = run("--config", tmp_path / "none.toml", "report")

    assert (code, "none.toml cannot be read: No such file or directory" in err) == (2, True)


def test_commands_in_groups_have_tables_of_their_own(run: Run, config: Path, tmp_path: Path) -> None:
    """A list is the value of an option that may be repeated; a single value is enough, too."""
    assert run("--config", config, "load", NEW)[0] == 0
    config.write_text(f'db = "{tmp_path}/own.db"\n[facts.refresh]\nfrom = "{tmp_path}/no-table"\n')

    code, _, err = run("--config", config, "facts", "refresh")

    assert (code, "no-table" in err) == (1, True), err


def test_the_demonstration_ignores_the_file(run: Run, config: Path, tmp_path: Path) -> None:
    """Its log does not belong into the database of the user; a broken file does not stop it either."""
    assert run("--config", config, "demo")[0] == 0

    assert not (tmp_path / "own.db").exists()
    config.write_text("db =")
    for command in (
        ("completion", "bash"),
        ("cowrie-tables", "sqlite"),
        ("query", "--help"),
        ("facts", "status", "-h"),
    ):
        assert run("--config", config, *command)[0] == 0


def test_a_file_of_the_user_that_cannot_be_read_is_no_default(
    run: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a link that leads nowhere: the user would believe that it is used."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "xdg/snapshots").mkdir(parents=True)
    (tmp_path / "xdg/snapshots/snapshots.toml").symlink_to(config.with_name("none.toml"))

    assert "cannot be read" in run("report")[2]


def test_a_shared_option_means_the_same_everywhere() -> None:
    """In every command that has it and reads the file, its help is the same."""
    helps: dict[str, set[str | None]] = {}
    for command in cli.commands.values():
        for parameter in command.params if getattr(command, "reads_config_file", True) else ():
            for option in SHARED & {each.removeprefix("--") for each in parameter.opts}:
                helps.setdefault(option, set()).add(getattr(parameter, "help", None))
    assert helps.keys() == SHARED
    assert {option for option, texts in helps.items() if len(texts) > 1} == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Run, shell: str) -> None:
    """Which calls the program for each completion."""
    code, out, _ = run("completion", shell)

    assert (code, "_SNAPSHOTS_COMPLETE" in out) == (0, True)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("snapshots que", ["query"]),
        ("snapshots query --ha", ["--hassh"]),
        ("snapshots query --did ", ["login", "upload"]),
    ],
)
def test_the_shell_gets_commands_options_and_values(typed: str, found: list[str], tmp_path: Path) -> None:
    """As bash asks for them, without importing the libraries of commands."""
    words = typed.split(" ")
    asked = {"_SNAPSHOTS_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-X", "importtime", "-m", "snapshots"]
    done = subprocess.run(
        command, env={**os.environ, **asked}, capture_output=True, text=True, check=True, cwd=tmp_path
    )

    values = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert [value for value in values if value in found] == found
    assert "sqlalchemy" not in done.stderr
