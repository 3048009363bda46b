"""Every store in every kind of database."""

import os
from collections.abc import Iterator

import pytest

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.ports.database import Database
from tests.fakes import InMemoryDatabase

PARTITIONS = int(os.environ.get("SNAPSHOTS_PARTITIONS", "0"))
"""Into how many partitions PostgreSQL's sessions are laid for these suites; none if it is 0."""


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.param == "memory":
        yield InMemoryDatabase()
        return
    if PARTITIONS and request.param == "postgresql":
        made = SqlDatabase(request.getfixturevalue("postgresql"))
        made.migrate(partitions=PARTITIONS)
    else:
        made = SqlDatabase(request.getfixturevalue(f"migrated_{request.param}"))
    yield made
    made.close()
