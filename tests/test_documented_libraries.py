"""The libraries that docs/reference/views.md names read what the program stores and exports."""

from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tools.build_docs import Folder

from tests.documents import Block, blocks

pytestmark = pytest.mark.site

MINE = [block for block in blocks(Path("docs/reference/views.md")) if str(block.test) == f"tests/{Path(__file__).name}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database, and an export of it."""
    path = tmp_path_factory.mktemp("libraries")
    program = Folder(path)
    program.run("snapshots load -q cowrie-logs")
    assert "83 sessions" in program.run("snapshots export sessions.parquet --format parquet")
    return path


def only(language: str) -> Block:
    (block,) = [block for block in MINE if block.language == language]
    return block


def test_pandas_reads_the_view_of_sessions(folder: Path) -> None:
    """With times as times."""
    names: dict[str, Any] = {}
    with chdir(folder):
        exec(compile(only("python").text, "views.md", "exec"), names)
    names["connection"].close()

    assert len(names["sessions"]) == 83
    assert str(names["sessions"]["first_event_at"].dtype).startswith("datetime64")


def test_duckdb_reads_the_lists_of_an_export(folder: Path) -> None:
    """A row for each command."""
    with chdir(folder), import_module("duckdb").connect() as connection:
        rows = connection.sql(only("sql").text).fetchall()

    assert (4134, "enable") in rows
