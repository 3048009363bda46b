"""Shell completion of option and argument values."""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""Returns the completions of an incomplete value."""


def complete_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the path of a file or folder."""
    return [CompletionItem(incomplete, type="file")]


def completer_of(words: Iterable[str]) -> Completer:
    """Return a completer for a fixed set of words, ignoring case."""
    known = tuple(words)

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in known if word.lower().startswith(incomplete.lower())]

    return complete
