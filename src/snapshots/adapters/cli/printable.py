"""How text that an attacker chose reaches a terminal: as text."""

import unicodedata

from rich.text import Text

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, turn the direction, or show nothing."""


def harmless(text: str) -> str:
    """Return *text* with every character that could do something shown as an escape."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in HARMFUL else char for char in text
    )


def printable(text: str, longest: int = 80) -> Text:
    """
    Return *text* with every character that could do something shown as an escape, and cut.

    Args:
        text: Anything.
        longest: How many characters are shown; a cut is marked with an ellipsis.
    """
    shown = harmless(text[: longest + 1])
    return Text(shown if len(shown) <= longest else f"{shown[: longest - 1]}…")
