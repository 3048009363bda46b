"""What was done in a session, as far as it is stored: logins, commands, URLs and files."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from snapshots.domain.session.behaviour import Behaviour, Trait


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """
    An attempt to log in.

    Attributes:
        at: Its time in UTC.
        user: User name; None if the event has none.
        password_hash: SHA-256 of the password, in hexadecimal; None if a key was offered.
        password: Text of the password; None unless passwords are stored.
        succeeded: Whether it succeeded.
    """

    at: datetime
    user: str | None
    password_hash: str | None
    password: str | None
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """
    What was done in a session; the earliest values, so that there may be fewer than the session's counts state.

    Attributes:
        logins: Login attempts.
        commands: Commands, in their order.
        urls: URLs of downloads.
        file_hashes: SHA-256 of downloaded and uploaded files.
        ssh_keys: Fingerprints of SSH keys in commands.
    """

    logins: tuple[LoginAttempt, ...] = ()
    commands: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    file_hashes: tuple[str, ...] = ()
    ssh_keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, behaviour: Behaviour) -> Self:
        """Return what a behavior states."""
        return cls(
            logins=logins_in(behaviour),
            commands=behaviour.texts(Trait.COMMAND),
            urls=behaviour.texts(Trait.URL),
            file_hashes=behaviour.texts(Trait.DOWNLOAD),
            ssh_keys=behaviour.texts(Trait.KEY),
        )


def logins_in(behaviour: Behaviour) -> tuple[LoginAttempt, ...]:
    """
    Return the stored login attempts: only the first one.

    The first success has the time of the first attempt if that attempt succeeded.
    """
    tried, succeeded = behaviour.values.get(Trait.CREDENTIALS, ()), behaviour.values.get(Trait.SUCCESS, ())
    if not tried:
        return ()
    at = tried[0][0]
    return (
        LoginAttempt(
            at=at,
            user=behaviour.username,
            password_hash=behaviour.password_hash,
            password=behaviour.password,
            succeeded=any(success_at == at for success_at, _ in succeeded),
        ),
    )
