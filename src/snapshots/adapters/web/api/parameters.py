"""Parameters of the API: how they are read, and how they are described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from snapshots.adapters.web.selection import Pairs, Selection
from snapshots.adapters.web.services import SiteData
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.session_queries import SessionFilter

WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """
    A parameter of an operation, besides the filters.

    Attributes:
        name: Its name in the address.
        description: What it does, in a sentence.
        default: Its value if it is not given; its type is that of the parameter. None in a path, which always has it.
        least: The smallest number.
        most: The largest number.
        choices: The words that are accepted; empty for any text.
        is_list: Whether several words are accepted, separated by commas.
        example: A valid value, in a path.
        pattern: Regular expression of valid texts, for the description.
    """

    name: str
    description: str
    default: int | bool | str | None = None
    least: int = 1
    most: int = 1000
    choices: Sequence[str] = ()
    is_list: bool = False
    example: str = ""
    pattern: str = ""

    def read(self, text: str | None) -> Any:
        """
        Return the value that a text stands for, or the default without a text.

        Raises:
            InvalidQuery: The text is not valid.
        """
        if text is None:
            return self.default
        if isinstance(self.default, bool):
            if text not in WORDS:
                raise InvalidQuery(f"{self.name} {text[:40]!r} is not true or false")
            return WORDS[text]
        if isinstance(self.default, int):
            is_number = text.isascii() and text.isdigit() and len(text) <= 18
            if not is_number or not self.least <= int(text) <= self.most:
                raise InvalidQuery(f"{self.name} {text[:40]!r} is not a number from {self.least} to {self.most:,}")
            return int(text)
        words = text.split(",") if self.is_list else [text]
        unknown = [word for word in words if self.choices and word not in self.choices]
        if unknown:
            raise InvalidQuery(f"{self.name} {unknown[0][:40]!r} is not one of {', '.join(self.choices)}")
        if len(set(words)) < len(words):
            raise InvalidQuery(f"{self.name} {text[:80]!r} names the same twice")
        return words if self.is_list else text

    @property
    def schema(self) -> Mapping[str, Any]:
        """Return the JSON schema of the value."""
        own = {} if self.default is None else {"default": self.default}
        if isinstance(self.default, bool):
            return {"type": "boolean", **own}
        if isinstance(self.default, int):
            return {"type": "integer", "minimum": self.least, "maximum": self.most, **own}
        text = {"type": "string"} | ({"enum": list(self.choices)} if self.choices else {})
        if self.is_list:
            return {"type": "array", "items": text, "minItems": 1, "uniqueItems": True}
        return text | ({"pattern": self.pattern} if self.pattern else {}) | own


class Asked(NamedTuple):
    """
    What a request asks for.

    Attributes:
        name: Name of the operation.
        selection: The filters.
        values: Values of the other parameters, by their names.
        accepted: Tags of the copies that the client has; see `conditional`.
        is_head: Whether only headers are wanted.
    """

    name: str
    selection: Selection
    values: Mapping[str, Any]
    accepted: str
    is_head: bool

    @property
    def key(self) -> tuple[str, Pairs, str]:
        """Return what is equal for equal questions."""
        return self.name, self.selection.pairs, repr(sorted(self.values.items()))

    def filter(self, data: SiteData, *more: tuple[str, str]) -> SessionFilter:
        """Return the filter: see `Selection.filter`."""
        return self.selection.filter(data, *more)

    def check(self, data: SiteData, session_filter: SessionFilter) -> None:
        """Refuse values that no session has: see `Selection.check`."""
        self.selection.check(data, session_filter)
