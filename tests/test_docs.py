"""What the documents promise."""

import re
import sqlite3
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

import snapshots
from snapshots.adapters.cli.main import cli
from snapshots.domain.snapshot.gap import Gap

README = Path("README.md").read_text()
LANGUAGE = Path("docs/language.md").read_text()
SOURCE = "\n".join(path.read_text() for path in Path("src").rglob("*.py"))


def test_the_readmes_program_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody will copy it."""
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)

    exec(compile(program, "README.md", "exec"), {})

    assert "0a1b2c3d4e5f IpSnapshot(asn=15169, country='US'" in capsys.readouterr().out


def test_the_worked_example_for_other_loaders_runs_and_keeps_what_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, and what the first time wrote is still there after the second."""
    (program,) = re.findall(r"```python\n(.*?)```", Path("docs/other-loaders.md").read_text(), re.DOTALL)
    later = program.replace('"8.8.8.8"', '"1.1.1.1"')
    monkeypatch.chdir(tmp_path)

    for text in (program, later):
        names: dict[str, object] = {}
        exec(compile(text, "other-loaders.md", "exec"), names)
        names["engine"].dispose()  # type: ignore[attr-defined]  # a SQLAlchemy engine

    with sqlite3.connect(tmp_path / "sessions.db") as connection:
        rows = connection.execute("SELECT id, ip, asn, country, gap FROM my_sessions ORDER BY id").fetchall()
    connection.close()
    assert rows == [("0a1b2c3d4e5f", "8.8.8.8", 15169, "US", None), ("1b2c3d4e5f60", None, None, None, "no_source_ip")]


def test_the_readme_names_every_command_option_gap_and_exit_code() -> None:
    """And so does nothing else keep it true."""
    for name, command in cli.commands.items():
        assert f"`{name}`" in README
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(f"`{option}" in README for option in parameter.opts), (name, parameter.opts)
    for gap in Gap:
        assert f"`{gap.value}`" in README
    for code in (0, 1, 2, 3, 130):
        assert f"| {code} |" in README


def test_the_first_screen_says_problem_picture_and_use() -> None:
    """Thirty-odd lines."""
    screen = "\n".join(README.splitlines()[:34])

    assert "at the time of the" in screen
    assert "──load──▶" in screen
    assert "sh run demo" in screen
    assert "sh run test" in screen


def test_every_word_of_the_language_is_in_the_code() -> None:
    """A glossary that a test keeps true."""
    names = {
        name
        for cell in re.findall(r"\| ([^|]*) \|$", LANGUAGE, re.MULTILINE)
        for name in re.findall(r"`([\w.]+)`", cell)
    }

    assert names
    missing = {name for name in names if not re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", SOURCE)}
    assert missing == set()


def test_every_public_name_is_in_the_language() -> None:
    """Or is an error, or a plain word."""
    plain = {"open_service", "SnapshotService"}
    errors = {
        name
        for name in snapshots.__all__
        if isinstance(getattr(snapshots, name), type) and issubclass(getattr(snapshots, name), Exception)
    }

    assert {name for name in snapshots.__all__ if f"`{name}" not in LANGUAGE} <= plain | errors


def test_every_link_leads_to_a_file() -> None:
    """In all documents."""
    for document in [Path("README.md"), Path("CONTRIBUTING.md"), *Path("docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), (document, target)


def test_the_attributions_stand_where_they_must() -> None:
    """In the README, in the NOTICE, and in the tables."""
    notice = Path("NOTICE").read_text()
    for words in ("IP Geolocation by DB-IP", "https://db-ip.com"):
        assert words in README
        assert words in notice
        assert words in SOURCE


def test_every_pin_is_a_version_and_no_address() -> None:
    """constraints.txt holds names and numbers only, for everything that is asked for."""
    lines = Path("constraints.txt").read_text().split()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]

    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", line) for line in lines)
    assert {re.split(r"[>=<\[]", name)[0] for name in project["dependencies"] + extras} <= pinned


def test_the_script_that_sets_up_is_plain_sh() -> None:
    """On any POSIX shell, and with a sentence for a wrong word."""
    assert subprocess.run(["sh", "-n", "run"], check=False).returncode == 0
    done = subprocess.run(["sh", "run", "nonsense"], check=False, capture_output=True)
    assert (done.returncode, b"usage: sh run demo" in done.stderr) == (2, True)


def test_every_test_that_the_code_names_is_there() -> None:
    """A port says which suite its implementations pass."""
    named = {name for file in Path("src").rglob("*.py") for name in re.findall(r"tests/[\w/]+\.py", file.read_text())}

    assert named
    assert [name for name in sorted(named) if not Path(name).exists()] == []
