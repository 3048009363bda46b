"""Read the behavior of a session from the fields of a Cowrie event."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from snapshots.domain.session.behaviour import Trait, Traits, command, login

LONGEST_TEXT = 255
LONGEST_URL = 1000
LONGEST_DURATION_MS = 10**12
"""About 31 years."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_HASSH = re.compile("[0-9a-f]{32}")
_SHA256 = re.compile("[0-9a-f]{64}")


def clean(text: str, longest: int | None) -> str:
    """Return *text* as both databases can store it: without NUL and lone surrogates, at most *longest* characters."""
    return text[:longest] if text.isprintable() else _UNSTORABLE.sub("\ufffd", text)[:longest]


def _text(trait: Trait, value: object, longest: int = LONGEST_TEXT) -> Traits:
    return ((trait, clean(value[:longest], longest)),) if isinstance(value, str) and value else ()


def _version(value: object) -> Traits:
    """Return the client version as it was sent; some releases of Cowrie wrote the repr of bytes."""
    if isinstance(value, str) and value[:2] in {"b'", 'b"'} and len(value) > 3 and value[-1] == value[1]:
        value = value[2:-1]
    return _text(Trait.CLIENT_VERSION, value)


def _matching(trait: Trait, value: object, pattern: re.Pattern[str]) -> Traits:
    return ((trait, value),) if isinstance(value, str) and pattern.fullmatch(value) else ()


def _login(fields: Any, *, keeps_passwords: bool, succeeded: bool) -> Traits:
    password = fields.password if isinstance(fields.password, str) else None
    kept = _short(password) if keeps_passwords else None
    return login(_short(fields.username), password, succeeded=succeeded, kept=kept)


def _short(value: object) -> str | None:
    return clean(value[:LONGEST_TEXT], LONGEST_TEXT) if isinstance(value, str) else None


def _duration(fields: Any) -> Traits:
    """Read `duration_ms`, or in older releases `duration` in seconds, as a number or as text."""
    value, unit = (fields.duration_ms, 1) if fields.duration_ms is not None else (fields.duration, 1000)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ()
    try:
        milliseconds = round(float(value) * unit)
    except (ValueError, OverflowError):
        return ()
    return ((Trait.DURATION, str(milliseconds)),) if 0 <= milliseconds <= LONGEST_DURATION_MS else ()


def _command(fields: Any) -> Traits:
    return command(clean(fields.input, None)) if isinstance(fields.input, str) else ()


def _file(fields: Any) -> Traits:
    return (*_matching(Trait.DOWNLOAD, fields.shasum, _SHA256), *_text(Trait.URL, fields.url, LONGEST_URL))


TRAIT_READERS: Mapping[str, Callable[[Any, bool], Traits]] = {
    "cowrie.session.connect": lambda fields, _: _text(Trait.PROTOCOL, fields.protocol, 16),
    "cowrie.client.version": lambda fields, _: _version(fields.version),
    "cowrie.client.kex": lambda fields, _: _matching(Trait.HASSH, fields.hassh, _HASSH),
    "cowrie.login.success": lambda fields, keeps: _login(fields, keeps_passwords=keeps, succeeded=True),
    "cowrie.login.failed": lambda fields, keeps: _login(fields, keeps_passwords=keeps, succeeded=False),
    "cowrie.command.input": lambda fields, _: _command(fields),
    "cowrie.session.file_download": lambda fields, _: _file(fields),
    "cowrie.session.file_upload": lambda fields, _: _file(fields),
    "cowrie.log.closed": lambda fields, _: _matching(Trait.RECORDING, fields.shasum, _SHA256),
    "cowrie.session.closed": lambda fields, _: _duration(fields),
}
"""
Parsers of traits by eventid.

Each takes the fields of the event, of any type, and whether passwords are stored besides their hashes.
"""
