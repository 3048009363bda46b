"""The group of all commands."""

from pathlib import Path

import click

from snapshots.adapters.cli.command import CommandPlace, LazyCommands, Section, group, option
from snapshots.adapters.cli.config_file import META_KEY, ConfigFile, default_file
from snapshots.version import __version__

COMMANDS = {
    "abuse-report": CommandPlace(
        "snapshots.adapters.cli.queries.abuse_report", "abuse_report", "Report attacks to the holder of a network."
    ),
    "adopt": CommandPlace(
        "snapshots.adapters.cli.commands.schema", "adopt", "Add snapshots to a cowrieprocessor database."
    ),
    "backfill": CommandPlace(
        "snapshots.adapters.cli.commands.backfill", "backfill", "Compute snapshots for stored sessions."
    ),
    "backup": CommandPlace(
        "snapshots.adapters.cli.commands.deployment.backup", "backup", "Copy the database into a file, and check it."
    ),
    "completion": CommandPlace(
        "snapshots.adapters.cli.commands.completion", "completion", "Print a script that completes commands in a shell."
    ),
    "copy": CommandPlace("snapshots.adapters.cli.commands.schema", "copy", "Copy everything to another database."),
    "correct": CommandPlace(
        "snapshots.adapters.cli.commands.correct", "correct", "Correct a sealed session, with an audit row."
    ),
    "cowrie-tables": CommandPlace(
        "snapshots.adapters.cli.commands.cowrie_tables",
        "cowrie_tables",
        "Print the SELECT that turns Cowrie's own database into events.",
    ),
    "dead-letters": CommandPlace(
        "snapshots.adapters.cli.commands.dead_letters",
        "dead_letters",
        "List, show and replay lines that could not be loaded.",
    ),
    "demo": CommandPlace(
        "snapshots.adapters.cli.commands.demo", "demo", "Load the bundled example log, and show the results."
    ),
    "drift": CommandPlace("snapshots.adapters.cli.queries.drift", "drift", "Compare snapshots with the newest tables."),
    "events": CommandPlace(
        "snapshots.adapters.cli.queries.events", "events", "Show stored events (load --store-events)."
    ),
    "explain": CommandPlace(
        "snapshots.adapters.cli.queries.explain", "explain", "Show one session and where its facts come from."
    ),
    "export": CommandPlace("snapshots.adapters.cli.queries.export", "export", "Write sessions for other programs."),
    "facts": CommandPlace(
        "snapshots.adapters.cli.commands.facts", "facts", "Import, renew, retract and show facts about addresses."
    ),
    "fleet": CommandPlace(
        "snapshots.adapters.cli.commands.cluster",
        "fleet",
        "Load, backfill and import folders of Parquet files (Apache Spark).",
    ),
    "indexes": CommandPlace(
        "snapshots.adapters.cli.commands.schema", "indexes", "Build or drop the indexes of queries."
    ),
    "inventory": CommandPlace(
        "snapshots.adapters.cli.commands.inventory",
        "inventory",
        "Import, refresh, retract and show facts about addresses.",
    ),
    "load": CommandPlace("snapshots.adapters.cli.commands.load", "load", "Load Cowrie logs."),
    "migrate": CommandPlace("snapshots.adapters.cli.commands.schema", "migrate", "Create or upgrade the tables."),
    "news": CommandPlace(
        "snapshots.adapters.cli.queries.news", "news", "Show what is new since a time or the last call."
    ),
    "prune": CommandPlace("snapshots.adapters.cli.commands.prune", "prune", "Delete old sessions, with an audit row."),
    "query": CommandPlace("snapshots.adapters.cli.queries.query", "query", "Count or list sessions."),
    "report": CommandPlace("snapshots.adapters.cli.queries.report", "report", "Show where the attacks came from."),
    "runs": CommandPlace("snapshots.adapters.cli.queries.runs", "runs", "List runs with state and counts."),
    "serve": CommandPlace("snapshots.adapters.cli.queries.serve", "serve", "Show the sessions live, in a browser."),
    "sources": CommandPlace(
        "snapshots.adapters.cli.queries.sources", "sources", "List the registered builds of all sources."
    ),
    "systemd": CommandPlace(
        "snapshots.adapters.cli.commands.deployment.systemd", "systemd", "Print or write units for systemd."
    ),
    "undo": CommandPlace("snapshots.adapters.cli.commands.undo", "undo", "Undo one run."),
    "verify": CommandPlace("snapshots.adapters.cli.queries.verify", "verify", "Check coverage and integrity."),
}


@group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    commands=LazyCommands(COMMANDS),
    examples=[
        "snapshots demo",
        "snapshots load /home/cowrie/var/log/cowrie",
        "snapshots report",
        "snapshots query --by asn --since 7d",
    ],
)
@option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    envvar="SNAPSHOTS_CONFIG",
    metavar="FILE",
    section=Section.GENERAL,
    help="Read defaults of options from this file.  [env var: SNAPSHOTS_CONFIG; default: snapshots.toml in the"
    " configuration folder of the user, if it exists]",
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context, config_file: Path | None) -> None:
    """Store the network, country and IP type of each Cowrie session, from the data nearest to the attack."""
    file = config_file if config_file is not None else default_file()
    if file is not None:
        context.meta[META_KEY] = ConfigFile(file, COMMANDS)
