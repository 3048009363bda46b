"""Every store in every kind of database."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.ports import Database
from tests.fakes import InMemoryDatabase

PARTITIONS = int(os.environ.get("SNAPSHOTS_PARTITIONS", "0"))
"""Into how many partitions PostgreSQL's sessions are laid for these suites; none if it is 0."""


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "memory":
        yield InMemoryDatabase()
        return
    url = request.getfixturevalue("postgresql") if request.param == "postgresql" else f"sqlite:///{tmp_path}/test.db"
    made = SqlDatabase(url)
    if PARTITIONS and request.param == "postgresql":
        made.migrate(partitions=PARTITIONS)
    yield made
    made.close()
