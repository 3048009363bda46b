"""Store event lines of sessions, compressed, in SQL."""

import zlib
from collections.abc import Collection, Sequence
from functools import cache
from hashlib import blake2b
from importlib import resources

from sqlalchemy import Connection, select

from snapshots.adapters.sql.connection.dialects.statements import insert
from snapshots.adapters.sql.schema.tables import event_lines
from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.logs import EventPart

LEVEL = 6
FORM = b"\x01"
"""First byte of packed lines: the version of the compression dictionary."""


class SqlEventLines:
    """Rows of `event_lines`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def store_lines(self, parts: Collection[EventPart], *, run: str) -> None:
        """Insert a row for each part."""
        rows = [
            {
                "session_id": part.session_id,
                "part": _number(part.lines),
                "run": run,
                "lines": len(part.lines),
                "packed": packed(part.lines),
            }
            for part in parts
            if part.lines
        ]
        if rows:
            self._connection.execute(insert(self._connection, event_lines).on_conflict_do_nothing(), rows)

    def of(self, session_id: str) -> Sequence[bytes]:
        """Return the lines of every row of a session."""
        query = select(event_lines.c.packed).where(event_lines.c.session_id == session_id)
        return [line for part in self._connection.execute(query).scalars() for line in unpacked(bytes(part))]


def _number(lines: Sequence[bytes]) -> int:
    """Return a signed 64-bit hash of lines, so that the same lines are stored once."""
    return int.from_bytes(blake2b(b"\n".join(lines), digest_size=8).digest(), "big", signed=True)


def packed(lines: Sequence[bytes]) -> bytes:
    """
    Compress lines with deflate and a preset dictionary of common Cowrie text.

    Args:
        lines: Without newlines.
    """
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_dictionary(FORM))
    return FORM + deflate.compress(b"\n".join(lines)) + deflate.flush()


def unpacked(part: bytes) -> Sequence[bytes]:
    """
    Decompress packed lines.

    Raises:
        StoreUnavailable: The data are damaged.
    """
    try:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_dictionary(part[:1]))
        text = inflate.decompress(part[1:]) + inflate.flush()
    except (KeyError, zlib.error) as exc:
        raise StoreUnavailable(f"stored lines cannot be unpacked: {exc}") from exc
    if not inflate.eof:
        raise StoreUnavailable("stored lines cannot be unpacked: they are truncated")
    return text.split(b"\n")


@cache
def _dictionary(form: bytes) -> bytes:
    """Return the dictionary of a version; released dictionaries never change, or stored lines would be lost."""
    name = {FORM: "cowrie-lines-1.txt"}[form]
    return resources.files("snapshots.adapters.sql").joinpath("data", name).read_bytes()
