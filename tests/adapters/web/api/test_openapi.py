"""The description of the API is true."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
from openapi_spec_validator import validate
from starlette.routing import Route
from starlette.testclient import TestClient

from snapshots.adapters.web.api import feeds
from snapshots.adapters.web.api.operations import OPERATIONS, TOP
from snapshots.adapters.web.selection import MOST_PAIRS
from snapshots.app.queries.filters.filter_reader import FILTER_NAMES
from tests.adapters.web.api.conftest import SESSION

EXAMPLES = {"{session_id}": SESSION, "{ip}": "8.8.4.4", "{keys}": "asn,user", "{asn}": "AS15169"}
STREAM = "/api/v1/live"
SLOW = {"network", "news", "overview", "stix"}
"""Operations that ask much of the database for each request."""

OF_EVERY_KIND = [
    pytest.param(each, marks=pytest.mark.slow if each.name in SLOW else ())
    for each in OPERATIONS
    if each.path != STREAM
]


@pytest.fixture
def described(site: TestClient) -> Any:
    """The description."""
    return site.get("/api/v1/openapi.json").json()


def test_it_is_valid(described: Any) -> None:
    """By the schema of OpenAPI 3.1."""
    validate(described)


def test_it_has_every_route_that_programs_read(site: TestClient, described: Any) -> None:
    """A route that is not made from the table would not be described."""
    application: Any = site.app
    paths = {route.path.replace(":path", "") for route in application._site.routes if isinstance(route, Route)}
    pages = {"/", "/sessions", "/facts", "/search", "/add-filter", "/live", "/static/{name}", "/network/{asn}"}

    assert {path for path in paths if path.startswith(("/api/", "/feed/", "/metrics", "/healthz"))} <= described[
        "paths"
    ].keys()
    assert described["paths"].keys() <= paths
    assert pages.isdisjoint(described["paths"])


def test_the_manual_lists_every_operation() -> None:
    """And no other."""
    manual = Path("docs/reference/http-api.md").read_text()

    assert re.findall(r"^\| `(/[^`]+)` \|", manual, re.MULTILINE) == [each.path for each in OPERATIONS]


def test_the_manual_has_the_limits() -> None:
    """Of the code."""
    manual = Path("docs/reference/http-api.md").read_text()

    for limit in (feeds.MOST_SESSIONS, feeds.MOST_STIX, feeds.MOST_ADDRESSES, MOST_PAIRS, TOP.most):
        assert f"| {limit:,} |" in manual
    assert f"| {feeds.MOST_FEEDS}, each for at most {feeds.LONGEST / 60:.0f} minutes |" in manual


def test_every_filter_of_the_commands_is_described_once(described: Any) -> None:
    """By the same name."""
    assert described["components"]["parameters"].keys() == set(FILTER_NAMES)


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.path != STREAM], ids=lambda each: each.name)
def test_an_operation_answers_as_described(site: TestClient, described: Any, operation: Any) -> None:
    """With the media type and the schema of the description, and with the default of each parameter."""
    own = described["paths"][operation.path]["get"]
    path = re.sub(r"\{\w+\}", lambda found: EXAMPLES[found[0]], operation.path)
    defaults = {
        each["name"]: str(each["schema"]["default"]).lower()
        for each in own["parameters"]
        if each.get("in") == "query" and "default" in each["schema"]
    }
    found = site.get(path, params=defaults)
    ((media_type, content),) = own["responses"]["200"]["content"].items()
    document = found.json() if "json" in media_type else found.text

    assert found.status_code == 200, found.text
    assert found.headers["content-type"].partition("; charset")[0] == media_type.partition("; charset")[0]
    schema = {**content["schema"], "components": described["components"]}
    Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("operation", OF_EVERY_KIND, ids=lambda each: each.name)
def test_an_operation_takes_exactly_the_described_filters(site: TestClient, described: Any, operation: Any) -> None:
    """All others are refused, with a sentence that names them."""
    path = re.sub(r"\{\w+\}", lambda found: EXAMPLES[found[0]], operation.path)
    taken = {
        each["$ref"].rpartition("/")[2]
        for each in described["paths"][operation.path]["get"]["parameters"]
        if "$ref" in each
    }
    for name in FILTER_NAMES:
        found = site.get(f"{path}?{urlencode({name: 'none'})}")
        is_refused = (
            found.status_code == 400 and name in found.text and ("here" in found.text or "cannot be" in found.text)
        )
        assert is_refused == (name not in taken), (name, found.text)
