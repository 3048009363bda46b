"""Commands with sectioned help, examples and defaults from the configuration file."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from enum import Enum
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from snapshots.adapters.cli.config_file import META_KEY

Decorated = Callable[..., Any]

HELP_OPTIONS = frozenset({"-h", "--help"})
"""Options with which a command prints its help, also if the configuration file is broken."""

NO_TERMS: Mapping[str, Mapping[str, str]] = MappingProxyType({})


class Section(Enum):
    """The headings under which help lists options, in order."""

    GENERAL = "Options"
    FILTERS = "Filters"
    FACTS = "Facts"
    OUTPUT = "Output"
    DATABASE = "Database"


class SectionOption(click.Option):
    """An option that help lists under a heading."""

    def __init__(self, *args: Any, section: Section = Section.GENERAL, **more: Any) -> None:
        super().__init__(*args, **more)
        self.section = section

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Return the default; ranges are so wide that the error about a value outside of one is enough."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def option(*names: str, section: Section, **more: Any) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds an option under a heading."""
    return click.option(*names, cls=SectionOption, section=section, **more)


def renamed_option(
    old: str, new: str, *, parameter: str, values: Mapping[str, str] | None = None, **more: Any
) -> Callable[[Decorated], Decorated]:
    """
    Return a decorator that adds the former name of an option. It is hidden, works, and names the new one on stderr.

    Args:
        old: The former name.
        new: The current name. Its value wins if both are given.
        parameter: The parameter of the function that the option sets.
        values: The former values, each with its current value; None if they are the same.
        more: The type of the option, or `is_flag=True`.
    """
    kind: dict[str, Any] = {"type": click.Choice(list(values))} if values is not None else {}

    def use_new_name(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is None:
            return
        given = values[value] if values is not None else value
        ctx.default_map = {**(ctx.default_map or {}), parameter: given}
        shown = f"{new} {given}" if values is not None else new
        click.echo(f"Warning: {old} is now called {shown}; the old name will be removed", err=True)

    return click.option(
        old,
        f"former_{parameter}",
        hidden=True,
        expose_value=False,
        is_eager=True,  # before the current option reads its default
        default=None,
        callback=use_new_name,
        **kind,
        **more,
    )


class _CommandMixin(click.Command):
    """Help with options in sections, followed by examples; defaults from the configuration file."""

    def __init__(
        self,
        *args: Any,
        terms: Mapping[str, Mapping[str, str]] = NO_TERMS,
        examples: Sequence[str] = (),
        reads_config_file: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.terms = terms
        self.examples = tuple(examples)
        self.reads_config_file = reads_config_file

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Make the context of a call; options that are not given have the values of the configuration file."""
        file = parent.find_root().meta.get(META_KEY) if parent is not None else None
        if file is not None and self.reads_config_file and HELP_OPTIONS.isdisjoint(args):
            names = [*_names(parent), info_name or ""]
            extra["default_map"] = file.content.defaults(names, self.params, subcommands=getattr(self, "commands", ()))
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each section under its heading."""
        rows: dict[Section, list[tuple[str, str]]] = {section: [] for section in Section}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Argument):
                continue  # the usage line and the text above name them
            section = parameter.section if isinstance(parameter, SectionOption) else Section.GENERAL
            if (record := parameter.get_help_record(ctx)) is not None:
                rows[section].append(record)
        for section, records in rows.items():
            if records:
                with formatter.section(section.value):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the explained terms, and the examples as they are, without wrapping."""
        super().format_epilog(ctx, formatter)
        for heading, terms in self.terms.items():
            with formatter.section(heading):
                formatter.write_dl([*terms.items()])
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def _names(context: click.Context | None) -> list[str]:
    """Return the names of the commands of a context, without that of the program."""
    if context is None or context.parent is None:
        return []
    return [*_names(context.parent), context.info_name or ""]


class Command(_CommandMixin):
    """
    A command.

    Args:
        terms: Terms with their meanings, by the heading under which help lists them.
        examples: Complete command lines, shown at the end of the help.
        reads_config_file: Whether options that are not given have the values of the configuration file.
    """


class CommandPlace(NamedTuple):
    """A command that is imported when it is called: its module, its name there, and its line in help."""

    module: str
    name: str
    short_help: str


class LazyCommands(MutableMapping[str, click.Command]):
    """
    Commands by name, each imported on first access: their libraries take longer to import than help to be printed.

    Args:
        places: The commands that are not imported yet.
    """

    def __init__(self, places: Mapping[str, CommandPlace]) -> None:
        self.places = places
        self._imported: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._imported:
            place = self.places[name]
            self._imported[name] = getattr(import_module(place.module), place.name)
        return self._imported[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        del self._imported[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self.places, **self._imported})

    def __len__(self) -> int:
        return len({**self.places, **self._imported})


class Group(_CommandMixin, click.Group):
    """
    A group of commands.

    Args:
        examples: Complete command lines, shown at the end of the help.
    """

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing any."""
        if not isinstance(self.commands, LazyCommands) or incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        places = self.commands.places
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [
            CompletionItem(name, help=places[name].short_help if name in places else self.commands[name].short_help)
            for name in names
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, without importing those that are not needed."""
        if not isinstance(self.commands, LazyCommands):
            super().format_commands(ctx, formatter)
            return
        places = self.commands.places
        rows = [
            (name, places[name].short_help if name in places else self.commands[name].get_short_help_str(100))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def command(*args: Any, **more: Any) -> Callable[[Decorated], Command]:
    """Return a decorator that makes a command."""
    return click.command(*args, cls=Command, **more)


def group(*args: Any, **more: Any) -> Callable[[Decorated], Group]:
    """Return a decorator that makes a group of commands."""
    return click.group(*args, cls=Group, **more)
