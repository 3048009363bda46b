"""Fill in the units for systemd, and their configuration file."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Template

from snapshots.app.errors import SettingRefused
from snapshots.app.safe_text import without_passwords

TEMPLATES = Path(__file__).parent / "units"
STATE = PurePosixPath("/var/lib/snapshots")
"""The state folder of the units, which systemd creates for their user."""

CONFIG_FILE = "snapshots.toml"
NAMES = ("follow", "serve", "refresh", "news", "verify", "backup")

_USER = re.compile(r"[A-Za-z_][\w-]{0,30}\$?|\d{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """
    What the units of one machine contain.

    Attributes:
        program: The words that start the program.
        user: The user of the services.
        db: Path or URL of a SQLite file, or URL of a database, without a password.
        logs: The folder of Cowrie's logs.
        backups: The folder of backups.
    """

    program: tuple[str, ...]
    user: str = "snapshots"
    db: str = str(STATE / "snapshots.db")
    logs: str = "/var/log/cowrie"
    backups: str = str(STATE / "backups")

    def __post_init__(self) -> None:
        """Raise SettingRefused if a value cannot be in a unit."""
        if not _USER.fullmatch(self.user):
            raise SettingRefused(f"{self.user!r} is not the name of a user")
        if without_passwords(self.db) != self.db:
            raise SettingRefused(
                "everyone can read units: name the database without its password, and write that into .pgpass in"
                f" the home folder of {self.user}"
            )
        paths = {"--program": self.program[0], "--logs": self.logs, "--backups": self.backups}
        if self.database_file is not None:
            paths["--db"] = self.database_file
        for option, path in paths.items():
            if not path.startswith("/"):
                raise SettingRefused(f"{option} {path!r} is not an absolute path, which a service needs")
            if ".." in PurePosixPath(path).parts:
                raise SettingRefused(f"{option} {path!r} has .. in it: name the folder that it leads to")
        for value in (*self.program, self.db, self.logs, self.backups):
            if not value.isprintable():
                raise SettingRefused(f"{value!r} holds a character that a unit cannot hold")

    @property
    def database_file(self) -> str | None:
        """Return the path of the SQLite file; None for a database on a server."""
        path = self.db.removeprefix("sqlite:///")
        return None if "://" in path else path


EXAMPLE = Installation(program=("/opt/snapshots/.venv/bin/snapshots",))
"""The installation in the documentation."""


def this_program() -> tuple[str, ...]:
    """Return the words that start this program as it is installed."""
    script = Path(sys.executable).parent / "snapshots"
    return (str(script),) if script.exists() else (sys.executable, "-m", "snapshots")


def unit_files(installation: Installation, names: tuple[str, ...] = NAMES) -> dict[str, str]:
    """
    Return the units of some services and their timers, by file name; with all services also the configuration file.

    Args:
        installation: What they contain.
        names: Names of services, without "snapshots-" and ".service".
    """
    files = [f"snapshots-{name}.{kind}" for name in names for kind in ("service", "timer")]
    files += [CONFIG_FILE] if set(names) == set(NAMES) else []
    values = {
        "program": _words(*installation.program, "--config", f"/etc/{CONFIG_FILE}"),
        "user": installation.user,
        "db": json.dumps(installation.db, ensure_ascii=False),
        "logs": _words(installation.logs),
        "backups": _words(f"{installation.backups.rstrip('/')}/"),
    }
    found = {}
    for name in files:
        file = TEMPLATES / name
        if file.exists():  # a service that runs always has no timer
            sandbox = _sandbox(installation, has_backups="backup" in name)
            found[name] = Template(file.read_text()).substitute(values, sandbox=sandbox)
    return found


def _sandbox(installation: Installation, *, has_backups: bool) -> str:
    """Return the settings that limit what a service can do; outside of STATE, folders to write to must exist."""
    folders = [PurePosixPath(installation.backups)] if has_backups else []
    if installation.database_file is not None:
        folders.append(PurePosixPath(installation.database_file).parent)
    outside = [str(folder) for folder in dict.fromkeys(folders) if not folder.is_relative_to(STATE)]
    lines = [f"StateDirectory={STATE.name}", *(f'ReadWritePaths="{_escaped(folder)}"' for folder in outside)]
    return (TEMPLATES / "sandbox.conf").read_text() + "\n".join(lines)


def _words(*words: str) -> str:
    """Return words of a command line, quoted where systemd needs it."""
    return " ".join(
        word if re.fullmatch(r"[\w./:@+-]+", word) else f'"{_escaped(word).replace("$", "$$")}"' for word in words
    )


def _escaped(text: str) -> str:
    """Return a text for the inside of double quotes in a unit."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
