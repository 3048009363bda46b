"""`snapshots serve`: the sessions in a browser, live."""

from pathlib import Path
from typing import Any

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import database_option, opened
from snapshots.adapters.cli.services import OpenApplication, ServeOptions
from snapshots.adapters.cli.serving import (
    QUERY_SECONDS,
    SHORTEST_TOKEN,
    Place,
    listen_option,
    open_option,
    serve_until_signal,
    token_in,
    token_option,
)
from snapshots.version import __version__


@command(
    short_help="Show the sessions live, in a browser.",
    examples=[
        "snapshots serve --open",
        "snapshots serve --listen 0.0.0.0:8417 --token-file token.txt",
        "snapshots serve --behind-proxy --host-name honeypot.example.net",
    ],
)
@listen_option("Address and port to listen on. Other machines can connect only with --token-file or --behind-proxy.")
@token_option(
    f"Answer only with the token in this file, at least {SHORTEST_TOKEN} characters: open /?token=TOKEN once."
)
@option(
    "--behind-proxy",
    is_flag=True,
    section=Section.GENERAL,
    help="A proxy forwards the requests, and decides who may send them.",
)
@option(
    "--host-name",
    "host_names",
    multiple=True,
    metavar="NAME",
    section=Section.GENERAL,
    help="A name by which browsers reach the page; requests for other names are refused.",
)
@option(
    "--show-passwords",
    is_flag=True,
    section=Section.OUTPUT,
    help="Show texts of passwords that load --keep-passwords stored, and not only very common ones.",
)
@option(
    "--tty",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    section=Section.GENERAL,
    help="Cowrie's folder of recordings, var/lib/cowrie/tty: pages of sessions replay them.",
)
@open_option
@option("--has-parent", is_flag=True, hidden=True, section=Section.GENERAL, help="Serve until standard input ends.")
@option(
    "--query-seconds",
    type=click.FloatRange(0.1, 86_400),
    default=QUERY_SECONDS,
    show_default=True,
    metavar="SECONDS",
    section=Section.DATABASE,
    help="End a query that takes longer.",
)
@database_option
@click.pass_obj
def serve(
    open_application: OpenApplication,
    /,
    listen: Place,
    token_file: Path | None,
    host_names: tuple[str, ...],
    tty: Path | None,
    *,
    behind_proxy: bool,
    show_passwords: bool,
    opens: bool,
    has_parent: bool,
    **options: Any,
) -> None:
    """
    Serve pages, an API and feeds about the stored sessions until Ctrl-C, while other commands load.

    The database is only read. The page shows whose network each address was at the attack, and now.
    """
    if not listen.is_loopback and token_file is None and not behind_proxy:
        raise click.UsageError(
            f"other machines can connect to {listen.host}: give --token-file FILE, or --behind-proxy if a proxy"
            " decides who may connect"
        )
    site = ServeOptions(
        version=__version__,
        host=listen.host,
        port=listen.port,
        token=token_in(token_file) if token_file is not None else None,
        host_names=host_names,
        is_behind_proxy=behind_proxy,
        shows_passwords=show_passwords,
        tty=tty,
    )
    with opened(open_application, options) as application:
        application.session_queries.session_ids("", limit=1)  # a missing database is an error now, and not in a page
        serve_until_signal(application, site, opens=opens, has_parent=has_parent)
