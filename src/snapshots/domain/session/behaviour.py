"""Behavior of a session, such as its client, first login and commands, by which campaigns are recognized."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Self, TypeVar

from snapshots.domain.session.command import LONGEST_COMMAND, key_fingerprints, shortened, signature


class Trait(Enum):
    """
    A kind of behavior that an event can show.

    Attributes:
        word: Its name in stored documents.
        most: Maximum number of values stored per session; the earliest are kept.
        is_repeatable: Whether an equal text at another time is another value.
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
    RECORDING = ("recording", 8)

    def __init__(self, word: str, most: int, is_repeatable: bool = False) -> None:  # noqa: FBT001, FBT002 - of an Enum
        self.word = word
        self.most = most
        self.is_repeatable = is_repeatable

    __hash__ = object.__hash__  # members are singletons, and the hash of Enum is slow


TRAITS: Mapping[str, Trait] = {trait.word: trait for trait in Trait}
"""Every trait by its name in stored documents."""

TimedText = tuple[datetime, str]
"""The time of an event in UTC, and the text of its trait."""

LONGEST_REMEMBERED_PASSWORD = 255
"""Maximum number of characters of a password whose traits are remembered."""

T = TypeVar("T", datetime, int)

Traits = tuple[tuple[Trait, str], ...]
"""The traits of one event."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    The traits of a session's events, each with its time.

    Attributes:
        values: The earliest values of each trait, ordered by time, then by text.
    """

    values: Mapping[Trait, tuple[TimedText, ...]] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @classmethod
    def of(cls, events: Iterable[tuple[datetime, Traits]]) -> Self:
        """Return the behavior shown by events, each given as its time in UTC and its traits."""
        found: dict[Trait, tuple[TimedText, ...]] = {}
        again: dict[Trait, list[TimedText]] = {}
        for at, traits in events:
            for trait, text in traits:
                if trait in found:
                    again.setdefault(trait, []).append((at, text))
                else:
                    found[trait] = ((at, text),)
        for trait, pairs in again.items():
            found[trait] = earliest(trait, [*found[trait], *pairs])
        return cls(found)

    def merge(self, other: "Behaviour") -> "Behaviour":
        """Return the union: associative, commutative and idempotent."""
        if not other.values or self == other:
            return self
        both = dict(self.values)
        for trait, pairs in other.values.items():
            both[trait] = earliest(trait, [*both.get(trait, ()), *pairs])
        return Behaviour(both)

    def texts(self, trait: Trait) -> tuple[str, ...]:
        """Return the values of a trait, the earliest first."""
        return tuple(text for _, text in self.values.get(trait, ()))

    def first(self, trait: Trait) -> str | None:
        """Return the earliest value of a trait; None if there is none."""
        values = self.values.get(trait)
        return values[0][1] if values else None

    @property
    def username(self) -> str | None:
        """Return the user name of the first login attempt."""
        return self._credential(0)

    @property
    def password_hash(self) -> str | None:
        """Return the SHA-256 of its password, in hexadecimal; None if a key was offered."""
        return self._credential(1)

    @property
    def password(self) -> str | None:
        """Return its password, if passwords are stored."""
        return self._credential(2)

    def _credential(self, at: int) -> str | None:
        credentials = self.first(Trait.CREDENTIALS)
        return credential_parts(credentials)[at] if credentials is not None else None

    @property
    def login_succeeded(self) -> bool | None:
        """Whether a login succeeded; None without a login attempt."""
        if Trait.SUCCESS in self.values:
            return True
        return False if Trait.CREDENTIALS in self.values else None

    @property
    def duration_ms(self) -> int | None:
        """Return the duration that Cowrie logged at the end of the session, in milliseconds."""
        duration = self.first(Trait.DURATION)
        return int(duration) if duration is not None else None

    @property
    def command_signature(self) -> str | None:
        """
        Return a hash of the commands in their order, in hexadecimal; None without commands.

        Parts that differ between the sessions of one campaign are left out: see `command.shape`.
        """
        return signature(self.texts(Trait.COMMAND))


@lru_cache(maxsize=8192)  # attackers try the same credentials everywhere
def credential_parts(credentials: str) -> tuple[str | None, ...]:
    """Return user name, hash of the password and kept password in the text of Trait.CREDENTIALS."""
    return tuple(json.loads(credentials))


def earliest(trait: Trait, pairs: Collection[tuple[T, str]]) -> tuple[tuple[T, str], ...]:
    """Return the values of a trait that are kept, ordered by time, then by text; times are datetimes or numbers."""
    if trait.most == 1:
        return (min(pairs),)
    if not trait.is_repeatable:
        firsts: dict[str, T] = {}
        for at, text in pairs:
            firsts[text] = min(at, firsts.get(text, at))
        pairs = [(at, text) for text, at in firsts.items()]
    return tuple(sorted(set(pairs))[: trait.most])


def login(username: str | None, password: str | None, *, succeeded: bool, kept: str | None = None) -> Traits:
    """
    Return the traits of a login attempt.

    Args:
        username: As typed, without NUL and lone surrogates; None if the event has none.
        password: As typed; None if a key was offered.
        succeeded: Whether the login succeeded.
        kept: Text of the password to store besides its hash, without NUL and lone surrogates; None to store only the
            hash.
    """
    is_short = password is None or len(password) <= LONGEST_REMEMBERED_PASSWORD
    read = _often_tried if is_short else _login
    return read(username, password, succeeded=succeeded, kept=kept)


def _login(username: str | None, password: str | None, *, succeeded: bool, kept: str | None) -> Traits:
    digest = sha256(password.encode("utf-8", "surrogatepass")).hexdigest() if password is not None else None
    tried = (Trait.CREDENTIALS, json.dumps([username, digest, kept]))
    return (tried, (Trait.SUCCESS, "")) if succeeded else (tried,)


_often_tried = lru_cache(maxsize=8192)(_login)


def command(text: str) -> Traits:
    """
    Return the traits of a command: its text, and the fingerprint of every SSH key in it.

    Args:
        text: As typed, without NUL and lone surrogates.
    """
    return _often_typed(text) if len(text) <= LONGEST_COMMAND else _command(text)


def _command(text: str) -> Traits:
    kept = shortened(text)
    keys = ((Trait.KEY, fingerprint) for fingerprint in key_fingerprints(text))
    return ((Trait.COMMAND, kept), *keys) if kept else ()


_often_typed = lru_cache(maxsize=4096)(_command)
