"""`snapshots completion`: print a script that completes commands and options in a shell."""

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from snapshots.adapters.cli.command import command

COMPLETE_VARIABLE = "_SNAPSHOTS_COMPLETE"
SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@command(
    short_help="Print a script that completes commands in a shell.",
    examples=[
        "snapshots completion bash > ~/.local/share/bash-completion/completions/snapshots",
        "snapshots completion fish > ~/.config/fish/completions/snapshots.fish",
    ],
    reads_config_file=False,
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands, options and their values in SHELL: bash (4.4 or newer), zsh or fish."""
    click.echo(SHELLS[shell](context.find_root().command, {}, "snapshots", COMPLETE_VARIABLE).source())
