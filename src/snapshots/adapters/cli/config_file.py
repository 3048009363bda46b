"""Defaults of options in a file: `snapshots.toml`."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

FILE_NAME = "snapshots.toml"

SHARED = frozenset(
    {
        "db",
        "lock-timeout",
        "mmdb",
        "network-types",
        "prefer",
        "requires",
        "max-age",
        "max-lag",
        "max-type-lag",
        "max-fresh-age",
        "max-fresh-age-volatile",
    }
)
"""Options whose default may be set for all commands at once."""

META_KEY = "snapshots.config_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """
    The defaults in a file: keys are options without dashes, shared ones at the top, all others in a table per command.

    Attributes:
        file: The file.
        values: Its content.
    """

    file: Path
    values: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path, commands: Iterable[str]) -> "ConfigFile":
        """
        Read a file.

        Args:
            file: The file.
            commands: The names of all commands.

        Raises:
            click.UsageError: It cannot be read, is not TOML, or has a key that is neither a shared option nor a
                command.
        """
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as exc:
            raise click.UsageError(f"{file} cannot be read: {exc.strerror or exc}") from exc
        except ValueError as exc:
            raise click.UsageError(f"{file} is not valid TOML: {exc}") from exc
        known = {*commands}
        for key, value in values.items():
            if isinstance(value, Mapping):
                if key not in known:
                    raise click.UsageError(f"{file}: there is no command {key!r}")
            elif key not in SHARED:
                raise click.UsageError(
                    f"{file}: {key!r} cannot be set for all commands (use {', '.join(sorted(SHARED))};"
                    f" or set it for one command, below a line such as [load])"
                )
        return cls(file=file, values=values)

    def defaults(self, command: Sequence[str], parameters: Sequence[click.Parameter]) -> Mapping[str, Any]:
        """
        Return the defaults of a command, by the names of its parameters.

        Args:
            command: The name of the command; of a command in a group, both names.
            parameters: Its options and arguments.

        Raises:
            click.UsageError: The table of the command has a key that is not one of its options, or a value of the wrong
                kind.
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
            if isinstance(value, Mapping):
                continue  # of a command in the group
            if key not in options:
                raise click.UsageError(f"{self.file}: `{' '.join(command)}` has no option --{key}")
            found[key] = value
        return {str(options[key].name): self._valued(options[key], key, value) for key, value in found.items()}

    def _valued(self, option: click.Option, key: str, value: object) -> object:
        values = list(value) if isinstance(value, list) else [value]
        if not all(isinstance(each, str | int | float) for each in values):
            raise click.UsageError(f"{self.file}: {key} must be a text, a number or true or false")
        if option.is_flag and not isinstance(value, bool):
            raise click.UsageError(f"{self.file}: {key} must be true or false")
        if not option.is_flag and any(isinstance(each, bool) for each in values):
            raise click.UsageError(f"{self.file}: {key} must not be true or false")
        if option.is_flag:
            return value
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
    return file if file.is_file() else None
