"""Format untrusted text and counts for a terminal."""

from rich.text import Text

from snapshots.app.safe_text import escaped


def printable(text: str, longest: int = 80) -> Text:
    """
    Return *text* with control characters as escape sequences, truncated.

    Args:
        text: Untrusted text.
        longest: Maximum number of characters; a truncated text ends with an ellipsis.
    """
    shown = escaped(text[: longest + 1])
    return Text(shown if len(shown) <= longest else f"{shown[: longest - 1]}…")


def count_of(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as "1 session" or "2,000 sessions"."""
    return f"{count:,} {noun_of(count, singular, plural)}"


def noun_of(count: int, singular: str, plural: str | None = None) -> str:
    """Return the noun for a count."""
    return singular if count == 1 else plural or f"{singular}s"


def payload_text(payload: bytes) -> str:
    """Return the bytes of a line as text; bytes that are not UTF-8 become escapes."""
    return payload.decode("utf-8", "backslashreplace")
