"""Where the live page listens, and how it is served until a signal: for all commands that serve it."""

import os
import threading
import webbrowser
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from signal import SIGTERM
from typing import Any, NamedTuple

import click

from snapshots.adapters.cli.command import Decorated, Section, option
from snapshots.adapters.cli.services import Application, ServeOptions
from snapshots.adapters.cli.stop_signals import stopping
from snapshots.app.errors import SourceUnreadable

PORT = 8417
SHORTEST_TOKEN = 16
QUERY_SECONDS = 60.0
"""Default time after which a query of the page is ended."""


class Place(NamedTuple):
    """An address and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as PlaceText reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

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


def listen_option(help_text: str, default: str | None = f"127.0.0.1:{PORT}") -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds --listen."""
    return option(
        "--listen",
        type=PlaceText(),
        default=default,
        show_default=True,
        metavar="ADDRESS:PORT",
        section=Section.GENERAL,
        help=help_text,
    )


def token_option(help_text: str) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds --token-file."""
    return option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        section=Section.GENERAL,
        help=help_text,
    )


open_option = option("--open", "opens", is_flag=True, section=Section.GENERAL, help="Open the page in a browser.")


def serve_until_signal(
    application: Application, options: ServeOptions, *, opens: bool = False, has_parent: bool = False
) -> None:
    """
    Serve the live page until Ctrl-C or SIGTERM, and exit with the code of the signal.

    Args:
        application: Answers the queries.
        options: How the page is served.
        opens: Whether to open it in a browser.
        has_parent: Whether another process started this one: it reads the URL from standard output, and the page is
            served until standard input ends, as it does when that process ends.

    Raises:
        SettingRefused: It cannot listen on the address.
        PackageMissing: The extra `serve` is not installed.
    """

    def announce(url: str) -> None:
        if has_parent:
            click.echo(url)
        click.echo(f"Serving {application.shown_database} at {url} until Ctrl-C.", err=True)
        if has_parent:
            threading.Thread(target=_end_with_parent, daemon=True).start()
        if opens:
            webbrowser.open(url)

    with stopping() as stopped:
        application.serve(options, announce, stopped)
    click.get_current_context().exit(stopped.exit_code)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), SIGTERM)


def token_in(path: Path) -> str:
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
