"""What a session did, beside how often: by this, campaigns are found again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Self

from snapshots.domain.session.command import LONGEST_COMMAND, key_fingerprints, shortened, signature


class Trait(Enum):
    """
    Something that an event may say of its session.

    Attributes:
        most: How many of it are kept of one session, the earliest.
        is_repeatable: Whether the same text counts again at another time.
    """

    PROTOCOL = ("protocol", 1)
    CLIENT_VERSION = ("client_version", 1)
    HASSH = ("hassh", 1)
    CREDENTIALS = ("credentials", 1)
    SUCCESS = ("success", 1)
    DURATION = ("duration", 1)
    COMMAND = ("command", 64, True)
    KEY = ("key", 8)
    DOWNLOAD = ("download", 32)
    URL = ("url", 32)

    def __init__(self, word: str, most: int, is_repeatable: bool = False) -> None:  # noqa: FBT001, FBT002 - of an Enum
        self.word = word
        self.most = most
        self.is_repeatable = is_repeatable

    __hash__ = object.__hash__  # there is one of each, and an Enum's own hash is slow


TimedText = tuple[datetime, str]
"""When something was said, in UTC, and what."""

Traits = tuple[tuple[Trait, str], ...]
"""What one event says."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    What the events of a session said, each with its time.

    Attributes:
        said: The earliest of each trait, in the order of their times, then of their texts.
    """

    said: Mapping[Trait, tuple[TimedText, ...]] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @classmethod
    def of(cls, said: Iterable[tuple[datetime, Traits]]) -> Self:
        """Return what events say, each with its time."""
        found: dict[Trait, tuple[TimedText, ...]] = {}
        again: dict[Trait, list[TimedText]] = {}
        for at, traits in said:
            for trait, text in traits:
                if trait in found:
                    again.setdefault(trait, []).append((at, text))
                else:
                    found[trait] = ((at, text),)
        for trait, pairs in again.items():
            found[trait] = _earliest(trait, [*found[trait], *pairs])
        return cls(found)

    def merge(self, other: "Behaviour") -> "Behaviour":
        """Return what both say: associative, commutative and idempotent."""
        if not other.said or self == other:
            return self
        both = dict(self.said)
        for trait, pairs in other.said.items():
            both[trait] = _earliest(trait, [*both.get(trait, ()), *pairs])
        return Behaviour(both)

    def texts(self, trait: Trait) -> tuple[str, ...]:
        """Return what was said of a trait, the earliest first."""
        return tuple(text for _, text in self.said.get(trait, ()))

    def first(self, trait: Trait) -> str | None:
        """Return what was said first of a trait."""
        said = self.said.get(trait)
        return said[0][1] if said else None

    @property
    def username(self) -> str | None:
        """Return the user name of the first login that was tried."""
        return self._credential(0)

    @property
    def password_hash(self) -> str | None:
        """Return the SHA-256 of its password, in hexadecimal; None where a key was offered."""
        return self._credential(1)

    @property
    def password(self) -> str | None:
        """Return its password, if it was kept."""
        return self._credential(2)

    def _credential(self, at: int) -> str | None:
        credentials = self.first(Trait.CREDENTIALS)
        return _parts_of(credentials)[at] if credentials is not None else None

    @property
    def login_succeeded(self) -> bool | None:
        """Whether a login succeeded; None if none was tried."""
        if Trait.SUCCESS in self.said:
            return True
        return False if Trait.CREDENTIALS in self.said else None

    @property
    def duration_ms(self) -> int | None:
        """Return how long the session lasted, in milliseconds, as Cowrie says when it closes."""
        said = self.first(Trait.DURATION)
        return int(said) if said is not None else None

    @property
    def command_signature(self) -> str | None:
        """
        Return a hash of the commands in their order, in hexadecimal; None without commands.

        What differs from session to session in one campaign does not count: see `command.shape`.
        """
        return signature(self.texts(Trait.COMMAND))


@lru_cache(maxsize=8192)  # attackers try the same ones everywhere
def _parts_of(credentials: str) -> tuple[str | None, ...]:
    return tuple(json.loads(credentials))


def _earliest(trait: Trait, pairs: list[TimedText]) -> tuple[TimedText, ...]:
    if trait.most == 1:
        return (min(pairs),)
    if not trait.is_repeatable:
        firsts: dict[str, datetime] = {}
        for at, text in pairs:
            firsts[text] = min(at, firsts.get(text, at))
        pairs = [(at, text) for text, at in firsts.items()]
    return tuple(sorted(set(pairs))[: trait.most])


@lru_cache(maxsize=8192)
def login(username: str | None, password: str | None, *, succeeded: bool, kept: str | None = None) -> Traits:
    """
    Return what a login says.

    Args:
        username: As it was typed; without NUL and lone surrogates. None if it is not said.
        password: As it was typed; None where a key was offered.
        succeeded: Whether it did.
        kept: What is kept of the password beside its hash; without NUL and lone surrogates. None to keep nothing.
    """
    digest = sha256(password.encode("utf-8", "surrogatepass")).hexdigest() if password is not None else None
    tried = (Trait.CREDENTIALS, json.dumps([username, digest, kept]))
    return (tried, (Trait.SUCCESS, "")) if succeeded else (tried,)


def command(text: str) -> Traits:
    """
    Return what a command says: itself, and the fingerprint of every SSH key in it.

    Args:
        text: As it was typed; without NUL and lone surrogates.
    """
    return _often_typed(text) if len(text) <= LONGEST_COMMAND else _command(text)


def _command(text: str) -> Traits:
    kept = shortened(text)
    keys = ((Trait.KEY, fingerprint) for fingerprint in key_fingerprints(text))
    return ((Trait.COMMAND, kept), *keys) if kept else ()


_often_typed = lru_cache(maxsize=4096)(_command)
