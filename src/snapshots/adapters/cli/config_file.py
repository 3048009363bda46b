"""Defaults of options in a file: `snapshots.toml`."""

import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click

FILE_NAME = "snapshots.toml"

LARGEST = 2**20
"""Maximum bytes of a file."""

SHARED = frozenset(
    {
        "db",
        "lock-timeout",
        "max-age",
        "max-fresh-age",
        "max-fresh-age-volatile",
        "max-lag",
        "max-lock-waits",
        "max-replication-lag",
        "max-transaction",
        "max-type-lag",
        "mmdb",
        "network-types",
        "prefer",
        "requires",
    }
)
"""Options whose default may be set for all commands at once."""

META_KEY = "snapshots.config_file"


class ConfigFile:
    """
    A configuration file, which is read when a command needs it.

    Args:
        file: The file.
        commands: The names of all commands.
    """

    def __init__(self, file: Path, commands: Collection[str]) -> None:
        self._file = file
        self._commands = commands

    @property
    def file(self) -> Path:
        """Return the path of the file."""
        return self._file

    @cached_property
    def content(self) -> "Defaults":
        """
        Return its content.

        Raises:
            click.UsageError: It cannot be read, is not TOML, or has a key that is neither a shared option nor a
                command.
        """
        file = self._file
        try:
            with file.open("rb") as stream:
                text = stream.read(LARGEST + 1)
            if len(text) > LARGEST:
                raise click.UsageError(f"{file} has more than {LARGEST:,} bytes")
            values = tomllib.loads(text.decode())
        except OSError as exc:
            raise click.UsageError(f"{file} cannot be read: {exc.strerror or exc}") from exc
        except (ValueError, RecursionError) as exc:
            raise click.UsageError(f"{file} is not valid TOML: {exc}") from exc
        for key, value in values.items():
            if isinstance(value, Mapping) and key not in SHARED:
                if key not in self._commands:
                    raise click.UsageError(f"{file}: there is no command {key!r}")
            elif key not in SHARED:
                raise click.UsageError(
                    f"{file}: {key!r} cannot be set for all commands (use {', '.join(sorted(SHARED))};"
                    f" or set it for one command, below a line such as [load])"
                )
        return Defaults(file=file, values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """
    The defaults in a file: keys are options without dashes, shared ones at the top, all others in a table per command.

    Attributes:
        file: The file.
        values: Its content.
    """

    file: Path
    values: Mapping[str, Any]

    def defaults(
        self, command: Sequence[str], parameters: Sequence[click.Parameter], *, subcommands: Collection[str]
    ) -> Mapping[str, Any]:
        """
        Return the defaults of a command, by the names of its parameters.

        Args:
            command: The name of the command; of a command in a group, both names.
            parameters: Its options and arguments.
            subcommands: The names of its commands, if it is a group.

        Raises:
            click.UsageError: The table of the command has a key that is neither one of its options nor one of its
                commands, or a value of the wrong kind.
        """
        options = {
            name.removeprefix("--"): parameter
            for parameter in parameters
            if isinstance(parameter, click.Option)
            for name in parameter.opts
            if name.startswith("--")
        }
        found = {key: value for key, value in self.values.items() if key in SHARED and key in options}
        table: Any = self.values
        for name in command:
            table = table.get(name, {}) if isinstance(table, Mapping) else {}
        for key, value in table.items():
            if isinstance(value, Mapping) and key in subcommands:
                continue
            if key not in options:
                what = f"command {key!r}" if isinstance(value, Mapping) else f"option --{key}"
                raise click.UsageError(f"{self.file}: `{' '.join(command)}` has no {what}")
            found[key] = value
        return {str(options[key].name): self._valued(options[key], key, value) for key, value in found.items()}

    def _valued(self, option: click.Option, key: str, value: object) -> object:
        values = list(value) if isinstance(value, list) else [value]
        if option.is_flag:
            if not isinstance(value, bool):
                raise click.UsageError(f"{self.file}: {key} must be true or false")
            return value
        is_number = isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
        kinds = (str, int, float) if is_number else (str,)
        if not all(isinstance(each, kinds) and not isinstance(each, bool) for each in values):
            raise click.UsageError(f"{self.file}: {key} must be a {'number' if is_number else 'text, in quotes'}")
        texts = [str(each) for each in values]
        if option.multiple:
            return texts
        if isinstance(value, list):
            raise click.UsageError(f"{self.file}: {key} can have only one value")
        return texts[0]


def default_file() -> Path | None:
    """Return the file in the user's configuration folder; None if there is none."""
    from platformdirs import user_config_path  # noqa: PLC0415 - help does not need it

    file = user_config_path("snapshots") / FILE_NAME
    return file if os.path.lexists(file) else None
