"""Normalize commands of attackers, so that those of one campaign compare equal."""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

LONGEST_COMMAND = 1000
"""Characters. Of a longer command its beginning and a hash of its shape are stored."""

SIGNATURE_DIGITS = 32
CUT = "…"

_KEY = re.compile(
    r"(ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp\d{3}|sk-[\w@.-]{1,60})"
    r"[ \t\\n'\"]{1,8}(AAAA[A-Za-z0-9+/]{30,16000}={0,2})"
)
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_SECRET_TAKERS = ("passwd", "chpasswd")


def shortened(text: str) -> str:
    """
    Return a command with every run of white space as one space, in at most LONGEST_COMMAND characters.

    A longer command ends with a hash of its shape, so that two with an equal beginning stay distinct.
    """
    normal = " ".join(text.split())
    if len(normal) <= LONGEST_COMMAND:
        return normal
    return f"{normal[: LONGEST_COMMAND - SIGNATURE_DIGITS - 1]}{CUT}{_digest(shape(normal))}"


def signature(commands: tuple[str, ...]) -> str | None:
    """Return a hash of the shapes of commands, as `shortened` returned them, in hexadecimal; None without any."""
    return _digest("\n".join(map(_shape_of_shortened, commands))) if commands else None


def shape(text: str) -> str:
    """
    Return a command without the parts that differ between the sessions of one campaign.

    IPv4 addresses and text piped to `passwd` or `chpasswd` are replaced by placeholders.
    """
    parts = [part.strip() for part in _ADDRESS.sub("<address>", text).split("|")]
    for at, following in enumerate(parts[1:]):
        if following.startswith(_SECRET_TAKERS):
            before = max(parts[at].rfind(separator) for separator in ";&")
            parts[at] = f"{parts[at][: before + 1]}<secret>"
    return "|".join(parts)


@lru_cache(maxsize=2048)  # attackers type the same commands everywhere
def _shape_of_shortened(text: str) -> str:
    is_cut = len(text) == LONGEST_COMMAND and text[-SIGNATURE_DIGITS - 1] == CUT
    return text[-SIGNATURE_DIGITS:] if is_cut else shape(text)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:SIGNATURE_DIGITS]


def key_fingerprints(text: str) -> Iterator[str]:
    """
    Yield the SHA-256 fingerprint of every SSH public key in a text, as `ssh-keygen -l` prints it.

    A key names its kind again in its first bytes, after the length of that name: RFC 4253, section 6.6.
    """
    for found in _KEY.finditer(text):
        kind, encoded = found[1].encode(), found[2].rstrip("=")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        except binascii.Error:
            continue
        if key.startswith(len(kind).to_bytes(4, "big") + kind):
            yield f"SHA256:{base64.b64encode(sha256(key).digest()).decode().rstrip('=')}"
