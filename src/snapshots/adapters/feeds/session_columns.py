"""Columns of exported sessions: those of a list, and lists of what was done."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from snapshots.adapters.feeds.json_text import plain
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.logins import StoredLogin

LISTS = ("credentials", "command_texts", "urls", "file_hashes", "ssh_keys")
"""Columns with lists, after those with one value."""

EXPORT_COLUMNS = (*SESSION_COLUMNS, *LISTS)

CREDENTIAL_FIELDS = ("user", *StoredLogin._fields[1:])
"""Fields of a value of `credentials`; the user name is named like that of a session."""

LARGEST_CELL = 32_000
"""Characters. A spreadsheet splits or cuts a cell of more than 32,767."""

_json = json.JSONEncoder(default=plain).encode


def export_values(line: SessionRow) -> tuple[Any, ...]:
    """Return the values of EXPORT_COLUMNS."""
    return (*line[:-1], *_lists_of(line.activity or Activity()))


def flat_values(line: SessionRow) -> tuple[Any, ...]:
    """Return the values for CSV: a list is one cell with a JSON array in ASCII, empty without values."""
    return (*line[:-1], *map(list_cell, _lists_of(line.activity or Activity())))


def _lists_of(activity: Activity) -> Sequence[list[Any]]:
    """Return what was done as the columns LISTS: credentials as in `Activity`, all else in its order."""
    return (
        [credential(login) for login in activity.logins],
        list(activity.commands),
        list(activity.urls),
        list(activity.file_hashes),
        list(activity.ssh_keys),
    )


def is_address(text: str | None) -> bool:
    """Whether a text is an address; other loaders write other texts, too."""
    try:
        return text is not None and IpAddress.parse(text).text == text
    except InvalidAddress:
        return False


def credential(login: StoredLogin) -> dict[str, Any]:
    """Return login attempts with the same credentials."""
    return dict(zip(CREDENTIAL_FIELDS, login, strict=True))


def list_cell(values: Sequence[Any]) -> str | None:
    """
    Return a list as JSON on one line, which no spreadsheet takes for a formula.

    Values that a cell cannot hold are left out, and the last text states how many.
    """
    if not values:
        return None
    text = _json(values)
    return text if len(text) <= LARGEST_CELL else f"[{', '.join(_fitting(values))}]"


def _fitting(values: Sequence[Any]) -> Iterator[str]:
    room = LARGEST_CELL
    for at, value in enumerate(values):
        text = _json(value)
        room -= len(text) + 2
        if room < 0:
            yield _json(f"... {len(values) - at} more")
            return
        yield text
