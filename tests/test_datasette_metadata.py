"""The metadata for datasette describe the views as they are, and their questions have answers."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tools.build_docs import Folder

from snapshots.adapters.sql.schema.views import definitions

METADATA = yaml.safe_load(Path("docs/datasette/metadata.yaml").read_text())
(DATABASE,) = METADATA["databases"].values()
VIEWS = definitions("sqlite")
ARGUMENTS = {"asn": "4134"}
"""What a reader enters in the form of a question; datasette passes text."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """The database of a reader with the log that comes with the program, opened as by datasette."""
    path = tmp_path_factory.mktemp("datasette")
    Folder(path).run("snapshots load -q cowrie-logs")
    made = sqlite3.connect(f"file:{path}/snapshots.db?mode=ro", uri=True)
    yield made
    made.close()


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_of_a_view_has_a_meaning(connection: sqlite3.Connection, view: str) -> None:
    """And no other column: the order is that of the view."""
    columns = [name for name, *_ in connection.execute(f"SELECT * FROM {view}").description]
    described = DATABASE["tables"][view]

    assert sorted(described["columns"]) == sorted(columns)
    assert all(described["columns"].values())
    assert {*described["facets"], *described["sortable_columns"], *described.get("units", ())} <= set(columns)
    assert described.get("sort_desc", described["sortable_columns"][0]) in described["sortable_columns"]
    assert described["title"]
    assert described["description"]


def test_only_the_views_are_listed(connection: sqlite3.Connection) -> None:
    """Every table is hidden, and no other name is."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    hidden = {name for name, described in DATABASE["tables"].items() if described.get("hidden")}

    assert hidden == tables
    assert set(DATABASE["tables"]) - hidden == set(VIEWS)


@pytest.mark.parametrize("name", DATABASE["queries"])
def test_every_question_has_an_answer(connection: sqlite3.Connection, name: str) -> None:
    """In the log that comes with the program; columns have names, and each only one."""
    question = DATABASE["queries"][name]

    asked = {each: ARGUMENTS[each] for each in re.findall(r":([a-z]+)", question["sql"])}
    found = connection.execute(question["sql"], asked)
    columns = [column for column, *_ in found.description]
    assert found.fetchall()
    assert all(re.fullmatch(r"[a-z0-9_]+", column) for column in columns)
    assert len(set(columns)) == len(columns)
    assert question["title"]


def test_the_networks_of_the_week_are_those_of_its_newest_session(connection: sqlite3.Connection) -> None:
    """Whatever the date is today."""
    sql = DATABASE["queries"]["networks_of_the_week"]["sql"]

    network, *_ = connection.execute(sql)
    assert network[:7] == (4134, "Chinanet", "CN", 64, 24, 64, 0)


def test_every_session_that_downloaded_is_found(connection: sqlite3.Connection) -> None:
    """Those that v_sessions counts."""
    found = connection.execute(DATABASE["queries"]["sessions_that_downloaded"]["sql"])
    column = [name for name, *_ in found.description].index("session_id")

    counted = {name for (name,) in connection.execute("SELECT session_id FROM v_sessions WHERE downloads > 0")}
    assert {row[column] for row in found} == counted
