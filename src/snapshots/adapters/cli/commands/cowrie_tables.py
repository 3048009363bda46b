"""`snapshots cowrie-tables`: print the SELECT that turns Cowrie's own database tables into events."""

import click

from snapshots.adapters.cli.command import command
from snapshots.adapters.cli.output.cowrie_tables import DIALECTS, events_query


@command(
    short_help="Print the SELECT that turns Cowrie's own database into events.",
    examples=[
        "snapshots cowrie-tables sqlite | sqlite3 -readonly -init /dev/null copy.db | snapshots load -",
        "snapshots cowrie-tables mysql | mysql -NBr --default-character-set=utf8mb4 cowrie | snapshots load -",
        "snapshots cowrie-tables postgresql | psql -XAtq cowrie | snapshots load -",
    ],
    reads_config_file=False,
)
@click.argument("database", type=click.Choice(list(DIALECTS)))
def cowrie_tables(database: str) -> None:
    """
    Print a SELECT for the tables of Cowrie's [output_sqlite], [output_mysql] or [output_postgresql].

    Its rows are events in JSON, one per line. Read a copy of a SQLite file that a running Cowrie writes: the pipe holds
    a lock, and Cowrie would lose events. Do not load the logs of the same sessions as well: an event in a log and its
    row in a table are not recognized as the same, so they would count twice.
    """
    click.echo(events_query(database), nl=False)
