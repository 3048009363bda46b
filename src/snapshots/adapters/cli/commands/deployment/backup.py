"""`snapshots backup`: copy the database into a file, and check the copy."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from snapshots.adapters.cli.command import Section, command, option
from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.options import (
    database_option,
    format_option,
    lock_option,
    network_types_option,
    opened,
)
from snapshots.adapters.cli.output.atomic_output import remove_stale_parts, written_whole
from snapshots.adapters.cli.output.console import SafeConsole
from snapshots.adapters.cli.output.progress import CountBar
from snapshots.adapters.cli.services import Application, OpenApplication
from snapshots.adapters.feeds.json_text import to_json
from snapshots.app.admin.backup import BackUpDatabase, CheckedCopy
from snapshots.app.safe_text import one_line
from snapshots.app.wording import count_of


@command(
    short_help="Copy the database into a file, and check it.",
    examples=[
        "snapshots backup snapshots-before-upgrade.db",
        "snapshots backup --keep 7 /var/lib/snapshots/backups/",
        "snapshots backup --full --db postgresql://localhost/cowrie cowrie.dump",
    ],
)
@click.argument("target", metavar="FILE|FOLDER/", type=click.Path())
@option("--overwrite", is_flag=True, section=Section.GENERAL, help="Replace FILE if it exists.")
@option(
    "--keep",
    type=click.IntRange(1, 100_000),
    metavar="N",
    section=Section.GENERAL,
    help="With a folder: afterwards delete all backups of this database in it except the N newest.",
)
@option(
    "--full",
    is_flag=True,
    section=Section.GENERAL,
    help="Check a SQLite copy completely: also that its indexes match its tables, and all seals, not a sample.",
)
@network_types_option
@format_option
@database_option
@lock_option
@click.pass_obj
def backup(
    open_application: OpenApplication,
    /,
    target: str,
    output: str,
    *,
    overwrite: bool,
    keep: int | None,
    full: bool,
    **options: Any,
) -> None:
    """
    Copy the database as of one moment into FILE, next to commands that write, and check the copy.

    The copy of a SQLite database is a SQLite file. The copy of a PostgreSQL database is an archive of pg_dump, for
    pg_restore; it needs these programs, in the version of the server or a newer one. FILE appears when the copy was
    read back and has the same number of rows in each table; the output names what else was checked, and what was not.
    FILE is readable by its owner only.

    In a FOLDER, which is created if its name ends with a slash, the name of the file has the database and the time.

    If sealed sessions of the copy violate their seals, it is written all the same, but replaces no other file and
    deletes none, and the exit code is 3.
    """
    if target == "-":
        raise click.UsageError("a backup is read back, so it needs a FILE or a FOLDER/, not standard output")
    if not target:  # it would be the current folder: a variable of a script may be empty
        raise click.UsageError("name a FILE or a FOLDER/")
    is_folder = target.endswith("/") or Path(target).is_dir()
    if keep is not None and not is_folder:
        if click.get_current_context().get_parameter_source("keep") is not ParameterSource.DEFAULT_MAP:
            raise click.UsageError(f"--keep needs a folder: write {target}/")
        keep = None  # a settings file states it for folders
    with opened(open_application, options) as application, CountBar(SafeConsole(stderr=True), "Bytes copied") as bar:
        work = application.backup
        file = _in_folder(Path(target), work, application.now()) if is_folder else Path(target)
        work.refuse(file)
        with written_whole(file, overwrites=overwrite) as part:
            copy = work.back_up(part, bar, full=full)
            size_bytes = part.stat().st_size
            is_suspect = copy.seals is not None and copy.seals.violations > 0
            if is_suspect and file.exists():
                raise _Suspect(f"{_violations(copy)}, so {file} was not replaced: see `snapshots verify --full`")
        deleted = _delete_expired(work, file, keep) if keep is not None and not is_suspect else []
        _show(application, file, copy, deleted, size_bytes=size_bytes, output=output)
    if is_suspect:
        raise _Suspect(f"{_violations(copy)}: see `snapshots verify --full`")


class _Suspect(click.ClickException):
    """Sealed sessions of the copy violate their seals."""

    exit_code = ExitCode.CHECK_FAILED


def _violations(copy: CheckedCopy) -> str:
    return f"{count_of(copy.seals.violations if copy.seals else 0, 'violation')} in the copy, and so in the database"


def _in_folder(folder: Path, work: BackUpDatabase, at: datetime) -> Path:
    """Return the file of a backup in a folder, which is created; what killed backups left there is removed."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        remove_stale_parts(folder, work.prefix)
    except OSError as exc:
        raise click.ClickException(f"the folder {folder} cannot be used: {exc.strerror}") from exc
    return folder / work.file_name(at)


def _delete_expired(work: BackUpDatabase, newest: Path, keep: int) -> Sequence[Path]:
    """Delete old backups in the folder of a new one, and return them."""
    names = [each.name for each in newest.parent.iterdir() if each.is_file()]
    expired = [newest.with_name(name) for name in work.expired(names, newest.name, keep=keep)]
    for file in expired:
        try:
            file.unlink(missing_ok=True)  # another backup may have deleted it
        except OSError as exc:
            raise click.ClickException(f"the old backup {file} cannot be deleted: {exc.strerror}") from exc
    return expired


def _show(
    application: Application, file: Path, copy: CheckedCopy, deleted: Sequence[Path], *, size_bytes: int, output: str
) -> None:
    """Print what was backed up, and what was checked."""
    rows = copy.contents.rows
    if output == "json":
        seals = copy.seals
        document = {
            "database": application.shown_database,
            "file": str(file),
            "bytes": size_bytes,
            "schema_version": copy.contents.version,
            "tables": dict(rows),
            "checked": list(copy.checked),
            "not_checked": list(copy.not_checked),
            "seals": {"checked": seals.sealed, "of": seals.of, "violations": seals.violations} if seals else None,
            "deleted": [str(each) for each in deleted],
        }
        click.echo(to_json(document))
        return
    size_text = f"{count_of(len(rows), 'table')}, {count_of(sum(rows.values()), 'row')}, {size_bytes:,} bytes"
    click.echo(f"{application.shown_database} was copied to {one_line(str(file))}: {size_text}.")
    click.echo(f"Checked: {'; '.join(copy.checked)}.")
    if copy.not_checked:
        click.echo(f"Not checked: {'; '.join(copy.not_checked)}.")
    for each in deleted:
        click.echo(f"Deleted {one_line(str(each))}.")
