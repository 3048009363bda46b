"""What a command imports before it works."""

import subprocess
import sys
from pathlib import Path

import pytest

from snapshots.adapters.cli.command import LazyCommands
from snapshots.adapters.cli.commands.facts import facts
from snapshots.adapters.cli.main import cli

HEAVY = {
    "urllib.request",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy",
    "pydantic",
    "alembic",
    "jinja2",
    "prometheus_client",
    "rich",
    "structlog",
    "dependency_injector",
    "pyarrow",
    "stix2",
}
"""Modules that take longer to import than help to be printed."""

UNUSED = {"urllib.request", "alembic", "jinja2", "prometheus_client", "structlog"}
"""Those that no question and no load on SQLite needs."""


def imported_by(*arguments: str) -> set[str]:
    """Run a command in a process of its own, and return which of the libraries it imported."""
    program = (
        "import sys; from snapshots.__main__ import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nothing"], ["--nothing"], []])
def test_help_and_errors_of_the_program_import_no_heavy_library(arguments: list[str]) -> None:
    """They are there at once."""
    assert imported_by(*arguments) == set()


def test_a_query_imports_neither_templates_nor_metrics_nor_migrations() -> None:
    """Only the commands that use them do."""
    assert not imported_by("query", "--db", "nothing.db") & UNUSED


def test_help_of_exports_imports_no_package_of_a_format() -> None:
    """Every format is imported to be listed, and what it needs to write is not."""
    assert not imported_by("export", "--help") & {"pyarrow", "stix2"}


@pytest.mark.parametrize("arguments", [["query"], ["explain", "s"], ["report"], ["load", "log"]])
def test_questions_and_loads_import_only_what_they_use(tmp_path: Path, arguments: list[str]) -> None:
    """On a SQLite database with tables."""
    url = f"sqlite:///{tmp_path}/test.db"
    imported_by("migrate", "--db", url)
    (tmp_path / "log").write_text(
        '{"session":"s","eventid":"cowrie.session.connect","timestamp":"2026-03-01T12:00:00Z"}'
    )
    arguments = [str(tmp_path / "log") if argument == "log" else argument for argument in arguments]

    assert imported_by(*arguments, "--db", url) & UNUSED == set()


@pytest.mark.parametrize("group", [cli, facts])
def test_the_list_of_commands_describes_each_as_its_help_does(group: object) -> None:
    """The list is written without importing the commands."""
    commands = getattr(group, "commands", None)
    assert isinstance(commands, LazyCommands)
    for name, place in commands.places.items():
        assert place.short_help == commands[name].get_short_help_str(100)
        assert commands[name].name == name


def test_a_query_imports_no_code_that_loads_or_writes(tmp_path: Path) -> None:
    """Each object is made, and its code imported, when a command first uses it."""
    db = f"{tmp_path}/test.db"
    program = (
        "import sys; from snapshots.__main__ import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    )
    imported_by("migrate", "--db", db)
    done = subprocess.run(
        [sys.executable, "-c", program, "query", "--by", "asn", "--db", db],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = {name for name in done.stderr.split() if name.startswith("snapshots.")}

    assert "snapshots.adapters.sql.queries.session_queries" in names
    unused = (
        "app.load.loader",
        "app.backfill.run",
        "app.enrich.service",
        "adapters.cowrie",
        "adapters.sql.transaction",
    )
    assert {name for name in names if name.removeprefix("snapshots.").startswith(unused)} == set()
