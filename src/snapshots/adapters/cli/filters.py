"""Options that select sessions, and the filter that they make."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from snapshots.adapters.cli.command import Decorated, Section, option
from snapshots.adapters.cli.completions import completer_of
from snapshots.adapters.cli.options import TimeText, valid_text
from snapshots.adapters.cli.services import Application
from snapshots.adapters.feeds.filter_help import DID, HELP, NOT_DID, SINCE, UNTIL, WORDS
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.filters.filter_reader import ACTIONS, FILTER_NAMES, KEYS, NOT, FilterReader, actions_of
from snapshots.app.queries.session_queries import Dimension, NetworkTime, SessionFilter


class Actions(click.ParamType[str]):
    """One or more actions, separated by commas."""

    name = "action"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, after a check of its form."""
        try:
            actions_of(str(value))
        except InvalidQuery as exc:
            self.fail(str(exc), param, ctx)
        return str(value)


def filter_options(function: Decorated) -> Decorated:
    """Add the options that select sessions, each value filter also in a hidden form that excludes its values."""
    for each in reversed([*_time_options(), *_did_options(), *(_value_option(key) for key in KEYS)]):
        function = each(function)
    for key in KEYS:
        function = _value_option(key, prefix=NOT, hidden=True)(function)
    return function


def _time_options() -> Iterable[Callable[[Decorated], Decorated]]:
    yield option(
        "--since",
        type=TimeText(),
        metavar="WHEN",
        section=Section.FILTERS,
        help=SINCE,
    )
    yield option(
        "--until",
        type=TimeText(),
        metavar="WHEN",
        section=Section.FILTERS,
        help=UNTIL,
    )


def _did_options() -> Iterable[Callable[[Decorated], Decorated]]:
    for name, help_text in (("--did", DID), ("--not-did", NOT_DID)):
        yield option(
            name,
            type=Actions(),
            multiple=True,
            metavar="WHAT[,WHAT]",
            section=Section.FILTERS,
            help=help_text,
            shell_complete=completer_of(ACTIONS),
        )


def _value_option(key: Dimension, *, prefix: str = "", hidden: bool = False) -> Callable[[Decorated], Decorated]:
    metavar, help_text = HELP[key]
    return option(
        f"--{prefix}{key.value}",
        multiple=True,
        metavar=metavar,
        section=Section.FILTERS,
        help=help_text,
        hidden=hidden,
        shell_complete=completer_of(WORDS[key]) if key in WORDS else None,
    )


def filter_of(
    application: Application, options: dict[str, Any], *, network_time: NetworkTime = NetworkTime.THEN
) -> SessionFilter:
    """
    Remove the options that select sessions from *options*, and return them as a filter: see `FilterReader`.

    Raises:
        InvalidQuery: A value is not valid.
    """
    given: dict[str, Sequence[str]] = {}
    for name in FILTER_NAMES:
        value = options.pop(name.replace("-", "_"))
        given[name] = _texts(value) if value else ()
    return _reader(application).read(given, network_time=network_time)


def check_values(application: Application, session_filter: SessionFilter) -> None:
    """
    Refuse values that no session has, for filters that select no session.

    Raises:
        InvalidQuery: A value is not stored; the message lists the nearest ones that are.
    """
    _reader(application).check_values(session_filter)


def _reader(application: Application) -> FilterReader:
    return FilterReader(application.session_queries, application.now())


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return [valid_text(text) for text in ([value] if isinstance(value, str) else value)]
