"""Find the complete JSON objects in a line that is truncated, concatenated, or prefixed by a log shipper."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from snapshots.adapters.cowrie.lines.byte_streams import BLANK, BOM

BUDGET, FAILURE, WINDOW = 8, 256, 64 * 1024
"""
Limits on failed parse attempts, so that a hostile line takes linear time: bytes parsed in vain per byte of the line,
the minimum cost of an attempt, and the size at which consumed text is dropped (JSONDecodeError scans all of it).
"""

SEPARATORS = BLANK + b"\x00\x1e,[]"
"""Bytes between events without a meaning: blanks, NULs, the record separator of RFC 7464, list punctuation."""

_OPENING = re.compile(rb'\{\s*"')
"""
The start of an object. In valid JSON it cannot occur inside a string, where every quote is escaped, unless the quote
ends the string; then no valid object follows. So text that an attacker typed is never parsed as an event.
"""

_CUT = re.compile(rb'\{[\s\x00\x1e,\[\]{]*(?:"|\Z)')

_TIME = (
    rb"(?:(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d| UTC)?"
    rb"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d+)?(?: \d{4})?"
    rb"|\d{10,19}(?:\.\d+)?)"
)
_NAME = rb"[\w.@:/+-]+"
_PREFIX = re.compile(
    rb"(?i:(?![^{]*\b(?:trace|debug|info|notice|warn|warning|error|critical|fatal)\b))"
    rb"(?:[\w.@-]+ +\| *(?:%(time)b)?"  # docker compose
    rb"|\[pod/[\w./-]+\] *(?:%(time)b)?"  # kubectl logs --prefix
    rb"|%(time)b (?:stdout|stderr) [FP]"  # CRI
    rb"|(?:(?:\d+ )?<\d{1,3}>)?1 %(time)b(?: %(name)b){4} (?:-|(?:\[[^\]\"]*(?:\"[^\"]*\"[^\]\"]*)*\])+)"  # RFC 5424
    rb"|(?:<\d{1,3}>)?%(time)b(?: +%(name)b)? +[\w.@/-]+(?:\[[\w.]+\]:?|:)"  # syslog, journalctl
    rb"|%(time)b +\{\w+=\"[^\"{}]*\"(?:, *\w+=\"[^\"{}]*\")*\}"  # logcli
    rb"|%(time)b(?:[ \t,]+%(name)b)?"  # CloudWatch, Fluentd
    rb"|[\w./-]+\.[\w.-]+:(?:\d+[:-])?"  # grep
    rb"|MESSAGE=)?"  # the journal's export format
    rb"[ \t]*(?:\xef\xbb\xbf)?(?:@cee: ?)?" % {b"time": _TIME, b"name": _NAME}
)
"""Prefixes of log shippers. Other prefixes are not skipped, because an attacker may have typed the text after them."""

_TAIL_OF = ("{", '{"', '{"k"', '{"k":', '{"k":"', '{"k":"\\', '{"k":1', '{"k":[', '{"k":["')
"""Possible beginnings of an object that has lost its start."""

_decode = json.JSONDecoder().raw_decode


class WholeObject(NamedTuple):
    """
    A JSON object within a line.

    Attributes:
        start: Offset of its first byte.
        end: Offset after its last byte.
        is_wrapped: Whether it follows a prefix of a log shipper.
        value: The decoded object.
    """

    start: int
    end: int
    is_wrapped: bool
    value: dict[str, Any]


def whole_objects(line: bytes, *, is_first: bool = False) -> Iterator[WholeObject]:
    """
    Yield the complete objects of a line.

    Separators, truncated objects and prefixes of shippers between them are skipped. The search ends at any other text.

    Args:
        line: Any bytes.
        is_first: Whether it is the first line of its content, which may begin in the middle of an object.
    """
    last: WholeObject | None = None
    end = 0
    for start, stop, value in _objects(line):
        gap = _Gap.of(line[end:start])
        is_end = not gap.is_harmless and not ((last is not None or is_first) and gap.is_tail)
        if last is not None:
            yield last
        if is_end:
            return
        last, end = WholeObject(start, stop, gap.is_prefix, value), stop
    if last is not None and (not last.is_wrapped or _Gap.of(line[end:]).is_harmless):
        yield last  # otherwise it is part of a longer message


def _objects(line: bytes) -> Iterator[tuple[int, int, dict[str, Any]]]:
    text = line.decode("latin-1")
    at = base = 0
    budget = BUDGET * len(line) + WINDOW
    while budget >= 0 and (opening := _OPENING.search(line, at)) is not None:
        start = opening.start()
        if start - base > WINDOW:
            text, base = text[start - base :], start
        try:
            value, end = _decode(text, start - base)
        except RecursionError:
            return
        except ValueError as error:
            is_known = isinstance(error, json.JSONDecodeError) and not error.msg.startswith("Unterminated")
            stopped = base + getattr(error, "pos", 0) if is_known else len(line)
            budget -= max(FAILURE, stopped - start)
            at = start + 1
        else:
            at = base + end
            whole = line[start:at]
            yield start, at, value if whole.isascii() else json.loads(whole.decode("utf-8", "replace"))


class _Gap(NamedTuple):
    """The text between two objects of a line."""

    rest: bytes
    is_prefix: bool
    is_closed: bool

    @classmethod
    def of(cls, gap: bytes) -> "_Gap":
        text = gap.strip(BLANK + b"\x00\x1e").removeprefix(BOM)
        prefix = _PREFIX.match(text)
        length = prefix.end() if prefix is not None else 0
        return cls(text[length:].strip(SEPARATORS), length > 0, text[length : length + 1] == b'"')

    @property
    def is_harmless(self) -> bool:
        return not self.rest or _CUT.match(self.rest) is not None

    @property
    def is_tail(self) -> bool:
        """Whether it can be the end of an object; text that looks like a prefix may be the value of its first field."""
        if self.is_prefix and not self.is_closed:
            return False
        return self.rest.endswith(b"}") and any(_is_object(start + self.rest.decode("latin-1")) for start in _TAIL_OF)


def _is_object(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
