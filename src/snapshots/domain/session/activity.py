"""What was done in a session: logins, commands, URLs and files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from snapshots.domain.session.behaviour import Trait
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
    def of(cls, texts: Callable[[Trait], tuple[str, ...]], logins: Iterable[StoredLogin] = ()) -> Self:
        """
        Return what was done by the traits of a session.

        Args:
            texts: Returns the values of a trait, the earliest first, as `Behaviour.texts` does.
            logins: Login attempts, the most frequent credentials first.
        """
        return cls(
            logins=tuple(logins),
            commands=texts(Trait.COMMAND),
            urls=texts(Trait.URL),
            file_hashes=texts(Trait.DOWNLOAD),
            ssh_keys=texts(Trait.KEY),
        )
