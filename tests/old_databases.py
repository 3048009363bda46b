"""Databases that an older version made, its answers about them, and a reader of rows that knows nothing of ours."""

import json
import lzma
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, make_url

DATA = Path("tests/data/upgrade")
VERSION = "0007"

KINDS = ("own", "adopted")
"""A database that the older version created, and one of cowrieprocessor that it adopted."""

Rows = Mapping[str, Mapping[tuple[Any, ...], Mapping[str, Any]]]
"""Rows by table and primary key."""


def extract_logs(folder: Path) -> None:
    """
    Write the logs and tables that the older version loaded, and `rest`, the end of the log that was incomplete.

    That log was just written: an incomplete line at the end of an older one becomes a dead letter.
    """
    with tarfile.open(DATA / "logs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    (folder / "log/cowrie.json").touch()


def restore(name: str, url: str) -> None:
    """Restore the database *name* into an empty database."""
    if make_url(url).get_backend_name() == "sqlite":
        path = Path(str(make_url(url).database))
        path.write_bytes(lzma.decompress((DATA / f"{name}-sqlite.db.xz").read_bytes()))
        return
    engine = create_engine(url, poolclass=NullPool)
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute(lzma.decompress((DATA / f"{name}-postgresql.sql.xz").read_bytes()).decode())
        connection.commit()


@cache
def answers(name: str, dialect: str) -> Mapping[str, str]:
    """Return what the older version printed, by command line."""
    found: dict[str, str] = json.loads(lzma.decompress((DATA / f"{name}-{dialect}.answers.json.xz").read_bytes()))
    return found


def all_rows(url: str) -> Rows:
    """Read every row of every table with the driver of the database only."""
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    with closing(_driver_connection(url)) as connection:
        cursor = connection.cursor()
        found = {}
        for table in _tables(cursor, is_sqlite=is_sqlite):
            keys = _keys(cursor, table, is_sqlite=is_sqlite)
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
            found[table] = {tuple(row[key] for key in keys or names): row for row in rows}
            assert len(found[table]) == len(rows)
    return found


def _driver_connection(url: str) -> Any:
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return sqlite3.connect(f"file:{parts.database}?mode=ro", uri=True)
    return create_engine(url, poolclass=NullPool).raw_connection()


def _tables(cursor: Any, *, is_sqlite: bool) -> list[str]:
    cursor.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        if is_sqlite
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    return sorted(name for (name,) in cursor.fetchall())


def _keys(cursor: Any, table: str, *, is_sqlite: bool) -> list[str]:
    cursor.execute(
        f"SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk"
        if is_sqlite
        else "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
        " AND a.attnum = ANY(i.indkey) WHERE i.indisprimary"
        f" AND i.indrelid = 'public.{table}'::regclass ORDER BY a.attnum"
    )
    return [name for (name,) in cursor.fetchall()]


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
