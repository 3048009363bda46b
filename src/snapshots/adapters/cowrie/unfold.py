"""Events that do not stand one in a line: JSON arrays, pretty-printed events, and what Elasticsearch wraps them in."""

import re
from collections.abc import Iterator
from io import BufferedIOBase

import msgspec

CHUNK = 1024 * 1024
LONGEST_JUNK = 64 * 1024
BLANK = b" \t\r\n\x0b\x0c\x00"
BOM = b"\xef\xbb\xbf"
BETWEEN = BLANK + b",[]"
"""What stands between events in a document, and means nothing."""

BRACE, END_BRACE, QUOTE, BACKSLASH = b'{}"\\'
_OUTSIDE = re.compile(rb'[{}"]')
_INSIDE = re.compile(rb'["\\\n]')
_PRETTY = re.compile(rb"\{[ \t\r]*\n")


class _Hit(msgspec.Struct):
    source: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="_source")


class _Hits(msgspec.Struct):
    hits: list[_Hit] = []


class _Wrapped(_Hit):
    hits: _Hits | None = None


_unwrap = msgspec.json.Decoder(_Wrapped).decode


def is_folded(beginning: bytes) -> bool:
    """Whether a content begins as one whose events do not stand one in a line."""
    text = beginning.removeprefix(BOM).lstrip(BLANK)
    return text[:1] == b"[" or _PRETTY.match(text) is not None or b'"_source"' in text.partition(b"\n")[0]


class Unfolded(BufferedIOBase):
    """
    A stream of JSON texts as lines: every outermost object in a line of its own, without white space between its parts.

    So it can be read and known again as any other log. The objects may stand in an array, each may reach over
    several lines, and each may be wrapped as `_source`, or many as `hits`, by Elasticsearch. A newline within a
    text is none that JSON allows; there an object is broken off, and the next one is found again.

    Args:
        stream: What to read.
        longest: How many bytes of an object are read; a longer one becomes a line that is too long.
    """

    def __init__(self, stream: BufferedIOBase, longest: int) -> None:
        self._stream = stream
        self._longest = longest
        self._data = bytearray()
        self._at = self._depth = 0
        self._is_in_text = self._is_at_end = False
        self._ready = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, at most *size*; none at the end."""
        while not self._ready and not self._is_at_end:
            chunk = self._stream.read1(CHUNK)
            self._is_at_end = not chunk
            self._ready = b"".join(self._lines_in(chunk) if chunk else self._rest())
        size = len(self._ready) if size < 0 else size
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken

    def _lines_in(self, chunk: bytes) -> Iterator[bytes]:
        self._data += chunk
        data, at, begun = self._data, self._at, 0
        while (found := (_INSIDE if self._is_in_text else _OUTSIDE).search(data, at)) is not None:
            token, start, at = data[found.start()], found.start(), found.end()
            if token == BACKSLASH:
                if at == len(data):
                    at = start  # what it escapes is still to come
                    break
                at += 1
            elif token == QUOTE:
                self._is_in_text = self._depth > 0 and not self._is_in_text
            elif token == BRACE:
                if not self._depth:
                    yield from _junk(data[begun:start])
                    begun = start
                self._depth += 1
            elif token == END_BRACE:
                self._depth = max(0, self._depth - 1)
                if not self._depth:
                    yield from _events(bytes(data[begun:at]))
                    begun = at
            else:
                yield from _junk(data[begun:at])
                begun, self._depth, self._is_in_text = at, 0, False
        else:
            at = len(data)
        del data[:begun]
        self._at = at - begun
        if len(data) > (self._longest if self._depth else LONGEST_JUNK):
            yield from self._rest(b"\n")
            self._data, self._at, self._depth, self._is_in_text = bytearray(), 0, 0, False

    def _rest(self, end: bytes = b"") -> Iterator[bytes]:
        """Yield what was begun and is not whole."""
        rest = bytes(self._data).strip(BETWEEN)
        if rest:
            yield rest.replace(b"\n", b" ") + end


def _junk(data: bytearray) -> Iterator[bytes]:
    text = bytes(data).removeprefix(BOM).strip(BETWEEN)
    if text:
        yield text.replace(b"\n", b" ") + b"\n"


def _events(text: bytes) -> Iterator[bytes]:
    """Yield the events in an outermost object, each as a line."""
    events = [text]
    if b'"_source"' in text:
        try:
            wrapped = _unwrap(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            wrapped = _Wrapped()
        hits = [wrapped, *(wrapped.hits.hits if wrapped.hits is not None else ())]
        events = [bytes(hit.source) for hit in hits if bytes(hit.source)] or events
    for event in events:
        try:
            yield msgspec.json.format(event, indent=-1) + b"\n"
        except (msgspec.DecodeError, RecursionError):
            yield event.replace(b"\n", b" ") + b"\n"
