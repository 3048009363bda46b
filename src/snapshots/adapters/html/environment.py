"""The environment in which templates of pages are rendered."""

from collections.abc import Sequence
from hashlib import sha256
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from snapshots.adapters.html import charts, formats, looks, sentences
from snapshots.adapters.html.looks import Look, Split
from snapshots.app.queries.comparisons.figures import ACTIVE
from snapshots.app.queries.overview import CountryCount

HERE = resources.files("snapshots.adapters.html")
EMPTY_FILE = sha256().hexdigest()

ACTIVE_WORDS = ",".join(action.value for action in ACTIVE)
"""Value of the filter `did` for active sessions."""

LONGEST_HASH = 72
"""Characters of hashes that are shown, unless a page links them."""


def environment(*folders: Path) -> Environment:
    """
    Return an environment for the templates of this package, and for those in other folders.

    Text from attackers is shown as text: every template escapes it.

    Args:
        folders: Folders whose templates are found before those of this package.
    """
    paths = [*map(str, folders), str(HERE.joinpath("templates"))]
    made = Environment(loader=FileSystemLoader(paths), autoescape=True, undefined=StrictUndefined)
    made.globals |= {
        "empty_file": EMPTY_FILE,
        "active_words": ACTIVE_WORDS,
        "longest_hash": LONGEST_HASH,
        "labels": looks.LABELS,
    }
    made.filters |= {
        "badge": looks.badge,
        "change_text": formats.change_text,
        "country_bar": _country_bar,
        "country_name": sentences.country_name,
        "first_upper": formats.first_upper,
        "looks_in": looks.looks_in,
        "moment": formats.moment,
        "number": formats.number,
        "share": formats.share,
        "signed": formats.signed,
        "swatch": looks.swatch,
        "type_bar": _type_bar,
        "visible": formats.visible,
    }
    return made


def text_of(name: str) -> str:
    """Return the text of a file of this package."""
    return HERE.joinpath(name).read_text(encoding="utf-8")


def _country_bar(country: CountryCount, listed: Sequence[CountryCount]) -> Markup:
    return charts.plain_bar(country.sessions, max(each.sessions for each in listed), inferred=country.inferred)


def _type_bar(part: tuple[Look, int], split: Split) -> Markup:
    return charts.bar([part], max(sessions for _, sessions in split))
