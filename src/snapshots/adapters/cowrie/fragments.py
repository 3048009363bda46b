"""Find the whole JSON objects in a line of which a part is cut, glued to another, or text that a shipper put first."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from snapshots.adapters.cowrie.streams import BLANK, BOM

BUDGET, FAILURE, WINDOW = 8, 256, 64 * 1024
"""
How many bytes for each byte of a line may be read in vain, as how many bytes a vain attempt counts at least, and after
how many the text is cut off behind what was read: an error of the decoder counts the lines from the beginning of it.
"""

SEPARATORS = BLANK + b"\x00\x1e,[]"
"""What stands between events and means nothing: blanks, NULs, the record separator of RFC 7464, a list's signs."""

_OPENING = re.compile(rb'\{\s*"')
"""
Begins an object. Within a JSON text this cannot be a part of a string, in which every quote is escaped, unless the
quote ends the string; what follows then is no object. So text that an attacker typed is never taken for an event.
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
"""What shippers put before a line. Other text is not passed over: an attacker may have typed what follows it."""

_TAIL_OF = ("{", '{"', '{"k"', '{"k":', '{"k":"', '{"k":"\\', '{"k":1', '{"k":[', '{"k":["')
"""What may have stood before the end of an object whose beginning is lost."""

_decode = json.JSONDecoder().raw_decode


class WholeObject(NamedTuple):
    """
    A JSON object within a line.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        is_wrapped: Whether what stands before it is what a shipper puts there.
        value: What it says.
    """

    start: int
    end: int
    is_wrapped: bool
    value: dict[str, Any]


def whole_objects(line: bytes, *, is_first: bool = False) -> list[WholeObject]:
    """
    Return the objects of a line that are whole.

    Between them may stand what separates events, an object that is cut, and what shippers put before a line. At any
    other text the search ends.

    Args:
        line: Any bytes.
        is_first: Whether it may begin within an object, because it is the first of its content.
    """
    found: list[WholeObject] = []
    end = 0
    for start, stop, value in _objects(line):
        gap = _Gap.of(line[end:start])
        if not gap.is_harmless and not ((found or is_first) and gap.is_tail):
            return found
        found.append(WholeObject(start, stop, gap.is_prefix, value))
        end = stop
    if found and found[-1].is_wrapped and not _Gap.of(line[end:]).is_harmless:
        found.pop()  # it is a part of somebody's message
    return found


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
    """What stands between two objects of a line."""

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
        """Whether it can be the end of an object; what is like a prefix may be the text of its first field."""
        if self.is_prefix and not self.is_closed:
            return False
        return self.rest.endswith(b"}") and any(_is_object(start + self.rest.decode("latin-1")) for start in _TAIL_OF)


def _is_object(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
