"""`snapshots systemd`: print or write units for systemd."""

from pathlib import Path

import click

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.commands.deployment.unit_files import (
    CONFIG_FILE,
    EXAMPLE,
    NAMES,
    Installation,
    this_program,
    unit_files,
)
from snapshots.adapters.cli.output.atomic_output import opened_whole


@command(
    short_help="Print or write units for systemd.",
    examples=[
        "snapshots systemd --print follow",
        "snapshots systemd --write units --logs /home/cowrie/cowrie/var/log/cowrie",
        "snapshots systemd --write units --db postgresql:///cowrie --user cowrie",
    ],
    reads_config_file=False,
)
@click.argument("units", nargs=-1, type=click.Choice(NAMES), metavar="[UNIT]...")
@option("--print", "prints", is_flag=True, section=Section.GENERAL, help="Print the units; the default.")
@option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    section=Section.GENERAL,
    help="Write the units into this folder, one file each.",
)
@option("--overwrite", is_flag=True, section=Section.GENERAL, help="With --write: replace files that exist.")
@option(
    "--program",
    metavar="PATH",
    section=Section.GENERAL,
    help="The program that the units start.  [default: this one]",
)
@option(
    "--user",
    default=EXAMPLE.user,
    show_default=True,
    metavar="NAME",
    section=Section.GENERAL,
    help="The user of the services.",
)
@option(
    "--db",
    default=EXAMPLE.db,
    show_default=True,
    metavar="URL|PATH",
    section=Section.GENERAL,
    help="The database, without a password.",
)
@option(
    "--logs",
    default=EXAMPLE.logs,
    show_default=True,
    metavar="FOLDER",
    section=Section.GENERAL,
    help="The folder of Cowrie's logs.",
)
@option(
    "--backups",
    default=EXAMPLE.backups,
    show_default=True,
    metavar="FOLDER",
    section=Section.GENERAL,
    help="The folder of backups.",
)
def systemd(
    units: tuple[str, ...],
    folder: Path | None,
    program: str | None,
    *,
    prints: bool,
    overwrite: bool,
    **values: str,
) -> None:
    """
    Print services and timers for systemd, or write them into a folder: all, or those of each UNIT.

    The units are follow, serve, refresh, news, verify and backup. With all of them comes snapshots.toml, the
    configuration file that the units expect in /etc. Nothing is installed or started.
    """
    if folder is not None and prints:
        raise click.UsageError("--print cannot be combined with --write")
    if overwrite and folder is None:
        raise click.UsageError("--overwrite needs --write FOLDER")
    words = (program,) if program is not None else this_program()
    files = unit_files(Installation(program=words, **values), tuple(dict.fromkeys(units)) or NAMES)
    if folder is None:
        click.echo("\n".join(f"# {name}\n{text}" for name, text in files.items()), nl=False)
        return
    _write(folder, files, overwrites=overwrite)
    click.echo(f"Written to {folder}: {', '.join(files)}.")
    configuration = f" and {CONFIG_FILE} to /etc" if CONFIG_FILE in files else ""
    click.echo(f"Copy the units to /etc/systemd/system{configuration}, then run systemctl daemon-reload.")


def _write(folder: Path, files: dict[str, str], *, overwrites: bool) -> None:
    """Write all files, or none if one exists."""
    existing = [name for name in files if (folder / name).exists()]
    if existing and not overwrites:
        raise click.ClickException(f"{folder} has {', '.join(existing)} already; to replace them, add --overwrite")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise click.ClickException(f"the folder {folder} cannot be created: {exc.strerror}") from exc
    for name, text in files.items():
        with opened_whole(folder / name) as to:
            to.write(text.encode())
