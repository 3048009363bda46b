"""Profiles of hypothesis, and what many tests need."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url, text

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.trial import trial_server

NUMBERS = count(1)

settings.register_profile(
    "quick", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("slow", settings.get_profile("quick"), max_examples=2000)
settings.load_profile(os.environ.get("SNAPSHOTS_HYPOTHESIS", "quick"))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A real PostgreSQL: the one that SNAPSHOTS_TEST_PG names, else one of our own. Without any the tests fail."""
    named = os.environ.get("SNAPSHOTS_TEST_PG")
    if named:
        yield named
        return
    with trial_server() as url:
        yield url


@pytest.fixture
def postgresql(server: str) -> Iterator[str]:
    """The URL of an empty database on it."""
    name = f"snapshots_test_{os.getpid()}_{next(NUMBERS)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def sql_database(sql_url: str) -> Iterator[SqlDatabase]:
    """An empty database of each kind."""
    made = SqlDatabase(sql_url)
    yield made
    made.close()
