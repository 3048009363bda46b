"""`snapshots demo`: load the bundled log and show the report."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import click

from snapshots.adapters.cli.commands.load import load_with_bar
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    opened,
    stdout,
)
from snapshots.adapters.cli.output.text.load import show_load, show_stale_types
from snapshots.adapters.cli.output.text.report import show_coverage, show_report
from snapshots.adapters.cli.services import OpenApplication
from snapshots.app.ports.log_source import LineOptions


@click.command(short_help="Load a bundled real log, and show everything.")
@click.option("--db", metavar="URL", help="Keep the demonstration in this database; else it is thrown away.")
@click.pass_obj
def demo(open_application: OpenApplication, /, db: str | None) -> None:
    """Load a real log that comes with this program, show the report, load it again, and verify."""
    console = stdout()
    with _demo_database(db) as url, opened(open_application, {"db": url}) as application:
        log = resources.files("snapshots.adapters.cli").joinpath("data", "cowrie.json.gz")
        with resources.as_file(log) as path:
            steps = (
                ("A log of a real Cowrie 3.1.4, attacked for this demonstration:", "load"),
                ("The same log once more:", "load"),
            )
            for title, _ in steps:
                console.print(f"\n{title}\n", style="bold")
                report = load_with_bar(application, [str(path)], LineOptions(), quiet=False)
                show_load(console, report)
                show_stale_types(console, report, *application.bundled_types())
                if title == steps[0][0]:
                    console.print()
                    show_report(console, application.reports.report(top=8))
        coverage = application.reports.coverage()
        console.print("\nEvery session that can be covered is:", style="bold")
        show_coverage(console, coverage)
        if not coverage.sessions.meets(0.95):
            click.get_current_context().exit(ExitCode.CHECK_FAILED)


@contextmanager
def _demo_database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="snapshots-demo-") as folder:
        yield f"sqlite:///{folder}/demo.db"
