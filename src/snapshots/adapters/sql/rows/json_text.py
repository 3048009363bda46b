"""Parse JSON objects that are stored as text."""

import json
from typing import Any


def json_object(text: str | None) -> dict[str, Any] | None:
    """Return a stored JSON object, an empty one for NULL; None if the text is anything else."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
