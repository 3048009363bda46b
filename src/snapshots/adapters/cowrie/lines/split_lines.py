"""Join the lines that a container runtime split: Docker at 16 KiB, Kubernetes (CRI) as its runtime is configured."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

_CRI = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP])(?: |\Z)")


class _Record(msgspec.Struct):
    """A line of Docker's json-file driver."""

    log: str
    stream: str = ""


_decode = msgspec.json.Decoder(_Record).decode


class LinePart(NamedTuple):
    """
    One record of a container runtime.

    Attributes:
        stream: The stream of the container, such as stdout.
        text: What the container wrote, without a newline.
        is_last: Whether the container's line ends here.
    """

    stream: bytes
    text: bytes
    is_last: bool


class JoinedLines(NamedTuple):
    """
    A split line, and the records of other streams in between.

    Attributes:
        record_count: How many records there are.
        texts: The joined line, and the other records as they are.
    """

    record_count: int
    texts: Sequence[bytes]


def part_of(line: bytes) -> LinePart | None:
    """Return the record in a line of a container's log; None if the line is not one."""
    cri = _CRI.match(line)
    if cri is not None:
        return LinePart(cri[1], line[cri.end() :], cri[2] == b"F")
    if not line.startswith(b'{"log":'):
        return None
    try:
        record = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    text = record.log.encode("utf-8", "surrogatepass")
    return LinePart(record.stream.encode("utf-8", "surrogatepass"), text.removesuffix(b"\n"), text.endswith(b"\n"))


def is_split(line: bytes) -> bool:
    """Whether a line is a record of a container runtime that another one continues."""
    part = part_of(line)
    return part is not None and not part.is_last


def joined(lines: Sequence[bytes], at: int) -> JoinedLines | None:
    """Return the split line that begins at an index, joined; None if its end is not among the lines."""
    first: LinePart | None = None
    texts: list[bytes] = []
    others: list[bytes] = []
    for number in range(at, len(lines)):
        part = part_of(lines[number])
        first = first or part
        if part is None or first is None or part.stream != first.stream:
            others.append(lines[number])
            continue
        texts.append(part.text)
        if part.is_last:
            return JoinedLines(number + 1 - at, [b"".join(texts), *others])
    return None
