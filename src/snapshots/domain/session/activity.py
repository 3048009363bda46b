"""What was done in a session: logins, commands, URLs and files."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from snapshots.domain.session.behaviour import Behaviour, Trait
from snapshots.domain.session.logins import StoredLogin


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """
    What was done in a session, as far as it is stored: there may be less than the session's counts state.

    All lists but the logins hold the earliest values.

    Attributes:
        logins: Login attempts, the most frequent credentials first.
        commands: Commands, in their order.
        urls: URLs of downloads.
        file_hashes: SHA-256 of downloaded and uploaded files.
        ssh_keys: Fingerprints of SSH keys in commands.
    """

    logins: tuple[StoredLogin, ...] = ()
    commands: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    file_hashes: tuple[str, ...] = ()
    ssh_keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, behaviour: Behaviour, logins: Iterable[StoredLogin] = ()) -> Self:
        """Return what a behavior states, with login attempts."""
        return cls(
            logins=tuple(logins),
            commands=behaviour.texts(Trait.COMMAND),
            urls=behaviour.texts(Trait.URL),
            file_hashes=behaviour.texts(Trait.DOWNLOAD),
            ssh_keys=behaviour.texts(Trait.KEY),
        )
