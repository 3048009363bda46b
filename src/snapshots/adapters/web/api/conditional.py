"""Conditional requests: answer 304 if the client has a copy of the same data."""

from collections.abc import Mapping
from hashlib import sha256

from starlette.responses import Response

HEADERS: Mapping[str, str] = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
"""A copy may be kept by the client itself, and is used only after a conditional request."""


def tag_of(*parts: object) -> str:
    """Return a tag that differs if a part differs; weak, because equal data may be compressed or not."""
    return f'W/"{sha256(repr(parts).encode()).hexdigest()[:32]}"'


def headers_of(tag: str) -> dict[str, str]:
    """Return the headers of a response with a tag."""
    return {"ETag": tag, **HEADERS}


def is_kept(accepted: str, tag: str) -> bool:
    """Whether the field If-None-Match names a tag."""
    texts = [text.strip().removeprefix("W/") for text in accepted.split(",")]
    return texts == ["*"] or tag.removeprefix("W/") in texts


def not_modified(tag: str) -> Response:
    """Return the response that the copy of the client is current."""
    return Response(status_code=304, headers=headers_of(tag))
