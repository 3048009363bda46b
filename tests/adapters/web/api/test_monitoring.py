"""Metrics and health of the site."""

import asyncio
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient

from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.api.monitoring import Monitoring
from snapshots.app.errors import StoreGone
from tests.adapters.web.client import site_client


def test_metrics_are_those_of_the_database(site: TestClient) -> None:
    """In the text format of Prometheus."""
    found = site.get("/metrics")

    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nsnapshots_sessions " in found.text


def test_health_needs_no_token_and_has_no_details(loaded: str) -> None:
    """Metrics need it."""
    with site_client(loaded, token="0123456789abcdef") as client:
        health, metrics = client.get("/healthz"), client.get("/metrics")

    assert (health.status_code, health.text) == (200, "ok\n")
    assert metrics.status_code == 401


class Database:
    """A database that fails, or that does not answer until it is released."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.asked = 0
        self.released = Event()

    def data_version(self) -> str:
        self.asked += 1
        if self.fails:
            raise StoreGone("postgresql://reader@10.0.0.7 is gone")
        self.released.wait()
        return ""


@pytest.fixture
def silent() -> Iterator[Database]:
    """A database that does not answer during the test."""
    database = Database(fails=False)
    yield database
    database.released.set()


def asked_twice(database: Any, seconds: float) -> list[Any]:
    """Ask for the health of a database two times."""

    async def both() -> list[Any]:
        monitoring = Monitoring(database, Answers(), health_seconds=seconds)
        asked: Any = None
        found = [await monitoring.health(asked), await monitoring.health(asked)]
        if not database.fails:
            database.released.set()
        return found

    return asyncio.run(both())


def test_a_database_that_fails_is_not_healthy() -> None:
    """The error names a server, which the answer must not."""
    database = Database(fails=True)
    found = asked_twice(database, 10)

    assert [each.status_code for each in found] == [503, 503]
    assert b"10.0.0.7" not in found[0].body
    assert database.asked == 1  # within a second


def test_a_database_that_does_not_answer_is_not_healthy(silent: Database) -> None:
    """Further requests wait for the same query."""
    found = asked_twice(silent, 0.01)

    assert [each.status_code for each in found] == [503, 503]
    assert silent.asked == 1
