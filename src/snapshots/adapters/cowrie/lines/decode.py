"""Decode one line of a Cowrie log to an event."""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from snapshots.adapters.cowrie.lines.behaviour_fields import TRAIT_READERS, clean
from snapshots.adapters.cowrie.lines.timestamps import recorded_time
from snapshots.app.ports.log_source import LineOptions, LogEvent, Reason
from snapshots.domain.address.source_ip import LONGEST_ADDRESS, UNKNOWN_ADDRESS, IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.session.behaviour import Traits
from snapshots.domain.session.event_record import FINGERPRINT_BYTES, recorded_traits
from snapshots.domain.session.session import LARGEST_PORT, EventKind
from snapshots.domain.session.session_id_reuse import QUALIFIER

LONGEST_SESSION_ID = 40
"""Characters. Cowrie's ids have 8 or 12; with a qualifier a name must fit its column of 64."""

LONGEST_SENSOR = 255
KINDS = {
    "cowrie.session.connect": EventKind.CONNECT,
    "cowrie.command.input": EventKind.COMMAND,
    "cowrie.login.success": EventKind.LOGIN,
    "cowrie.login.failed": EventKind.LOGIN,
    "cowrie.session.file_download": EventKind.DOWNLOAD,
    "cowrie.session.file_upload": EventKind.UPLOAD,
}
CONNECT = EventKind.CONNECT.value
FORWARDED = "cowrie.direct-tcpip."
COWRIE = re.compile(r"cowrie\.|(COW|KIPP)\d{4}\Z")
"""Eventids of Cowrie, including those before 2016; other honeypots write the same fields with other eventids."""


class _Fields(msgspec.Struct):
    """The fields used here, with the types that Cowrie writes; fields of type Any are checked later."""

    session: str
    timestamp: str
    eventid: str = ""
    src_ip: str | None = None
    src_port: int | None = None
    sensor: str | None = None
    uuid: str | None = None
    protocol: Any = None
    version: Any = None
    hassh: Any = None
    username: Any = None
    password: Any = None
    input: Any = None
    shasum: Any = None
    url: Any = None
    duration: Any = None
    duration_ms: Any = None


SPACED, LONGEST_BEFORE_SPACE = b'": ', 64
"""Found near the start of a line with white space between its tokens, and rarely within a string."""

LONGEST_EVENTID = 64
"""Characters of an eventid that are compared; no event of Cowrie has a longer one."""

_decode = msgspec.json.Decoder(_Fields).decode
_ANY = ("protocol", "version", "hassh", "username", "password", "input", "shasum", "url", "duration", "duration_ms")


class LineDecoder:
    """
    Decodes lines to events.

    Args:
        options: Options for decoding; None for the defaults.
    """

    def __init__(self, options: LineOptions | None = None) -> None:
        self.options = options = options or LineOptions()
        self._sensor = clean(options.sensor, LONGEST_SENSOR) if options.sensor else None
        self._keeps_passwords = options.keeps_passwords
        self._keeps_lines = options.keeps_lines
        self.layout = options.layout

    def decode(self, line: bytes) -> LogEvent | Reason:
        """
        Return the event in a stripped line, or why it is not an event.

        A line with any `eventid` of Cowrie is an event, known or not; any other line belongs to another program. An
        invalid address is dropped. The fingerprint is a hash of the line without white space between its tokens,
        because Cowrie wrote that in some years only.
        """
        try:
            fields = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            lenient = _leniently(line)
            if isinstance(lenient, Reason):
                return lenient
            fields = lenient
        known = _known(fields.eventid[:LONGEST_EVENTID])
        if known is None:
            return Reason.NOT_COWRIE
        kind, read_traits = known
        at = recorded_time(fields.timestamp)
        if at is None:
            return Reason.NO_TIME
        session = fields.session
        if not session.isalnum() or len(session) > LONGEST_SESSION_ID:
            session = clean(session[:1_000_000], None).strip()
            if not session:
                return Reason.NO_SESSION
            if len(session) > LONGEST_SESSION_ID or QUALIFIER in session:
                session = f"{session[:20].replace(QUALIFIER, '_')}{QUALIFIER}{_hash(session.encode())}"
        is_spaced = line.find(SPACED, 0, LONGEST_BEFORE_SPACE) >= 0
        port = fields.src_port if kind == CONNECT else None
        record = (
            blake2b(_compact(line) if is_spaced else line, digest_size=FINGERPRINT_BYTES).digest(),
            at,
            kind,
            _address(fields.src_ip) if fields.src_ip and len(fields.src_ip) <= LONGEST_ADDRESS else None,
            port if port is not None and 0 <= port <= LARGEST_PORT else None,
            self._sensor or (_name(fields.sensor[:LONGEST_SENSOR]) if fields.sensor else None),
            _name(fields.uuid[:LONGEST_SENSOR]) if fields.uuid else None,
            recorded_traits(read_traits(fields, self._keeps_passwords)) if read_traits is not None else (),
        )
        return LogEvent(session, record, line if self._keeps_lines else None)


@lru_cache(maxsize=1024)
def _known(eventid: str) -> tuple[str, Callable[[Any, bool], Traits] | None] | None:
    """Return the kind of an event and the parser for its behavior; None if it is not an event of Cowrie."""
    if COWRIE.match(eventid) is None:
        return None
    kind = EventKind.FORWARD if eventid.startswith(FORWARDED) else KINDS.get(eventid, EventKind.OTHER)
    return kind.value, TRAIT_READERS.get(eventid)


@lru_cache(maxsize=8_192)
def _address(text: str) -> str | None:
    try:
        canonical = IpAddress.parse(text).text
    except InvalidAddress:
        return None
    return canonical if canonical != UNKNOWN_ADDRESS else None  # some programs write it for an unknown address


@lru_cache(maxsize=1024)
def _name(text: str) -> str | None:
    return clean(text, LONGEST_SENSOR) or None


def _compact(line: bytes) -> bytes:
    try:
        return msgspec.json.format(line, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return line


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def _leniently(line: bytes) -> _Fields | Reason:
    """Decode what the fast decoder rejects: unexpected types, lone surrogates, NaN, invalid UTF-8."""
    try:
        found: Any = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return Reason.NOT_JSON
    if not isinstance(found, dict):
        return Reason.NOT_AN_OBJECT
    eventid = _text(found.get("eventid")) or ""
    if COWRIE.match(eventid) is None:
        return Reason.NOT_COWRIE
    session = found.get("session")
    if not isinstance(session, str) or not session.strip():
        return Reason.NO_SESSION
    return _Fields(
        **{name: found.get(name) for name in _ANY},
        session=session,
        timestamp=found.get("timestamp"),  # type: ignore[arg-type]  # moment() accepts any type
        eventid=eventid,
        src_ip=_text(found.get("src_ip")),
        src_port=_port(found.get("src_port")),
        sensor=_text(found.get("sensor")),
        uuid=_text(found.get("uuid")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _port(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:6])
    return value if isinstance(value, int) and not isinstance(value, bool) else None
