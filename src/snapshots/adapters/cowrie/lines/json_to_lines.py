"""Convert JSON arrays, pretty-printed events and Elasticsearch responses to one event per line."""

import json
import re
from collections.abc import Iterator
from io import BufferedIOBase

import msgspec

from snapshots.adapters.cowrie.lines.byte_streams import BLANK, BOM, CHUNK

LONGEST_JUNK = 64 * 1024
"""Bytes of text outside of events that are buffered before they are emitted as a line."""

SHOWN_BYTES = 16 * 1024
"""Bytes of a too long element that its line contains."""

TAIL_BYTES = 64
"""Bytes of a too long element that stay buffered, to find the colon or the key before the next bracket."""

DEEPEST = 10_000
"""Maximum nesting of an element; the decoders fail at less, and every level takes eight bytes."""

EMPTY = BLANK + b"\x00"
BETWEEN = EMPTY + b",[]{}"
"""Bytes between the events of a document that carry no data."""

BRACE, END_BRACE, BRACKET, END_BRACKET, QUOTE, BACKSLASH, COLON, NEWLINE = b'{}[]"\\:\n'
_OUTSIDE = re.compile(rb'[{}"\[\]]')
_INSIDE = re.compile(rb'["\\\n]')
_HITS = re.compile(rb'"hits"\s*:\s*\Z')
_TEXT = rb'"(?:[^"\\\n]|\\.)*"'
_PLAIN = rb'\s*(?:%b|[-+.\w]+|\{[^{}"]*(?:"[^"]*"[^{}"]*)*\})\s*' % _TEXT
_WRAPPED = re.compile(rb'\{\s*(?:%b\s*:%b,\s*)*"(?:hits|responses)"\s*:\s*[{\[]' % (_TEXT, _PLAIN))
_ARRAY = re.compile(rb"\[\s*(?:[\[{\]]|\Z)")
_PRETTY = re.compile(rb'\{(?:[^\n]*,)?[ \t\r]*\n\s*"')


def is_json_document(beginning: bytes) -> bool:
    """Whether a content begins as a JSON document rather than as one event per line."""
    text = beginning.removeprefix(BOM).lstrip(EMPTY)
    if _ARRAY.match(text) or _PRETTY.match(text):
        return True
    return (b'"hits"' in text or b'"responses"' in text) and _WRAPPED.match(text) is not None  # which is slow


