"""Send a document to a webhook or to a topic of ntfy."""

from urllib.parse import urlsplit

import click

from snapshots.app.safe_text import without_passwords

TIMEOUT_SECONDS = 30

LARGEST_TEXT = 4_000
"""Maximum bytes of a text: ntfy turns a longer one into an attachment."""


def is_webhook(url: str) -> bool:
    """Whether a text is a URL that can be posted to."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        return False


def post(url: str, body: str, *, title: str, is_json: bool) -> None:
    """
    Send a document by one POST request; a redirect is not followed.

    Args:
        url: A URL for which `is_webhook` is true.
        body: The document.
        title: Title of a text, in ASCII, for ntfy.
        is_json: Whether the document is JSON.

    Raises:
        click.ClickException: The server did not accept it.
    """
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # noqa: PLC0415 - takes long

    parts = urlsplit(url)
    shown = without_passwords(f"{parts.scheme}://{parts.netloc}")
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    headers = {
        "User-Agent": "snapshots",
        "Content-Type": "application/json" if is_json else "text/plain; charset=utf-8",
    }
    if not is_json:
        headers["Title"] = title
    try:
        connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        try:
            target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            connection.request("POST", target, body=body.encode(), headers=headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise click.ClickException(f"the news could not be sent to {shown}: {reason}") from exc
    if not 200 <= status < 300:
        raise click.ClickException(f"the news could not be sent to {shown}: the server answered with status {status}")


def shortened(text: str) -> str:
    """Return a text of at most `LARGEST_TEXT` bytes, cut at the end of a line."""
    if len(text.encode()) <= LARGEST_TEXT:
        return text
    kept: list[str] = []
    size = len("…\n".encode())
    for line in text.splitlines(keepends=True):
        size += len(line.encode())
        if size > LARGEST_TEXT:
            break
        kept.append(line)
    return "".join([*kept, "…\n"])
