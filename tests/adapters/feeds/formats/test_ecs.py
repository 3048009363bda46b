"""Documents, index template and dashboard for Elasticsearch belong together."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from snapshots.adapters.feeds.formats.ecs import INDEX, ecs_document, ecs_lines
from snapshots.adapters.feeds.json_text import plain
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.logins import StoredLogin

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = {row["field"]: row for row in csv.DictReader(Path("tests/data/ecs-fields.csv").read_text().splitlines())}
TEMPLATE = json.loads(Path("docs/elastic/index-template.json").read_text())
DASHBOARD = [json.loads(line) for line in Path("docs/elastic/dashboard.ndjson").read_text().splitlines()]
CATEGORIES = {"authentication", "intrusion_detection", "network"}
TYPES = {"connection", "info"}

TEXTS = {"source_ip": "8.8.8.8", "country": "US", "protocol": "ssh", "download_hash": "a" * 64}
VALUES: dict[str, object] = {"str": "text", "int": 1, "bool": True, "datetime": NOON}
KINDS = {
    name: str(hint).partition(" |")[0].removeprefix("<class '") for name, hint in get_type_hints(SessionRow).items()
}
FULL = SessionRow(
    **{  # type: ignore[arg-type]
        name: TEXTS.get(name, VALUES[re.sub(r"\W|datetime\.", "", KINDS[name])]) for name in SESSION_COLUMNS
    },
    activity=Activity(
        logins=(StoredLogin("root", "b" * 64, "x", attempts=2, successes=0),),
        commands=("id", "uname -a"),
        urls=("http://192.0.2.1/x",),
        file_hashes=("a" * 64,),
        ssh_keys=("SHA256:x",),
    ),
)
"""A session with a value for every attribute."""

FOREIGN = FULL._replace(source_ip="unknown")
"""A session of another loader without a valid address."""

BARE = FULL._replace(
    **dict.fromkeys([name for name in SESSION_COLUMNS if name not in {"session_id", "events"}]),  # type: ignore[arg-type]
    activity=None,
)


def fields(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field of a document with its dotted name."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from fields(part, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for part in value:
            yield from fields(part, prefix)
    else:
        yield prefix, value


def mapped(properties: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field of the template with its type."""
    for name, value in properties.items():
        if "properties" in value:
            yield from mapped(value["properties"], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value["type"]


MAPPED = dict(mapped(TEMPLATE["template"]["mappings"]["properties"]))


def test_the_template_has_exactly_the_fields_of_documents() -> None:
    """A field without a mapping could not be searched."""
    assert {name for line in (FULL, FOREIGN) for name, _ in fields(ecs_document(line))} == set(MAPPED)


def test_a_text_that_is_no_address_is_in_no_field_for_addresses() -> None:
    """Elasticsearch would refuse the document; another loader stores such texts."""
    source, related = (ecs_document(FOREIGN)[name] for name in ("source", "related"))

    assert (source["address"], "ip" in source, "ip" in related) == ("unknown", False, False)


def test_fields_outside_of_our_namespace_are_those_of_ecs_with_its_types() -> None:
    """By the schema that Elastic publishes."""
    standard = {name: kind for name, kind in MAPPED.items() if not name.startswith("snapshots.")}

    assert standard == {name: row["type"] for name, row in SCHEMA.items()}
    for name, value in fields(ecs_document(FULL)):
        if name in SCHEMA and SCHEMA[name]["normalization"] == "array":
            assert isinstance(value, list), name


@pytest.mark.parametrize("line", [FULL, BARE, FULL._replace(login_succeeded=False), FULL._replace(logins=0)])
def test_values_have_the_types_of_their_fields(line: SessionRow) -> None:
    """Unknown ones are absent."""
    checks: dict[str, Callable[[Any], bool]] = {
        "date": lambda value: datetime.fromisoformat(value).tzinfo is not None,
        "long": lambda value: type(value) is int,
        "boolean": lambda value: type(value) is bool,
        "ip": lambda value: value == "8.8.8.8",
        "keyword": lambda value: isinstance(value, str),
        "wildcard": lambda value: isinstance(value, str),
    }
    document = json.loads(json.dumps(ecs_document(line), default=plain))

    for name, value in fields(document):
        for each in value if isinstance(value, list) else [value]:
            assert checks[MAPPED[name]](each), (name, each)
    event = document["event"]
    assert set(event["category"]) <= CATEGORIES
    assert set(event["type"]) <= TYPES
    assert event["kind"] == "event"
    assert ("authentication" in event["category"]) == bool(line.logins)
    outcomes = {None: "unknown", True: "success", False: "failure"}
    assert event["outcome"] == outcomes[line.login_succeeded]


def test_lines_for_the_bulk_api_alternate_with_actions() -> None:
    """A repeated import replaces documents, because the ID is that of the session."""
    lines = "\n".join(ecs_lines([FULL, BARE], is_bulk=True)).split("\n")

    assert [json.loads(line) for line in lines[::2]] == [{"index": {"_index": INDEX, "_id": "text"}}] * 2
    assert [json.loads(line)["event"]["id"] for line in lines[1::2]] == ["text", "text"]
    assert any(re.fullmatch(pattern.replace("*", ".*"), INDEX) for pattern in TEMPLATE["index_patterns"])


def test_every_field_of_the_dashboard_is_in_the_template() -> None:
    """A chart of another field would stay empty."""
    used = set()
    for each in DASHBOARD:
        attributes = each["attributes"]
        if each["type"] == "visualization":
            state = json.loads(attributes["visState"])
            used |= {agg["params"]["field"] for agg in state["aggs"] if "field" in agg["params"]}
        used |= set(attributes.get("columns", [])) | {name for name, _ in attributes.get("sort", [])}
        used |= {attributes["timeFieldName"]} if "timeFieldName" in attributes else set()

    assert len(used) > 10
    assert used - set(MAPPED) == set()


def test_every_reference_of_the_dashboard_is_in_its_file() -> None:
    """An import would be refused."""
    there = [(each["type"], each["id"]) for each in DASHBOARD]
    references = {(ref["type"], ref["id"]) for each in DASHBOARD for ref in each["references"]}
    (dashboard,) = [each for each in DASHBOARD if each["type"] == "dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])

    assert len(set(there)) == len(there)
    assert references <= set(there)
    assert {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels} == {
        ref["name"] for ref in dashboard["references"]
    }
    assert set(there) - references == {("dashboard", dashboard["id"])}
