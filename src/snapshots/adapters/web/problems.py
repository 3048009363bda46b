"""Errors as documents: `application/problem+json`, RFC 9457."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from snapshots.app.errors import InvalidQuery, NoSuchSession, StoreGone, StoreUnavailable
from snapshots.app.safe_text import one_line
from snapshots.domain.errors import SnapshotsError


class NotFound(SnapshotsError):
    """What the path names is not stored."""


def status_of(error: SnapshotsError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, (NotFound, NoSuchSession)):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, StoreUnavailable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.BAD_REQUEST if isinstance(error, InvalidQuery) else HTTPStatus.INTERNAL_SERVER_ERROR


def sentence_of(error: SnapshotsError, shown_database: str) -> str:
    """
    Return the sentence that a command prints for the error, without the places of this machine.

    Args:
        error: The error.
        shown_database: The database as errors name it.
    """
    if isinstance(error, StoreGone):  # the driver's reason names hosts and users
        return "the database cannot be reached now; try again later"
    sentence = str(error)
    if isinstance(error, StoreUnavailable):
        sentence = sentence.replace(f"database {shown_database}", "database").replace(shown_database, "the database")
        path = shown_database.partition(":///")[2]
        sentence = sentence.replace(path, "the database") if path else sentence
    return one_line(sentence)


def problem(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with an error, its status and its sentence."""
    document = {"title": HTTPStatus(status).phrase, "status": int(status), "detail": sentence}
    return Response(json.dumps(document), status_code=status, headers=headers, media_type="application/problem+json")
