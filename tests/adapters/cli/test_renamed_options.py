"""Former names of options."""

from typing import Any

import click
import pytest

from snapshots.adapters.cli.main import cli

HELP_NAMES = ["-h", "--help"]
"""Of the main group: click caches the help option of a command with the names of its first context."""


@pytest.mark.parametrize(
    ("command", "old", "parameter", "value", "new"),
    [
        ("query", ["--as", "now"], "network_at", "today", "--network-at today"),
        ("query", ["--as=then"], "network_at", "attack", "--network-at attack"),
        ("load", ["--every", "2.5", "x"], "poll_interval", 2.5, "--poll-interval"),
        ("backfill", ["--again"], "rejudge_all", True, "--rejudge-all"),
        ("sources", ["--fresh", "3"], "fresh_days", 3.0, "--max-fresh-age"),
        ("sources", ["--fresh-fast", "2"], "fresh_days_fast", 2.0, "--max-fresh-age-volatile"),
    ],
)
def test_a_former_name_works_and_names_the_new_one(
    *, capsys: pytest.CaptureFixture[str], command: str, old: list[str], parameter: str, value: Any, new: str
) -> None:
    """Scripts continue to work, with one line on stderr."""
    context = cli.commands[command].make_context(command, list(old), help_option_names=HELP_NAMES)

    assert context.params[parameter] == value
    assert capsys.readouterr().err.splitlines() == [
        f"Warning: {old[0].partition('=')[0]} is now called {new}; the old name will be removed"
    ]


def test_the_current_name_of_an_option_takes_precedence_over_the_former(capsys: pytest.CaptureFixture[str]) -> None:
    """In any order of the options."""
    context = cli.commands["load"].make_context(
        "load", ["--poll-interval", "3", "--every", "4", "x"], help_option_names=HELP_NAMES
    )

    assert context.params["poll_interval"] == 3
    assert "--poll-interval" in capsys.readouterr().err


def test_a_former_option_name_is_hidden_and_validated(capsys: pytest.CaptureFixture[str]) -> None:
    """Help does not list it, wrong values are refused, and without it nothing is printed."""
    help_text = cli.commands["query"].get_help(click.Context(cli.commands["query"], help_option_names=HELP_NAMES))
    assert "--as " not in help_text
    with pytest.raises(click.UsageError, match="later"):
        cli.commands["query"].make_context("query", ["--as", "later"], help_option_names=HELP_NAMES)

    assert (
        cli.commands["query"].make_context("query", [], help_option_names=HELP_NAMES).params["network_at"] == "attack"
    )
    assert capsys.readouterr().err == ""


def test_an_option_that_was_removed_names_what_to_use_instead() -> None:
    """Scripts that pass it fail, and say why."""
    fleet = cli.commands["fleet"]
    assert isinstance(fleet, click.Group)
    given = ["logs", "--to", "folder", "--master", "local", "--store-events"]

    with pytest.raises(click.UsageError, match="use `snapshots load --store-events`"):
        fleet.commands["load"].make_context("load", list(given), help_option_names=HELP_NAMES)

    assert fleet.commands["load"].make_context("load", given[:-1], help_option_names=HELP_NAMES).params
