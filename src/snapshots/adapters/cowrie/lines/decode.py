"""Decode one line of a Cowrie log to an event."""

import json
import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, TypeVar

import msgspec

from snapshots.adapters.cowrie.lines.behaviour_fields import TRAIT_READERS, clean
from snapshots.adapters.cowrie.lines.timestamps import are_recorded_times, recorded_time
from snapshots.app.ports.log_source import EventLines, LineOptions, LogEvent, Reason
from snapshots.domain.address.source_ip import LONGEST_ADDRESS, UNKNOWN_ADDRESS, IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.session.event_record import FINGERPRINT_BYTES, RecordedTraits
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

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


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

_DECODER = msgspec.json.Decoder(_Fields)
_decode, _decode_lines = _DECODER.decode, _DECODER.decode_lines
_FIRST, _LAST, _OPENING, _CLOSING = itemgetter(0), itemgetter(-1), {ord("{")}, {ord("}")}
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
        known = _known(fields.eventid)
        if known is None:
            return Reason.NOT_COWRIE
        kind, read_traits = known
        at = recorded_time(fields.timestamp)
        if at is None:
            return Reason.NO_TIME
        session = fields.session
        if not _is_usual_id(session):
            session = clean(session[:1_000_000], None).strip()
            if not session:
                return Reason.NO_SESSION
            if len(session) > LONGEST_SESSION_ID or QUALIFIER in session:
                session = f"{session[:20].replace(QUALIFIER, '_')}{QUALIFIER}{_hash(session.encode())}"
        record = (
            _fingerprint(_compact_if_spaced(line)),
            at,
            kind,
            _address(fields.src_ip),
            _port_of(fields) if kind == CONNECT else None,
            self._sensor or _name(fields.sensor),
            _name(fields.uuid),
            read_traits(fields, self._keeps_passwords) if read_traits is not None else (),
        )
        return LogEvent(session, record, line if self._keeps_lines else None)

    def decode_together(self, lines: Sequence[bytes]) -> EventLines | None:
        """
        Return the events that `decode` returns of each line, in two thirds of the time.

        Args:
            lines: Lines without separators, at least one.

        Returns:
            None unless all are events as Cowrie writes them.
        """
        if not all(lines) or {*map(_FIRST, lines)} != _OPENING or {*map(_LAST, lines)} != _CLOSING:
            return None
        try:
            found = _decode_lines(b"\n".join(lines))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        sessions, times = [fields.session for fields in found], [fields.timestamp for fields in found]
        if len(found) != len(lines) or not are_recorded_times(times) or not all(map(_is_usual_id, {*sessions})):
            return None
        known = _each_once(_known, [fields.eventid for fields in found])
        if None in known:
            return None
        kinds, readers = zip(*known, strict=True)
        are_spaced = SPACED in b"\n".join([line[:LONGEST_BEFORE_SPACE] for line in lines])
        ports = [_port_of(fields) if kind == CONNECT else None for kind, fields in zip(kinds, found, strict=True)]
        sensors = [self._sensor] * len(lines) if self._sensor else _each_once(_name, [each.sensor for each in found])
        keeps = self._keeps_passwords
        records = zip(
            map(_fingerprint, map(_compact_if_spaced, lines) if are_spaced else lines),
            times,
            kinds,
            _each_once(_address, [fields.src_ip for fields in found]),
            ports,
            sensors,
            _each_once(_name, [fields.uuid for fields in found]),
            [read(fields, keeps) if read is not None else () for read, fields in zip(readers, found, strict=True)],
            strict=True,
        )
        return EventLines(sessions, list(records), lines if self._keeps_lines else None)


def _is_usual_id(session: str) -> bool:
    return session.isalnum() and len(session) <= LONGEST_SESSION_ID


def _known(eventid: str) -> tuple[str, Callable[[Any, bool], RecordedTraits] | None] | None:
    """Return the kind of an event and the parser for its behavior; None if it is not an event of Cowrie."""
    return _known_short(eventid[:LONGEST_EVENTID])


@lru_cache(maxsize=1024)
def _known_short(eventid: str) -> tuple[str, Callable[[Any, bool], RecordedTraits] | None] | None:
    if COWRIE.match(eventid) is None:
        return None
    kind = EventKind.FORWARD if eventid.startswith(FORWARDED) else KINDS.get(eventid, EventKind.OTHER)
    return kind.value, TRAIT_READERS.get(eventid)


def _address(text: str | None) -> str | None:
    return _canonical(text) if text and len(text) <= LONGEST_ADDRESS else None


@lru_cache(maxsize=8_192)
def _canonical(text: str) -> str | None:
    try:
        canonical = IpAddress.parse(text).text
    except InvalidAddress:
        return None
    return canonical if canonical != UNKNOWN_ADDRESS else None  # some programs write it for an unknown address


def _name(text: str | None) -> str | None:
    return _cleaned(text[:LONGEST_SENSOR]) if text else None


@lru_cache(maxsize=1024)
def _cleaned(text: str) -> str | None:
    return clean(text, LONGEST_SENSOR) or None


def _port_of(fields: _Fields) -> int | None:
    port = fields.src_port
    return port if port is not None and 0 <= port <= LARGEST_PORT else None


def _each_once(function: Callable[[K], V], values: Sequence[K]) -> Sequence[V]:
    """Return the result of a function for each of values, most of which are equal to others."""
    results = {value: function(value) for value in {*values}}
    return [results[value] for value in values]


def _fingerprint(line: bytes) -> bytes:
    return blake2b(line, digest_size=FINGERPRINT_BYTES).digest()


def _compact_if_spaced(line: bytes) -> bytes:
    return _compact(line) if line.find(SPACED, 0, LONGEST_BEFORE_SPACE) >= 0 else line


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
