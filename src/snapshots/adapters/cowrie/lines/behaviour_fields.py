"""Read the behavior of a session from the fields of a Cowrie event."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from snapshots.domain.session.behaviour import Trait, command, login
from snapshots.domain.session.event_record import RecordedTraits, recorded_traits

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


def _remembered(parse: Callable[[str], RecordedTraits]) -> Callable[[object], RecordedTraits]:
    """Return a parser of a field of any type that keeps its results for short texts: attackers repeat themselves."""
    kept = lru_cache(maxsize=4096)(parse)

    def read(value: object) -> RecordedTraits:
        if not isinstance(value, str):
            return ()
        return kept(value) if len(value) <= LONGEST_TEXT else parse(value)

    return read


def _text(trait: Trait, longest: int, value: str) -> RecordedTraits:
    return ((trait.word, clean(value[:longest], longest)),) if value else ()


def _matching(trait: Trait, pattern: re.Pattern[str], value: str) -> RecordedTraits:
    return ((trait.word, value),) if pattern.fullmatch(value) else ()


@_remembered
def _version(value: str) -> RecordedTraits:
    """Return the client version as it was sent; some releases of Cowrie wrote the repr of bytes."""
    if value[:2] in {"b'", 'b"'} and len(value) > 3 and value[-1] == value[1]:
        value = value[2:-1]
    return _text(Trait.CLIENT_VERSION, LONGEST_TEXT, value)


_protocol = _remembered(partial(_text, Trait.PROTOCOL, 16))
_hassh = _remembered(partial(_matching, Trait.HASSH, _HASSH))
_download = _remembered(partial(_matching, Trait.DOWNLOAD, _SHA256))
_url = _remembered(partial(_text, Trait.URL, LONGEST_URL))
_recording = _remembered(partial(_matching, Trait.RECORDING, _SHA256))


def _login(fields: Any, *, keeps_passwords: bool, succeeded: bool) -> RecordedTraits:
    password = fields.password if isinstance(fields.password, str) else None
    kept = _short(password) if keeps_passwords else None
    return recorded_traits(login(_short(fields.username), password, succeeded=succeeded, kept=kept))


def _short(value: object) -> str | None:
    return clean(value[:LONGEST_TEXT], LONGEST_TEXT) if isinstance(value, str) else None


def _duration(fields: Any) -> RecordedTraits:
    """Read `duration_ms`, or in older releases `duration` in seconds, as a number or as text."""
    value, unit = (fields.duration_ms, 1) if fields.duration_ms is not None else (fields.duration, 1000)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ()
    try:
        milliseconds = round(float(value) * unit)
    except (ValueError, OverflowError):
        return ()
    return ((Trait.DURATION.word, str(milliseconds)),) if 0 <= milliseconds <= LONGEST_DURATION_MS else ()


def _command(value: object) -> RecordedTraits:
    return recorded_traits(command(clean(value, None))) if isinstance(value, str) else ()


def _file(fields: Any) -> RecordedTraits:
    return (*_download(fields.shasum), *_url(fields.url))


TRAIT_READERS: Mapping[str, Callable[[Any, bool], RecordedTraits]] = {
    "cowrie.session.connect": lambda fields, _: _protocol(fields.protocol),
    "cowrie.client.version": lambda fields, _: _version(fields.version),
    "cowrie.client.kex": lambda fields, _: _hassh(fields.hassh),
    "cowrie.login.success": lambda fields, keeps: _login(fields, keeps_passwords=keeps, succeeded=True),
    "cowrie.login.failed": lambda fields, keeps: _login(fields, keeps_passwords=keeps, succeeded=False),
    "cowrie.command.input": lambda fields, _: _command(fields.input),
    "cowrie.session.file_download": lambda fields, _: _file(fields),
    "cowrie.session.file_upload": lambda fields, _: _file(fields),
    "cowrie.log.closed": lambda fields, _: _recording(fields.shasum),
    "cowrie.session.closed": lambda fields, _: _duration(fields),
}
"""
Parsers of traits by eventid.

Each takes the fields of the event, of any type, and whether passwords are stored besides their hashes.
"""
