"""Help: sections, and examples that the commands accept."""

import shlex
from collections.abc import Iterator

import click
import pytest

from snapshots.adapters.cli.command import Command, Group
from snapshots.adapters.cli.main import cli

HELP_NAMES = ["-h", "--help"]
"""Of the main group: click caches the help option of a command with the names of its first context."""


def all_commands(command: click.Command = cli, words: str = "snapshots") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from all_commands(inner, f"{words} {name}")


COMMANDS = dict(all_commands())
EXAMPLES = [
    example for command in COMMANDS.values() if isinstance(command, Command | Group) for example in command.examples
]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_help_ends_with_examples(words: str) -> None:
    """They show how the command is used."""
    context = click.Context(COMMANDS[words], info_name=words, help_option_names=HELP_NAMES)

    help_text = COMMANDS[words].get_help(context)

    _, _, examples = help_text.partition("Examples:\n")
    assert examples
    assert all(line.startswith("  ") for line in examples.splitlines())


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_accepted(example: str) -> None:
    """Its options exist, and its values are valid."""
    words = shlex.split(next(part for part in example.split("|") if "snapshots" in part).partition(">")[0])
    command: click.Command = cli
    arguments = words[words.index("snapshots") + 1 :]
    while isinstance(command, click.Group):
        command = command.commands[arguments.pop(0)]

    if arguments == ["--help"]:
        return

    assert command.make_context(command.name, arguments, help_option_names=HELP_NAMES).params


def test_options_are_listed_under_headings() -> None:
    """Filters are apart from what controls the output and the database."""
    help_text = cli.commands["query"].get_help(click.Context(cli.commands["query"], help_option_names=HELP_NAMES))

    headings = [line for line in help_text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Filters:", "Output:", "Database:", "Examples:"]
    filters = help_text.partition("Filters:")[2].partition("Output:")[0]
    assert "--hassh" in filters
    assert "--db" not in filters


def test_the_action_login_is_described_as_a_successful_one() -> None:
    """A failed login attempt is not among the actions."""
    help_text = cli.commands["query"].get_help(click.Context(cli.commands["query"], help_option_names=HELP_NAMES))

    assert "did one of these: login (successful), command, download" in " ".join(help_text.split())
