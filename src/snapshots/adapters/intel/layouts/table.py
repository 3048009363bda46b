"""The text of a table, and how it is read."""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from snapshots.adapters.intel.unpack import Content
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts

SAMPLE = 20_000
"""Lines from which the meaning of columns is derived; later lines that contradict it are counted."""

LONGEST_LINE = 2**20
LARGEST_DOCUMENT = 2**29
"""Maximum number of bytes of a JSON document, which is decoded as a whole."""

T = TypeVar("T")

Unused = Counter[str]
"""Numbers of rows that are not used, by the reason."""


EXCLUDED = IpFacts()
"""The facts of a row that is excluded from a wider one, whatever the type of the table is."""


class Row(NamedTuple):
    """A range of addresses of one IP version, both ends included, and its facts."""

    version: int
    first: int
    last: int
    facts: IpFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    How a table is read.

    Attributes:
        rows: Reads the rows of the table, and counts the others.
        ip_type: The type of all addresses, if the kind of the table implies it.
        stated: Which of "asn", "country" and "type" its rows state.
        built_at: The moment that the table states for itself, in UTC.
    """

    rows: Callable[[Unused], Iterator[Row]]
    ip_type: IpType | None = None
    stated: frozenset[str] = frozenset()
    built_at: datetime | None = None


class TableText:
    """
    A file with a table.

    Args:
        path: The file, for messages.
        content: The decompressed content.
        neighbors: Returns the tables in the same folder or archive.

    Attributes:
        is_chosen: Whether the operator named the layout, so that the name of the file does not matter.
    """

    def __init__(
        self, path: Path, content: Content, neighbors: Callable[[], Sequence["TableText"]] = lambda: ()
    ) -> None:
        self.path = path
        self.file_name = content.name
        self.name = content.name.lower()
        self.neighbors = neighbors
        self.is_chosen = False
        self._content = content
        self._cached: dict[object, object] = {}

    def cached(self, make: "Callable[[TableText], T]") -> "T":
        """Return what *make* returns for this table, made once."""
        if make not in self._cached:
            self._cached[make] = make(self)
        return cast("T", self._cached[make])

    def lines(self, *, longest: int = LONGEST_LINE) -> Iterator[str]:
        """Yield the lines without their ends; a longer line than any table has is cut."""
        with self._content.open() as file:
            text = io.TextIOWrapper(file, _encoding_of(file.peek(4)[:4]), errors="replace", newline=None)
            is_rest = False
            for line in iter(partial(text.readline, longest), ""):
                if not is_rest:
                    yield line.rstrip("\n").replace("\x00", "\ufffd")
                is_rest = not line.endswith("\n")

    @cached_property
    def head(self) -> Sequence[str]:
        """Return the first lines that are not blank."""
        return list(islice((line for line in self.lines() if line.strip()), SAMPLE))

    @property
    def first_line(self) -> str:
        """Return the first line that is not blank; "" if there is none."""
        return self.head[0].strip() if self.head else ""

    @cached_property
    def document(self) -> Any:
        """Return the decoded JSON document, or a list of the objects in JSON lines; None for everything else."""
        if self.first_line[:1] not in {"{", "["}:
            return None
        data = bytearray()
        for line in self.lines(longest=LARGEST_DOCUMENT):
            data += line.encode("utf-8", "surrogatepass") + b"\n"
            if len(data) > LARGEST_DOCUMENT:
                raise SourceUnreadable(f"{self.path} is a JSON document of more than {LARGEST_DOCUMENT // 2**20} MiB")
        with suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(data)
        with suppress(msgspec.DecodeError, RecursionError):
            return [msgspec.json.decode(line) for line in data.splitlines() if line.strip()]
        return None

    def read(self, size: int = -1) -> bytes:
        """Return the first bytes, or all."""
        with self._content.open() as file:
            return file.read(size)


def _encoding_of(head: bytes) -> str:
    """Return the encoding of a text from its first bytes; without a mark, every second byte of UTF-16 is zero."""
    if head in {b"\xff\xfe\0\0", b"\0\0\xfe\xff"}:
        return "utf-32"
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    zeros = bytes(byte == 0 for byte in head)
    return {b"\0\1\0\1": "utf-16-le", b"\1\0\1\0": "utf-16-be"}.get(zeros, "utf-8-sig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """
    A kind of table.

    Attributes:
        name: The value of `--layout`.
        summary: What it is, for the documentation.
        reading: Returns how a table is read; None if the table has another layout.
    """

    name: str
    summary: str
    reading: Callable[[TableText], Reading | None]
