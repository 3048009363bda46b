"""The data of an in-memory database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from snapshots.app.ports.inventory import Document
from snapshots.app.ports.key_range import KeyRange
from snapshots.app.ports.log_source import Mark
from snapshots.app.ports.logs import DeadLetter, EventPart
from snapshots.app.ports.runs import RunRecord, RunState
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.network_name import NetworkName
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import RegisteredBuild
from snapshots.domain.session.logins import Credentials, Tally
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import VerdictSpan
from tests.strategies import NOON


@dataclass
class KnownAddress:
    """One address of the inventory."""

    first_seen: datetime
    last_seen: datetime
    registered_at: datetime = NOON
    session_count: int = 0
    newest: IpSnapshot | None = None
    looked_up_until: int = 0
    learned_at: datetime | None = None


class Correction(NamedTuple):
    """An audit row, with the run that made it and the run that had sealed the session."""

    session_id: str
    before: IpSnapshot | None
    after: IpSnapshot | None
    reason: str
    run: str
    sealed_by: str


@dataclass
class Memory:
    """All tables of a database."""

    addresses: dict[IpAddress, KnownAddress] = field(default_factory=dict)
    observations: dict[tuple[IpAddress, str, datetime], IpObservation] = field(default_factory=dict)
    names: dict[int, NetworkName] = field(default_factory=dict)
    sources: dict[int, RegisteredBuild] = field(default_factory=dict)
    sessions: dict[str, SessionSummary] = field(default_factory=dict)
    dead_letters: dict[str, DeadLetter] = field(default_factory=dict)
    logins: dict[str, Mapping[int, Tally]] = field(default_factory=dict)
    credentials: dict[int, Credentials] = field(default_factory=dict)
    passwords: dict[str | None, str] = field(default_factory=dict)
    event_parts: list[EventPart] = field(default_factory=list)
    marks: dict[str, set[Mark]] = field(default_factory=dict)
    runs: dict[str, RunState] = field(default_factory=dict)
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict)
    heartbeats: dict[str, datetime] = field(default_factory=dict)
    judged_by: dict[str, str] = field(default_factory=dict)
    judged_at: dict[str, datetime | None] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    records: dict[str, RunRecord] = field(default_factory=dict)
    quarantined: dict[tuple[str, str], str] = field(default_factory=dict)
    sealed_by: dict[str, str] = field(default_factory=dict)
    found_by: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    session_documents: dict[str, str] = field(default_factory=dict)
    raw_events: dict[str, list[str]] = field(default_factory=dict)
    staged: dict[str, list[VerdictSpan]] = field(default_factory=dict)

    @property
    def organizations(self) -> dict[int, str]:
        """Names of networks by their numbers."""
        return {number: name.text for number, name in self.names.items()}

    def delete_unused_credentials(self) -> None:
        """Delete credentials that no session has tried, and passwords of none of the credentials."""
        tried = {number for tallies in self.logins.values() for number in tallies}
        for number in self.credentials.keys() - tried:
            del self.credentials[number]
        for unused in self.passwords.keys() - {each.password_hash for each in self.credentials.values()}:
            del self.passwords[unused]


def is_within(ranges: Sequence[KeyRange], key: str) -> bool:
    """Whether a key lies in one of several ranges."""
    return any(key > each.after and (not each.until or key <= each.until) for each in ranges)
