"""Extract Cowrie events from the envelopes of log shippers."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from snapshots.adapters.cowrie.lines.byte_streams import BLANK
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.fragments import whole_objects
from snapshots.app.ports.log_source import LogEvent

DEEPEST = 12
"""Maximum nesting of an event in objects, lists and strings; Elasticsearch responses need five levels."""

REQUIRED = frozenset({"eventid", "session", "timestamp"})

ATTACK = frozenset(
    {"eventid", "event_type", "session", "session_id", "src_ip", "src_port", "source_ip", "dst_ip", "dst_port"}
    | {"dest_ip", "dest_port", "remote_ip", "client_ip", "attacker_ip", "peer", "peer_ip", "username", "password"}
    | {"user_agent", "post_data", "remote_addr", "remote_host", "remote_port", "client_addr", "client_port", "src_host"}
    | {"src_addr", "dst_host", "source_port", "peer_port", "addr", "ip", "orig_h", "resp_h"}
)
"""
Fields of objects that describe an attack: such an object is not an envelope, and its text may be the attacker's. Other
programs write them as `srcIP` or `RemoteAddr`, and shippers as `_src_ip` or `honeypot.src_ip`.
"""

ENDS = ("source", "client", "destination")
"""Objects that describe a connection in the Elastic Common Schema."""

TEXTS = frozenset(
    {"body", "content", "data", "entry", "event", "line", "log", "message", "msg", "original", "payload", "raw"}
    | {"record", "text", "value", "values"}
)
TYPED = frozenset({"agent", "cmd", "command", "header", "http", "input", "query", "req", "request", "response", "user"})
"""Words in the names of fields that contain a log line, and of fields that contain text of an attacker."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_CSV = re.compile(rb'(?:^|[,;\t])"(\{(?:[^"]|"")*\})"(?=[,;\t]|$)')
_ADDRESS = re.compile(rb"\b\d{1,3}(?:\.\d{1,3}){3}\b")


def events_in_object(decoder: LineDecoder, envelope: Mapping[str, Any], depth: int = DEEPEST) -> list[LogEvent]:
    """
    Return the events in an object that is not an event itself.

    They are nested objects at any depth, or strings in the fields that shippers use for lines. Strings are preferred,
    because they are the original line.

    Args:
        decoder: Turns lines into events.
        envelope: The object of a shipper.
        depth: How many more levels to search.
    """
    if flat := _flattened(envelope):
        return _event(decoder, flat)  # an attacker may have typed the text in other fields
    if depth == 0 or any(map(_describes_attack, envelope)):
        return []
    if any(isinstance(envelope.get(name), dict | list) for name in ENDS):
        return []
    texts = (value for name, value in envelope.items() if _holds_a_line(name))
    found = [event for value in texts for event in _in_texts(decoder, value, depth - 1)]
    if not found:
        fields = (value for name, value in envelope.items() if not _is_typed(name))
        found = [event for value in fields for event in _in_fields(decoder, value, depth - 1)]
    return list({event.record[0]: event for event in found}.values())


def events_in_text(decoder: LineDecoder, text: bytes, depth: int = DEEPEST) -> list[LogEvent]:
    """Return the events in a text of one or several lines, each with an optional prefix of a shipper."""
    decoded = decoder.decode(text.strip(BLANK))
    if isinstance(decoded, LogEvent):
        return [decoded]
    found: list[LogEvent] = []
    for start, end, _, value in whole_objects(text):
        decoded = decoder.decode(text[start:end])
        found += [decoded] if isinstance(decoded, LogEvent) else events_in_object(decoder, value, depth)
    return found


def events_in_row(decoder: LineDecoder, row: bytes) -> list[LogEvent]:
    """Return the events in a CSV row; a row with an IP address in another column belongs to another program."""
    field = _CSV.search(row)
    if field is None or _ADDRESS.search(row[: field.start()] + b" " + row[field.end() :]):
        return []
    return events_in_text(decoder, field[1].replace(b'""', b'"'))


def _in_texts(decoder: LineDecoder, value: object, depth: int) -> Iterable[LogEvent]:
    if isinstance(value, str):
        return events_in_text(decoder, value.encode("utf-8", "surrogatepass"), depth) if "{" in value else ()
    if not isinstance(value, list) or depth <= 0:
        return ()
    if value and all(type(byte) is int and 0 <= byte <= 255 for byte in value):
        return events_in_text(decoder, bytes(value), depth)  # the journal exports binary fields as lists of bytes
    return [event for each in value for event in _in_texts(decoder, each, depth - 1)]


def _in_fields(decoder: LineDecoder, value: object, depth: int) -> Iterable[LogEvent]:
    if isinstance(value, list) and depth > 0:
        return [event for each in value for event in _in_fields(decoder, each, depth - 1)]
    if not isinstance(value, dict):
        return ()
    return _event(decoder, value) if value.keys() >= REQUIRED else events_in_object(decoder, value, depth)


def _event(decoder: LineDecoder, fields: Mapping[str, Any]) -> list[LogEvent]:
    decoded = decoder.decode(json.dumps(fields, separators=(",", ":")).encode())  # as Cowrie writes it
    return [decoded] if isinstance(decoded, LogEvent) else []


def _flattened(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event whose fields have a common prefix, as in `_eventid` or `cowrie.eventid`, without the prefix."""
    for name in envelope:
        start = name.removesuffix("eventid")
        if len(start) < len(name) and all(start + field in envelope for field in REQUIRED):
            return {key.removeprefix(start): value for key, value in envelope.items() if key.startswith(start)}
    return {}


@lru_cache(maxsize=1024)
def _holds_a_line(name: str) -> bool:
    words = _words(name)
    return bool(words) and words[-1] in TEXTS and not _is_typed(name)


@lru_cache(maxsize=1024)
def _is_typed(name: str) -> bool:
    return not TYPED.isdisjoint(_words(name))


@lru_cache(maxsize=1024)
def _describes_attack(name: str) -> bool:
    first, *_, last = name.split(".") if "." in name else ("", name)
    return first in ENDS or "_".join(_words(last)) in ATTACK


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
