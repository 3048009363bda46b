"""The group of all commands."""

import click

from snapshots.adapters.cli.command import group
from snapshots.adapters.cli.commands.backfill import backfill
from snapshots.adapters.cli.commands.cluster import fleet
from snapshots.adapters.cli.commands.correct import correct
from snapshots.adapters.cli.commands.dead_letters import dead_letters
from snapshots.adapters.cli.commands.demo import demo
from snapshots.adapters.cli.commands.facts import facts
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

for each in (drift, sources):
    facts.add_command(each)


@group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    commands=[
        adopt,
        backfill,
        copy,
        correct,
        dead_letters,
        demo,
        drift,
        events,
        explain,
        export,
        facts,
        fleet,
        indexes,
        inventory,
        load,
        migrate,
        prune,
        query,
        report,
        runs,
        sources,
        undo,
        verify,
    ],
    examples=[
        "snapshots demo",
        "snapshots load /home/cowrie/var/log/cowrie",
        "snapshots report",
        "snapshots query --by asn --since 7d",
    ],
)
@click.version_option(package_name="snapshots")
def cli() -> None:
    """Store the network, country and IP type of each Cowrie session, from the data nearest to the attack."""
