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


def payload_text(payload: bytes) -> str:
    """Return the bytes of a line as text; bytes that are not UTF-8 become escapes."""
    return payload.decode("utf-8", "backslashreplace")
