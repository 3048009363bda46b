"""Escape control characters and hide passwords in untrusted text."""

import re
import unicodedata

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, change the direction of text, or are invisible."""

HIDDEN = "***"

_IN_USERINFO = re.compile(r"(?<=:)(?!//)\S+(?=@)")
"""A password in the userinfo of a URL, up to the last @: it may itself contain an @."""

_ASSIGNED = re.compile(
    r"""((?:passw(?:or)?d|pwd|passphrase|secret|token)\s*=\s*)('(?:[^'\\]|\\.)*'?|"[^"]*"?|[^\s&;,]+)""", re.IGNORECASE
)
"""A password in the query of a URL or in a libpq connection string."""

_LINE_BREAK = re.compile(r"\s*[\r\n]+\s*")


def escaped(text: str) -> str:
    """Return *text* with every harmful character, line breaks included, replaced by its escape sequence."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in HARMFUL else char for char in text
    )


def escaped_lines(text: str) -> str:
    """Return *text* as `escaped` does, but keep line feeds and tabs."""
    if text.replace("\n", "").isprintable():
        return text
    return "\n".join("\t".join(map(escaped, line.split("\t"))) for line in text.split("\n"))


def one_line(text: str) -> str:
    """Return *text* as one line without harmful characters, for a message."""
    return escaped(_LINE_BREAK.sub(" ", text.strip()))


def without_passwords(text: str) -> str:
    """Return *text* with possible passwords in URLs and connection strings replaced by `***`."""
    if "@" in text:
        text = _IN_USERINFO.sub(HIDDEN, text)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def shown_url(text: str) -> str:
    """
    Return a valid or invalid database URL with possible passwords replaced by `***`.

    The whole text counts as one URL, so that passwords with spaces or quotes are hidden too.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    userinfo, at, host = rest.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if at and (colon or not separator):
        rest = f"{user}:{HIDDEN}@{host}" if separator else f"{HIDDEN}@{host}"
    return one_line(without_passwords(f"{scheme}{separator}{rest}"))
