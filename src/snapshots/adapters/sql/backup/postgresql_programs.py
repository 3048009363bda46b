"""Find and run PostgreSQL's client programs."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

from snapshots.adapters.sql.connection.temporary_server import wheel_folders
from snapshots.app.errors import BackupFailed

_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)")


def find_program(name: str, *, at_least: int) -> Path:
    """
    Return a client program of PostgreSQL.

    It is searched in SNAPSHOTS_PG_BIN; without that in PATH, then in the wheel of the extra `trial`.

    Args:
        name: Such as "pg_dump".
        at_least: The lowest major version that will do.

    Raises:
        BackupFailed: There is no such program, or all are older.
    """
    named = os.environ.get("SNAPSHOTS_PG_BIN")
    folders = [named] if named else [*os.get_exec_path(), *map(str, wheel_folders())]
    older = []
    for folder in folders:
        found = shutil.which(name, path=folder)
        if found is None:
            continue
        version = _major_version(found)
        if version >= at_least:
            return Path(found)
        older.append(f"{found} is version {version}")
    advice = "install the PostgreSQL client, or name the folder of its programs in SNAPSHOTS_PG_BIN"
    if older:
        raise BackupFailed(f"{name} is older than the server, version {at_least}: {', '.join(older)}; {advice}")
    raise BackupFailed(f"{name} of PostgreSQL {at_least} or newer was not found: {advice}")


@contextmanager
def running(
    program: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[IO[bytes]]:
    """
    Run a program during a block, and wait for it after the block; end it if the block raises.

    Args:
        program: The program.
        arguments: Its arguments, without secrets: other users of the machine can read them.
        environment: Variables in addition to those of this process.

    Yields:
        Its standard output.

    Raises:
        BackupFailed: It failed; the message has the end of its standard error.
    """
    with (
        TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - a program that the operator installed
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | (environment or {}),
        ) as process,
    ):
        try:
            yield cast("IO[bytes]", process.stdout)
        except BaseException:
            process.kill()
            raise
        if process.wait():
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines()
            raise BackupFailed(f"{program.name} failed: {' '.join(lines[-3:])[-500:] or process.returncode}")


def _major_version(program: str) -> int:
    """Return the major version of a client program; 0 if it does not state any."""
    done = subprocess.run(  # noqa: S603 - a program that the operator installed
        [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    stated = _VERSION.search(done.stdout)
    return int(stated[1]) if stated else 0
