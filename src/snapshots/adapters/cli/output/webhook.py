"""Send a document to a webhook or to a topic of ntfy."""

import re
from base64 import b64encode
from urllib.parse import unquote, urlsplit

import click

from snapshots.app.safe_text import without_passwords

TIMEOUT_SECONDS = 30

LARGEST_TEXT = 4_000
"""Maximum bytes of a text: ntfy turns a longer one into an attachment."""

_LINK = re.compile(r"\b(?:ht|f)tps?(?=://)", re.IGNORECASE)

_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "@\u200b", "`": "'", "*": "\u2217", "[": "("}
"""Replacements for characters that Slack and Mattermost give a meaning, such as a mention or a link."""


def is_webhook(url: str) -> bool:
    """Whether a text is a URL that can be posted to."""
    try:
        parts = urlsplit(url)
        has_host = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is not a number
        return False
    return has_host and url.isascii() and url.isprintable() and " " not in url


def post(url: str, body: str, *, title: str, is_json: bool) -> None:
    """
    Send a document by one POST request; a redirect is not followed.

    Args:
        url: A URL for which `is_webhook` is true. A user name and password in it are sent as Basic authentication.
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
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
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


def message(text: str) -> str:
    """Return a text with defanged URLs and at most `LARGEST_TEXT` bytes."""
    return _shortened(_defanged(text))


def chat_message(text: str) -> str:
    """Return a text as a message for chat services, in which typed commands are neither mentions nor markup."""
    return _shortened("".join(_MARKUP.get(char, char) for char in _defanged(text)))


def _defanged(text: str) -> str:
    """Defang http, https and ftp URLs, as in hxxp://."""
    return _LINK.sub(lambda found: found[0].replace("t", "x").replace("T", "X"), text)


def _shortened(text: str) -> str:
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
