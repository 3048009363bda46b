"""Errors as documents: `application/problem+json`, RFC 9457."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from snapshots.app.errors import InvalidQuery, NoSuchSession, StoreUnavailable
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


def sentence_of(error: SnapshotsError) -> str:
    """Return the sentence that a command prints for the error."""
    return one_line(str(error))


def problem(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with an error, its status and its sentence."""
    document = {"title": HTTPStatus(status).phrase, "status": int(status), "detail": sentence}
    return Response(json.dumps(document), status_code=status, headers=headers, media_type="application/problem+json")
