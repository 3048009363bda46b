"""The group of all commands."""

import click

from snapshots.adapters.cli.commands.backfill import backfill
from snapshots.adapters.cli.commands.cluster import fleet
from snapshots.adapters.cli.commands.correct import correct
from snapshots.adapters.cli.commands.dead_letters import dead_letters
from snapshots.adapters.cli.commands.demo import demo
from snapshots.adapters.cli.commands.inventory import inventory
from snapshots.adapters.cli.commands.load import load
from snapshots.adapters.cli.commands.prune import prune
from snapshots.adapters.cli.commands.schema import adopt, copy, indexes, migrate
from snapshots.adapters.cli.commands.undo import undo
from snapshots.adapters.cli.queries.drift import drift
from snapshots.adapters.cli.queries.events import events
from snapshots.adapters.cli.queries.explain import explain
from snapshots.adapters.cli.queries.export import export
from snapshots.adapters.cli.queries.query import query
from snapshots.adapters.cli.queries.report import report
from snapshots.adapters.cli.queries.runs import runs
from snapshots.adapters.cli.queries.sources import sources
from snapshots.adapters.cli.queries.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="snapshots")
def cli() -> None:
    """Whose network did each session of a Cowrie honeypot come from, at the time of the attack?"""


for _command in (
    load,
    report,
    verify,
    explain,
    correct,
    prune,
    demo,
    inventory,
    sources,
    drift,
    dead_letters,
    backfill,
    runs,
    undo,
    query,
    events,
    export,
    migrate,
    indexes,
    copy,
    adopt,
    fleet,
):
    cli.add_command(_command)
