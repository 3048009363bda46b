"""Find the formats of `snapshots export`: each module in the package `formats` declares one."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from snapshots.adapters.feeds import formats
from snapshots.adapters.feeds.export_format import Format, FormatOption


@cache
def export_formats() -> Mapping[str, Format]:
    """Return the formats by their names, in the order of these."""
    modules = (import_module(f"{formats.__name__}.{each.name}") for each in iter_modules(formats.__path__))
    found: list[Format] = [module.FORMAT for module in modules]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def options_of_formats() -> Mapping[FormatOption, Sequence[str]]:
    """Return the options that only some formats have, each with the names of its formats."""
    found: dict[FormatOption, list[str]] = {}
    for each in export_formats().values():
        for option in each.options:
            found.setdefault(option, []).append(each.name)
    return found