class JsonLines(BufferedIOBase):
    """
    A stream of JSON texts as lines, with one compact event per line, so that it is read like any other log.

    Events may be in an array or in Elasticsearch's list of `hits`, and may span several lines; an event in an envelope
    is returned with its envelope. After a truncated event, reading continues with the next one.

    An element longer than *longest* is not buffered: its line contains its beginning and its size in bytes. So memory
    is bounded whatever the document contains.

    Args:
        stream: The document.
        longest: Maximum length of an element in bytes.
    """

    def __init__(self, stream: BufferedIOBase, longest: int) -> None:
        self._stream = stream
        self._longest = longest
        self._data = bytearray()
        self._at = self._begun = 0
        self._open: list[int] = []
        self._is_in_text = self._is_at_end = False
        self._ready = b""
        self._emitted = 0
        self._beginning = b""  # of a too long element; empty for others
        self._dropped = 0  # bytes of the element that are not buffered any more
        self._too_long = set[int]()

    def is_too_long(self, offset: int) -> bool:
        """Whether the line at an offset of this stream is the beginning of a too long element."""
        return offset in self._too_long

    def readable(self) -> bool:
        """Return True."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, at most *size*; none at the end."""
        while not self._ready and not self._is_at_end:
            chunk = self._stream.read1(CHUNK)
            self._is_at_end = not chunk
            self._ready = b"".join(self._counted(self._lines_in(chunk) if chunk else self._rest()))
        size = len(self._ready) if size < 0 else size
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._emitted += len(piece)
            yield piece

    def _lines_in(self, chunk: bytes) -> Iterator[bytes]:
        self._data += chunk
        self._begun = 0
        at = self._at
        while (found := (_INSIDE if self._is_in_text else _OUTSIDE).search(self._data, at)) is not None:
            token, start = self._data[found.start()], found.start()
            at = found.end() + (token == BACKSLASH)
            if not self._is_in_text:
                yield from self._outside(token, start)
            elif token == QUOTE:
                self._is_in_text = False
            elif token == NEWLINE:
                yield from self._broken_off(start)
        at = max(at, len(self._data))
        del self._data[: self._begun]
        self._at = at - self._begun
        if not self._open and len(self._data) > LONGEST_JUNK:
            yield from self._rest(b"\n")
            self._data, self._at = bytearray(), 0
        elif self._open and (self._beginning or len(self._data) > self._longest):
            self._drop()

    def _drop(self) -> None:
        """Drop the buffered part of a too long element, except its brace and its last bytes."""
        self._beginning = self._beginning or bytes(self._data[:SHOWN_BYTES])
        rest = bytearray(b"{") + self._data[-TAIL_BYTES:]
        self._dropped += len(self._data) - len(rest)
        self._at -= len(self._data) - len(rest)
        self._data = rest

    def _too_long_line(self, end: int) -> Iterator[bytes]:
        """Yield the beginning and the size of the element that ends at an index of the buffer."""
        beginning = (self._beginning or bytes(self._data[self._begun : self._begun + SHOWN_BYTES])).rstrip(BETWEEN)
        size = self._dropped + end - self._begun
        self._too_long.add(self._emitted)
        self._beginning, self._dropped = b"", 0
        yield beginning.replace(b"\n", b" ") + b" ... (%d bytes)\n" % size

    def _outside(self, token: int, start: int) -> Iterator[bytes]:
        """Handle a token outside of strings."""
        if token == BRACE:
            yield from self._opened(start)
        elif not self._open:
            return
        elif token == QUOTE:
            self._is_in_text = True
        elif token == BRACKET:
            yield from self._list_opened(start)
        else:
            self._open.pop()
            if not self._open:
                yield from self._ended(start + 1)

    def _opened(self, start: int) -> Iterator[bytes]:
        if not self._may_open(start) or len(self._open) == DEEPEST:
            yield from self._broken_off(start)
        elif not self._open:
            yield from _junk(self._data[self._begun : start])
            self._begun = start
        self._open.append(BRACE)

    def _list_opened(self, start: int) -> Iterator[bytes]:
        if _HITS.search(self._data, max(self._begun, start - 32), start):
            if self._beginning:
                yield from self._too_long_line(start)
            self._begun, self._open = start + 1, []  # the object around the hits is not an event
        elif len(self._open) == DEEPEST:
            yield from self._broken_off(start)
        else:
            self._open.append(BRACKET)

    def _ended(self, end: int) -> Iterator[bytes]:
        if self._dropped + end - self._begun > self._longest:
            yield from self._too_long_line(end)
        else:
            yield from _event(bytes(self._data[self._begun : end]))
        self._begun = end

    def _broken_off(self, end: int) -> Iterator[bytes]:
        """End the current event before its closing brace, because the next bytes are not allowed within it."""
        yield from self._too_long_line(end) if self._beginning else _junk(self._data[self._begun : end], EMPTY + b",")
        self._begun, self._open, self._is_in_text = end, [], False

    def _may_open(self, start: int) -> bool:
        """Whether an object may begin here: within an object only after a colon."""
        if not self._open or self._open[-1] == BRACKET:
            return True
        while self._data[start - 1] in EMPTY:  # ends at the latest at the brace that opened the event
            start -= 1
        return self._data[start - 1] == COLON

    def _rest(self, end: bytes = b"") -> Iterator[bytes]:
        """Yield the incomplete last element, or the text after the last one."""
        if self._beginning:
            yield next(self._too_long_line(len(self._data))).rstrip(b"\n") + end
            return
        rest = bytes(self._data).strip(EMPTY) if self._open else bytes(self._data).strip(BETWEEN)
        if rest:
            yield rest.replace(b"\n", b" ") + end


def _junk(data: bytearray, means_nothing: bytes = BETWEEN) -> Iterator[bytes]:
    text = bytes(data).removeprefix(BOM).strip(means_nothing)
    if text:
        yield text.replace(b"\n", b" ") + b"\n"


def _event(text: bytes) -> Iterator[bytes]:
    """Yield an event as a compact line; invalid JSON unchanged."""
    try:
        yield as_cowrie_writes(text) + b"\n"
    except (msgspec.DecodeError, ValueError, RecursionError):
        yield _leniently(text).replace(b"\n", b" ") + b"\n"


def as_cowrie_writes(event: bytes) -> bytes:
    """
    Return a JSON text without white space between its parts, and in ASCII with the escapes that Python writes.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    if event.isascii() and b"\\" not in event:
        return msgspec.json.format(event, indent=-1)
    return json.dumps(json.loads(event), separators=(",", ":")).encode()


def _leniently(text: bytes) -> bytes:
    """Decode what the fast decoder rejects, such as invalid UTF-8."""
    try:
        return json.dumps(json.loads(text.decode("utf-8", "replace")), separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return text
