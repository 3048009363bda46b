"""Text from elsewhere, made safe to show: it cannot steer a terminal, and it shows no password."""

import re
import unicodedata

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, change the direction of text, or are invisible."""

HIDDEN = "***"

_IN_USERINFO = re.compile(r"(?<=:)(?!//)\S+(?=@)")
"""What follows a user and a colon up to the last @: a password may itself contain an @."""

_ASSIGNED = re.compile(
    r"""((?:passw(?:or)?d|pwd|passphrase|secret|token)\s*=\s*)('(?:[^'\\]|\\.)*'?|"[^"]*"?|[^\s&;,]+)""", re.IGNORECASE
)
"""A password in the query of a URL, or in a connection string of libpq."""

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
    """Return *text* as one line without harmful characters, such as for a message."""
    return escaped(_LINE_BREAK.sub(" ", text.strip()))


def without_passwords(text: str) -> str:
    """Return *text* without whatever in it may be a password in a URL or a connection string."""
    if "@" in text:
        text = _IN_USERINFO.sub(HIDDEN, text)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def shown_url(text: str) -> str:
    """
    Return a text that is, or was meant to be, a database URL, without what may be a password.

    All of the text counts as a URL, so that also a password with spaces or quotes in it is hidden.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    userinfo, at, host = rest.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if at and (colon or not separator):
        rest = f"{user}:{HIDDEN}@{host}" if separator else f"{HIDDEN}@{host}"
    return one_line(without_passwords(f"{scheme}{separator}{rest}"))
