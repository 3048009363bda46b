"""Write JSON documents: ISO dates, names of enum members, numbers."""

import json
from datetime import date
from enum import Enum
from typing import Any


def to_json(document: dict[str, Any] | list[dict[str, Any]]) -> str:
    """Return *document* as indented JSON in ASCII, so that it contains no control characters for a terminal."""
    return json.dumps(document, indent=2, default=plain)


def plain(value: object) -> object:
    """Return the JSON value for an enum, a date or a datetime."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
