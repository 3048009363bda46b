"""Compare the values of filters with the stored ones: complete hashes, and suggest what was probably meant."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import islice

from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.session_queries import ANY_TEXT, HASHES, Dimension, SessionFilter, SessionQueries
from snapshots.app.safe_text import escaped

HASH_LENGTH: Mapping[Dimension, int] = {Dimension.HASSH: 32, Dimension.COMMANDS: 32, Dimension.DOWNLOAD: 64}
"""Characters of a whole hash; shorter values are completed."""

HASH_MARK = "sha256:"
"""Marks the beginning of a password's hash; one that ends with an ellipsis, as in tables, needs no mark."""

HEX = re.compile("[0-9a-fA-F]+")

SHORTENED = "…"
"""The end of a value that was printed shortened."""

SHOWN = 5

MOST_COMPARED = 100_000
"""Maximum number of stored values among which the nearest are sought."""


def completed(session_queries: SessionQueries, key: Dimension, text: str) -> str:
    """
    Return the stored hash that begins like a value; a value that may be whole is returned unchanged.

    Raises:
        InvalidQuery: No or several stored hashes begin like the value.
    """
    beginning = text.removesuffix(SHORTENED)
    if key is Dimension.PASSWORD:
        beginning = beginning.removeprefix(HASH_MARK)
        if beginning == text or not HEX.fullmatch(beginning):
            return text  # a password as text, or its whole hash
    if key is not Dimension.SSH_KEY:
        beginning = beginning.lower()
    if len(beginning) >= HASH_LENGTH.get(key, 64):
        return beginning
    found = session_queries.stored_values(key, beginning=beginning, limit=SHOWN + 1)
    if beginning in found or len(found) == 1:
        return found[0]
    shown = f"--{key.value} {escaped(text)[:80]!r}"
    if not found:
        raise InvalidQuery(f"{shown}: no stored {_noun(key)} starts with this")
    more = " and more" if len(found) > SHOWN else ""
    raise InvalidQuery(
        f"{shown}: several stored values start with this: {', '.join(map(escaped, found[:SHOWN]))}{more}"
    )


def as_stored(session_queries: SessionQueries, key: Dimension, text: str) -> str:
    """Return the stored text that tables print like this: with escapes, or cut with an ellipsis if part of a name."""
    if key is Dimension.NETWORK:
        return text.removesuffix(SHORTENED)
    if "\\" not in text:
        return text
    stored = session_queries.stored_values(key, limit=MOST_COMPARED)
    return text if text in stored else next((value for value in stored if escaped(value) == text), text)


def _noun(key: Dimension) -> str:
    nouns = {
        Dimension.COMMANDS: "signature of commands",
        Dimension.DOWNLOAD: "hash of a file",
        Dimension.PASSWORD: "hash of a password",
        Dimension.SSH_KEY: "fingerprint of an SSH key",
    }
    return nouns.get(key, key.value)


def check_stored(session_queries: SessionQueries, values: Mapping[Dimension, Sequence[str | None]]) -> None:
    """
    Refuse values that are not stored.

    Raises:
        InvalidQuery: A value is not stored; the message lists the nearest ones that are.
    """
    for key in values.keys() & HASHES:
        for text in values[key]:
            if text is None or _is_stored_hash(session_queries, key, text):
                continue
            hint = "; to give the beginning of its hash, write sha256:4813494d137e" if key is Dimension.PASSWORD else ""
            noun = "password" if key is Dimension.PASSWORD else _noun(key)
            raise InvalidQuery(f"no session has the {noun} {escaped(text)[:80]!r}{hint}")
    for key in values.keys() & ANY_TEXT:
        stored = session_queries.stored_values(key, limit=MOST_COMPARED)
        for text in values[key]:
            if text is not None and not _is_stored(key, text, stored):
                raise InvalidQuery(f"no session has the {key.value} {escaped(text)[:80]!r}{_nearest(text, stored)}")


def _is_stored_hash(session_queries: SessionQueries, key: Dimension, text: str) -> bool:
    """Whether a session has the hash, or tried the password."""
    if key is Dimension.PASSWORD:
        return bool(session_queries.groups(SessionFilter(values={key: [text]}), [key], top=1))
    return text in session_queries.stored_values(key, beginning=text, limit=1)


def _is_stored(key: Dimension, text: str, stored: Sequence[str]) -> bool:
    if key is Dimension.NETWORK:
        return any(text.casefold() in name.casefold() for name in stored)
    return text in stored or len(stored) == MOST_COMPARED


def _nearest(text: str, stored: Sequence[str]) -> str:
    """Return the stored values that are most like a text: those that contain it, then those spelled alike."""
    folded = text.casefold()
    inside = islice((name for name in stored if folded in name.casefold()), SHOWN)
    by_case = {name.casefold(): name for name in stored}
    alike = (by_case[name] for name in get_close_matches(folded, by_case, SHOWN, cutoff=0.4))
    found = list(dict.fromkeys([*inside, *alike]))[:SHOWN]
    if not stored:
        return "; none is stored"
    word = "nearest" if found else "stored"
    return f" ({word}: {', '.join(escaped(name)[:60] for name in found or stored[:SHOWN])})"
