"""Write sessions as a Parquet file with pyarrow (extra `parquet`)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, get_type_hints

from snapshots.adapters.feeds.export_format import Export, Format, sessions_written
from snapshots.adapters.feeds.session_columns import (
    CREDENTIAL_FIELDS,
    EXPORT_COLUMNS,
    LISTS,
    export_values,
)
from snapshots.app.errors import PackageMissing
from snapshots.app.pip_install import install_extra
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow
from snapshots.domain.session.logins import StoredLogin

VALUES_PER_GROUP = 4_000
"""A row group is written when it holds that many sessions and credentials. Only one is in memory."""


def write_parquet(lines: Iterable[SessionRow], to: BinaryIO) -> int:
    """
    Write sessions, and return how many.

    Raises:
        PackageMissing: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as exc:
        raise PackageMissing(f"Parquet needs the extra parquet: {install_extra('parquet')}") from exc
    kinds = {"str": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "datetime": pa.timestamp("us", tz="UTC")}
    hints, parts = get_type_hints(SessionRow), get_type_hints(StoredLogin).values()
    credentials = pa.struct([(name, kinds[_kind(hint)]) for name, hint in zip(CREDENTIAL_FIELDS, parts, strict=True)])
    fields = [(name, kinds[_kind(hints[name])]) for name in SESSION_COLUMNS]
    fields += [(name, pa.list_(credentials if name == "credentials" else pa.string())) for name in LISTS]
    schema, count = pa.schema(fields), 0
    with parquet.ParquetWriter(to, schema, compression="zstd") as writer:
        for group in _groups(lines):
            columns = dict(zip(EXPORT_COLUMNS, zip(*group, strict=True), strict=True))
            writer.write_table(pa.table(columns, schema=schema))
            count += len(group)
    return count


def _kind(hint: object) -> str:
    """Return the name of a type; of an optional type, that of the other member."""
    kinds: list[Any] = [kind for kind in getattr(hint, "__args__", (hint,)) if kind is not type(None)]
    return str(kinds[0].__name__)


def _groups(lines: Iterable[SessionRow]) -> Iterator[list[tuple[Any, ...]]]:
    group, size = list[tuple[Any, ...]](), 0
    for line in lines:
        group.append(export_values(line))
        size += 1 + len(line.activity.logins if line.activity is not None else ())
        if size >= VALUES_PER_GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _write(export: Export, to: BinaryIO) -> Sequence[str]:
    return [sessions_written(write_parquet(export.sessions(), to))]


FORMAT = Format(
    name="parquet",
    summary="A Parquet table, one row for each session.",
    extra="parquet",
    write=_write,
    is_binary=True,
)
