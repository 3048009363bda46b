"""Describe the API in OpenAPI 3.1, from the same tables as the routes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from snapshots.adapters.feeds.filter_help import DID, HELP, NOT_DID, SINCE, UNTIL
from snapshots.adapters.web.api.operations import OPERATIONS, Operation
from snapshots.adapters.web.api.parameters import Parameter
from snapshots.app.queries.filters.filter_reader import ACTIONS, KEYS, NOT
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow

TYPES: Mapping[object, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    NoneType: {"type": "null"},
}

LIMITS = ("since", "until")

DID_PATTERN = f"^({'|'.join(ACTIONS)})(,({'|'.join(ACTIONS)}))*$"

PROBLEM = "#/components/schemas/Problem"


def description(version: str) -> Mapping[str, Any]:
    """Return the description of all operations."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "snapshots",
            "summary": "Whose network each session of a Cowrie honeypot came from, at the time of the attack.",
            "version": version,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"bearer": []}, {}],
        "paths": {each.path: {"get": _operation(each)} for each in OPERATIONS},
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The token of --token-file, if any."}
            },
            "parameters": {name: _filter(name, text) for name, text in _filter_texts().items()},
            "responses": {
                "Problem": {
                    "description": "Why the request was refused, in the sentence that the command prints.",
                    "content": {"application/problem+json": {"schema": {"$ref": PROBLEM}}},
                },
            },
            "schemas": _schemas(),
        },
    }


def _operation(operation: Operation) -> Mapping[str, Any]:
    schema = {"$ref": f"#/components/schemas/{operation.schema}"}
    found: dict[str, Any] = {"description": operation.summary, "content": {operation.media_type: {"schema": schema}}}
    responses: dict[str, Any] = {"200": found}
    parameters = [
        *(_parameter(each, "path") for each in operation.path_parameters),
        *(_parameter(each, "query") for each in operation.parameters),
        *({"$ref": f"#/components/parameters/{name}"} for name in operation.filters),
    ]
    if operation.is_conditional:
        found["headers"] = {"ETag": {"description": "A tag of the data.", "schema": {"type": "string"}}}
        responses["304"] = {"description": "The copy with the tag in If-None-Match is current."}
        parameters.append(
            {"name": "If-None-Match", "in": "header", "description": "Tags of copies.", "schema": {"type": "string"}}
        )
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {**responses, "default": {"$ref": "#/components/responses/Problem"}},
    } | ({"security": []} if operation.name == "health" else {})


def _parameter(parameter: Parameter, place: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "name": parameter.name,
        "in": place,
        "description": parameter.description,
        "schema": parameter.schema,
    }
    if place == "path":
        example = [parameter.example] if parameter.is_list else parameter.example
        found |= {"required": True, "example": example, "style": "simple"}
    return found


def _filter_texts() -> Mapping[str, str]:
    """Return what each filter means, by its name."""
    texts = {"since": SINCE, "until": UNTIL, "did": DID, f"{NOT}did": NOT_DID}
    texts |= {key.value: HELP[key][1] for key in KEYS}
    return texts | {f"{NOT}{key.value}": f"Excluded values: {HELP[key][1]}" for key in KEYS}


def _filter(name: str, text: str) -> Mapping[str, Any]:
    one = {"type": "string"} | ({"pattern": DID_PATTERN} if name.endswith("did") else {})
    is_limit = name in LIMITS
    more = "" if is_limit else " May be repeated."
    return {
        "name": name,
        "in": "query",
        "description": f"{text.replace('--', '')}{more}",
        "schema": one if is_limit else {"type": "array", "items": one},
    } | ({} if is_limit else {"style": "form", "explode": True})


def _schemas() -> Mapping[str, Any]:
    row, text = {"type": "object"}, {"type": "string"}
    return {
        "Document": {"type": "object", "description": "The document that the command prints with --format json."},
        "Documents": {"type": "array", "items": row},
        "Text": text,
        "Groups": _rows({"type": "object", "required": ["sessions"], "properties": {"sessions": TYPES[int]}}),
        "Sessions": _rows({"$ref": "#/components/schemas/Session"}, next_page=text),
        "Session": {
            "type": "object",
            "required": list(SESSION_COLUMNS),
            "properties": {name: _type(hint) for name, hint in _columns().items()},
        },
        "Problem": {
            "type": "object",
            "required": ["title", "status", "detail"],
            "properties": {"title": text, "status": TYPES[int], "detail": text},
        },
    }


def _rows(row: Mapping[str, Any], next_page: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    following = {"next": next_page} if next_page is not None else {}
    return {
        "type": "object",
        "required": [*following, "rows"],
        "properties": {**following, "rows": {"type": "array", "items": row}},
    }


def _columns() -> Mapping[str, object]:
    hints = get_type_hints(SessionRow)
    return {name: hints[name] for name in SESSION_COLUMNS}


def _type(hint: object) -> Mapping[str, Any]:
    kinds: Sequence[object] = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    found = [TYPES[kind] for kind in kinds]
    return found[0] if len(found) == 1 else {"anyOf": found}
