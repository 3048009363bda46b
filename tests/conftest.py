"""Profiles of hypothesis, and what many tests need."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url, text

from snapshots.adapters.sql.connection.temporary_server import trial_server
from snapshots.adapters.sql.database import SqlDatabase

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


@contextmanager
def database_on(server: str, template: str) -> Iterator[str]:
    name = f"snapshots_test_{os.getpid()}_{next(NUMBERS)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def create_tables(url: str) -> None:
    made = SqlDatabase(url)
    made.migrate()
    made.close()


@pytest.fixture
def postgresql(server: str) -> Iterator[str]:
    """The URL of a database on it without any table."""
    with database_on(server, "template0") as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_template(server: str) -> Iterator[str]:
    """The name of a database with all tables and no rows. Copying it is faster than migrating."""
    with database_on(server, "template0") as url:
        create_tables(url)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and no rows."""
    path = tmp_path_factory.mktemp("template") / "test.db"
    create_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def migrated_postgresql(server: str, postgresql_template: str) -> Iterator[str]:
    """The URL of a database with all tables and no rows."""
    with database_on(server, postgresql_template) as url:
        yield url


@pytest.fixture
def migrated_sqlite(tmp_path: Path, sqlite_template: Path) -> str:
    """The URL of a file with all tables and no rows."""
    shutil.copyfile(sqlite_template, tmp_path / "test.db")
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database of each kind, with all tables and no rows."""
    return str(request.getfixturevalue(f"migrated_{request.param}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def unmigrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind without any table."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def sql_database(sql_url: str) -> Iterator[SqlDatabase]:
    """A database of each kind, with all tables and no rows."""
    made = SqlDatabase(sql_url)
    yield made
    made.close()
