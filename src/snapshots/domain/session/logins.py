"""Count the login attempts of a session by credentials."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from snapshots.domain.session.behaviour import Trait

MOST_CREDENTIALS = 1_000
"""Credentials per session that are counted one by one: those with the smallest numbers. All others share a count."""

OTHERS = 0
"""Number of all credentials that are not counted one by one."""

LoginCounts = tuple[tuple[str, int, int], ...]
"""
Login attempts by credentials: the text of `Trait.CREDENTIALS`, attempts, and those that succeeded.

The text is "" for credentials that are not counted one by one.
"""

NamedTraits = tuple[tuple[str, str], ...]
"""The traits of an event, each with the name of its kind."""

CREDENTIALS, SUCCESS = Trait.CREDENTIALS.word, Trait.SUCCESS.word
NO_CREDENTIALS = json.dumps([None, None, None])


class Credentials(NamedTuple):
    """
    What a login attempt tried.

    Attributes:
        number: Identifies user name and password, the same in every database: 64 bits of a hash, or OTHERS.
        username: As `behaviour.login` stores it; None if the event has none.
        password_hash: SHA-256 of the password, in hexadecimal; None if a key was offered.
        password: The password, if it is to be stored.
    """

    number: int
    username: str | None = None
    password_hash: str | None = None
    password: str | None = None


class Tally(NamedTuple):
    """
    Login attempts with equal credentials.

    Attributes:
        attempts: All attempts.
        successes: Those that succeeded.
    """

    attempts: int
    successes: int

    def plus(self, other: "Tally") -> "Tally":
        """Return the sum."""
        return Tally(self.attempts + other.attempts, self.successes + other.successes)


class StoredLogin(NamedTuple):
    """
    Login attempts of a session with the same credentials.

    Attributes:
        username: The user name; None if the events have none.
        password_hash: SHA-256 of the password, in hexadecimal; None if a key was offered.
        password: Its text, if it is stored.
        attempts: The attempts.
        successes: Those that succeeded.
        is_others: Whether these are the attempts with all credentials that are not stored one by one; see
            MOST_CREDENTIALS.
    """

    username: str | None
    password_hash: str | None
    password: str | None
    attempts: int
    successes: int
    is_others: bool = False


def count_logins(attempts: Collection[NamedTraits]) -> LoginCounts:
    """Count login attempts, each given as the traits of its event."""
    if len(attempts) == 1:  # as of most sessions
        [only] = attempts
        text, has_succeeded = _credentials_in(only)
        return ((text, 1, int(has_succeeded)),)
    rows = []
    for traits, count in Counter(attempts).items():
        text, has_succeeded = _credentials_in(traits)
        rows.append((text, count, count if has_succeeded else 0))
    return tuple(rows) if len(rows) == 1 else _sums(rows)


def add_logins(one: LoginCounts, other: LoginCounts) -> LoginCounts:
    """Return the sum of the counts of different events."""
    return _sums([*one, *other]) if one and other else one or other


def _sums(rows: Iterable[tuple[str, int, int]]) -> LoginCounts:
    """Return one row per text, in the order of the texts."""
    found: dict[str, tuple[int, int]] = {}
    for text, attempts, successes in rows:
        before, won = found.get(text, (0, 0))
        found[text] = (before + attempts, won + successes)
    return tuple([(text, *found[text]) for text in sorted(found)])


@lru_cache(maxsize=8192)  # attackers try the same credentials everywhere
def _credentials_in(traits: NamedTraits) -> tuple[str, bool]:
    found = dict(traits)
    return found.get(CREDENTIALS, NO_CREDENTIALS), SUCCESS in found


@lru_cache(maxsize=8192)
def credentials_in(text: str) -> Credentials:
    """Return the credentials in a text of `LoginCounts`."""
    if not text:
        return Credentials(OTHERS)
    username, password_hash, password = json.loads(text)
    return Credentials(credentials_number(username, password_hash), username, password_hash, password)


def credentials_number(username: str | None, password_hash: str | None) -> int:
    """Return the number of credentials, a signed 64-bit integer."""
    digest = blake2b(json.dumps([username, password_hash]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


def bounded(tallies: Mapping[int, Tally], most: int = MOST_CREDENTIALS) -> Mapping[int, Tally]:
    """
    Return tallies by the number of their credentials, with at most *most* one by one.

    The result does not depend on the order of attempts: credentials among the smallest of all were so from their
    first attempt on.
    """
    kept = sorted(tallies.keys() - {OTHERS})[:most]
    found = {number: tallies[number] for number in kept}
    for number in tallies.keys() - found.keys():
        found[OTHERS] = tallies[number].plus(found.get(OTHERS, Tally(0, 0)))
    return found
