"""`snapshots serve`: the sessions in a browser, live."""

import webbrowser
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.options import database_option, opened
from snapshots.adapters.cli.services import OpenApplication, ServeOptions
from snapshots.adapters.cli.stop_signals import stopping
from snapshots.app.errors import SourceUnreadable

PORT = 8417
SHORTEST_TOKEN = 16
QUERY_SECONDS = 60.0


class Place(NamedTuple):
    """An address and a port to listen on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class PlaceText(click.ParamType[Place]):
    """ADDRESS:PORT, [ADDRESS]:PORT, ADDRESS, or :PORT."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Return the address and the port."""
        if isinstance(value, Place):
            return value
        text = str(value)
        if text.startswith("["):
            host, closed, port = text[1:].partition("]")
            is_valid = bool(closed) and (not port or port.startswith(":"))
            port = port.removeprefix(":")
        else:
            host, _, port = text.partition(":") if text.count(":") < 2 else (text, "", "")
            is_valid = True
        if not is_valid or (port and not (port.isascii() and port.isdigit() and int(port) < 65_536)):
            self.fail(f"{text[:60]!r} is not an address with a port, such as 127.0.0.1:8417 or [::1]:8417", param, ctx)
        return Place(host or "127.0.0.1", int(port) if port else PORT)


@command(
    short_help="Show the sessions live, in a browser.",
    examples=[
        "snapshots serve --open",
        "snapshots serve --listen 0.0.0.0:8417 --token-file token.txt",
        "snapshots serve --behind-proxy --host-name honeypot.example.net",
    ],
)
@option(
    "--listen",
    type=PlaceText(),
    default=f"127.0.0.1:{PORT}",
    show_default=True,
    metavar="ADDRESS:PORT",
    section=Section.GENERAL,
    help="Address and port to listen on. Other machines can connect only with --token-file or --behind-proxy.",
)
@option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    section=Section.GENERAL,
    help=f"Answer only with the token in this file, at least {SHORTEST_TOKEN} characters: open /?token=TOKEN once.",
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
@option("--open", "opens", is_flag=True, section=Section.GENERAL, help="Open the page in a browser.")
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
    *,
    behind_proxy: bool,
    show_passwords: bool,
    opens: bool,
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
        version=version("snapshots"),
        host=listen.host,
        port=listen.port,
        token=_token(token_file) if token_file is not None else None,
        host_names=host_names,
        is_behind_proxy=behind_proxy,
        shows_passwords=show_passwords,
    )
    with opened(open_application, options) as application, stopping() as stopped:
        application.session_queries.session_ids("", limit=1)  # a missing database is an error now, and not in a page

        def announce(url: str) -> None:
            click.echo(f"Serving {application.shown_database} at {url} until Ctrl-C.", err=True)
            if opens:
                webbrowser.open(url)

        application.serve(site, announce, stopped)
    click.get_current_context().exit(stopped.exit_code)


def _token(path: Path) -> str:
    """
    Return the token in a file.

    Raises:
        SourceUnreadable: The file cannot be read.
        click.UsageError: The token is too short.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not ASCII text"
        raise SourceUnreadable(f"{path} cannot be read: {reason}") from exc
    if len(text) < SHORTEST_TOKEN or any(char.isspace() for char in text):
        raise click.UsageError(
            f"{path} must hold one token of at least {SHORTEST_TOKEN} characters, such as that of: openssl rand -hex 16"
        )
    return text
