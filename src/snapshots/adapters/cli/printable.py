"""Format untrusted text as a table cell."""

from rich.text import Text

from snapshots.app.safe_text import escaped


def printable(text: str, longest: int = 80) -> Text:
    """
    Return *text* with every character that could do something shown as an escape, and cut.

    Args:
        text: Anything.
        longest: How many characters are shown; a cut is marked with an ellipsis.
    """
    shown = escaped(text[: longest + 1])
    return Text(shown if len(shown) <= longest else f"{shown[: longest - 1]}…")
