"""What a command imports before it works."""

import subprocess
import sys

import pytest

from snapshots.adapters.cli.command import LazyCommands
from snapshots.adapters.cli.commands.facts import facts
from snapshots.adapters.cli.main import cli

HEAVY = {"sqlalchemy", "pydantic", "alembic", "jinja2", "prometheus_client", "rich", "structlog", "dependency_injector"}
"""Libraries that take longer to import than help to be printed."""


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
    assert not imported_by("query", "--db", "nothing.db") & {"jinja2", "prometheus_client", "alembic"}


@pytest.mark.parametrize("group", [cli, facts])
def test_the_list_of_commands_describes_each_as_its_help_does(group: object) -> None:
    """The list is written without importing the commands."""
    commands = getattr(group, "commands", None)
    assert isinstance(commands, LazyCommands)
    for name, place in commands.places.items():
        assert place.short_help == commands[name].get_short_help_str(100)
        assert commands[name].name == name
