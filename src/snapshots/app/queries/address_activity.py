"""What single addresses did, for reports to others."""

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from datetime import date, datetime

from snapshots.app.queries.session_queries import SessionRow
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.session.activity import Activity

MOST_TEXTS = 5
"""Different texts of each kind that are held for an address."""


@dataclass(slots=True, kw_only=True)
class AddressActivity:
    """
    What an address did in one or more sessions.

    Attributes:
        address: The address.
        first_at: First event of its sessions.
        last_at: Last event.
        source_port: Source port of its earliest session that has one.
        sessions: Number of sessions.
        logins: Number of login attempts.
        successes: Number of sessions with a successful login.
        commands: Number of commands.
        downloads: Number of downloaded and uploaded files.
        protocols: Protocols of the sessions.
        organization: Name of the network of its newest session that has one.
        networks: How the ASN of the sessions was obtained, and from which build: (method, build).
        users: User names that were tried; the lists hold up to MOST_TEXTS different texts, the newest first.
        texts: Commands.
        urls: URLs of downloads.
        file_hashes: SHA-256 of files.
    """

    address: IpAddress
    first_at: datetime
    last_at: datetime
    source_port: int | None = None
    sessions: int = 0
    logins: int = 0
    successes: int = 0
    commands: int = 0
    downloads: int = 0
    protocols: set[str] = field(default_factory=set)
    organization: str | None = None
    networks: set[tuple[str, str]] = field(default_factory=set)
    users: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    file_hashes: list[str] = field(default_factory=list)

    @property
    def is_attack(self) -> bool:
        """Whether the address did more than connect."""
        return self.logins + self.commands + self.downloads > 0

    def add(self, line: SessionRow, at: datetime) -> None:
        """Add a session and the time of its first event; sessions must come newest first."""
        done = line.activity or Activity()
        self.first_at = min(self.first_at, at)
        if line.last_event_at is not None:
            self.last_at = max(self.last_at, line.last_event_at)
        self.source_port = line.source_port or self.source_port
        self.sessions += 1
        self.logins += line.logins
        self.successes += line.login_succeeded is True
        self.commands += line.commands
        self.downloads += line.downloads
        if line.protocol is not None:
            self.protocols.add(line.protocol)
        self.organization = self.organization or line.organization
        if line.asn_method is not None:
            self.networks.add((line.asn_method, (line.source or "").partition(" ")[0]))  # the ASN's build comes first
        users = [login.username for login in done.logins if login.username is not None]
        for known, more in (
            (self.users, users),
            (self.texts, done.commands),
            (self.urls, done.urls),
            (self.file_hashes, done.file_hashes),
        ):
            new = [text for text in dict.fromkeys(more) if text not in known]
            known.extend(new[: MOST_TEXTS - len(known)])


def by_address(lines: Iterable[SessionRow]) -> dict[IpAddress, AddressActivity]:
    """Return what every routable address did, the newest first; sessions without a time are left out."""
    found: dict[IpAddress, AddressActivity] = {}
    for line in lines:
        _add(found, line)
    return found


def by_address_and_day(lines: Iterable[SessionRow]) -> Iterator[AddressActivity]:
    """
    Yield what every routable address did on each day in UTC, the newest day first.

    Only the addresses of one day are in memory. Sessions without a time are left out.

    Args:
        lines: Sessions, the newest first.
    """
    day: date | None = None
    found: dict[IpAddress, AddressActivity] = {}
    for line in lines:
        if line.first_event_at is None:
            continue
        if line.first_event_at.date() != day:
            yield from found.values()
            found, day = {}, line.first_event_at.date()
        _add(found, line)
    yield from found.values()


def _add(found: MutableMapping[IpAddress, AddressActivity], line: SessionRow) -> None:
    address, at = _routable(line.source_ip), line.first_event_at
    if address is None or at is None:
        return
    if address not in found:
        found[address] = AddressActivity(address=address, first_at=at, last_at=at)
    found[address].add(line, at)


def _routable(text: str | None) -> IpAddress | None:
    """Return a routable address; None for other texts, as other loaders write them."""
    try:
        address = IpAddress.parse(text) if text else None
    except InvalidAddress:
        return None
    return address if address is not None and address.is_routable else None
