"""`snapshots demo`: load the bundled log and show the report."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.commands.load import load_with_bar
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    opened,
    stdout,
)
from snapshots.adapters.cli.output.text.load import show_expired, show_load
from snapshots.adapters.cli.output.text.report import show_coverage, show_report
from snapshots.adapters.cli.services import OpenApplication, ServeOptions
from snapshots.adapters.cli.serving import QUERY_SECONDS, Place, listen_option, open_option, serve_until_signal
from snapshots.app.ports.log_source import LineOptions
from snapshots.version import __version__


@command(
    short_help="Load the bundled example log, and show the results.",
    examples=["snapshots demo", "snapshots demo --serve --open", "snapshots demo --db demo.db"],
    reads_config_file=False,  # its database is not that of the user
)
@option(
    "--db",
    metavar="URL|PATH",
    section=Section.DATABASE,
    help="Store the results in this database.  [default: a temporary one]",
)
@option(
    "--serve",
    "serves",
    is_flag=True,
    section=Section.GENERAL,
    help="Load the log once, and show the sessions in a browser until Ctrl-C.",
)
@listen_option("With --serve: address of this machine and port to listen on.")
@open_option
@click.pass_obj
def demo(open_application: OpenApplication, /, db: str | None, listen: Place, *, serves: bool, opens: bool) -> None:
    """Load the bundled log of a real Cowrie, show the report, load it again, and show the coverage."""
    if serves or opens:
        _serve(open_application, db, listen, opens=opens)
        return
    console = stdout()
    with _demo_database(db) as url, opened(open_application, {"db": url}) as application:
        with _log() as path:
            for is_first in (True, False):
                title = "Load the log of a real Cowrie 3.1.4:" if is_first else "Load the same log again:"
                console.print(f"\n{title}\n", style="bold")
                report = load_with_bar(application, [str(path)], LineOptions(), quiet=False)
                show_load(console, report)
                show_expired(console, application.fact_validity.expired(report.latest_attack))
                if is_first:
                    console.print()
                    show_report(console, application.reports.report(top=8))
        coverage = application.reports.coverage()
        console.print("\nCoverage:", style="bold")
        show_coverage(console, coverage)
        if not coverage.sessions.meets(0.95):
            click.get_current_context().exit(ExitCode.CHECK_FAILED)


def _serve(open_application: OpenApplication, db: str | None, listen: Place, *, opens: bool) -> None:
    """Load the log, and serve its sessions until a signal."""
    if not listen.is_loopback:
        raise click.UsageError("demo serves only this machine: use `snapshots serve --token-file FILE` for others")
    if db == "trial":
        raise click.UsageError("--serve opens the database twice, and so cannot use a temporary server (--db trial)")
    with _demo_database(db) as url:
        with opened(open_application, {"db": url}) as application, _log() as path:
            console = stdout()
            console.print("Load the log of a real Cowrie 3.1.4:\n", style="bold")
            show_load(console, load_with_bar(application, [str(path)], LineOptions(), quiet=False))
        with opened(open_application, {"db": url, "query_seconds": QUERY_SECONDS}) as application:
            site = ServeOptions(version=__version__, host=listen.host, port=listen.port)
            serve_until_signal(application, site, opens=opens)


@contextmanager
def _log() -> Iterator[Path]:
    with resources.as_file(resources.files("snapshots.adapters.cli").joinpath("data", "cowrie.json.gz")) as path:
        yield path


@contextmanager
def _demo_database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="snapshots-demo-") as folder:
        yield f"sqlite:///{folder}/demo.db"
