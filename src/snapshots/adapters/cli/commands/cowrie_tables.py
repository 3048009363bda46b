"""`snapshots cowrie-tables`: print the SELECT that turns Cowrie's own database tables into events."""

import click

from snapshots.adapters.cli.command import command
from snapshots.adapters.cli.output.cowrie_tables import DIALECTS, events_query


@command(
    short_help="Print the SELECT that turns Cowrie's own database into events.",
    examples=[
        "snapshots cowrie-tables sqlite | sqlite3 cowrie.db | snapshots load -",
        "snapshots cowrie-tables mysql | mysql -NBr cowrie | snapshots load -",
        "snapshots cowrie-tables postgresql | psql -XAtq cowrie | snapshots load -",
    ],
)
@click.argument("database", type=click.Choice(list(DIALECTS)))
def cowrie_tables(database: str) -> None:
    """
    Print a SELECT for the database that Cowrie's output plugin for DATABASE writes; its rows are events in JSON.

    Do not load the logs of the same sessions as well: an event in a log and its row in a table are not recognized as
    the same, so they would count twice.
    """
    click.echo(events_query(database), nl=False)
