"""Store the network, country and IP type of each Cowrie session, from the data nearest to the attack."""

from typing import TYPE_CHECKING

from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import SettingRefused, SourceUnreadable, StoreBusy, StoreUnavailable
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress, InvalidEvent, SnapshotsError
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

if TYPE_CHECKING:
    from snapshots.composition.application import open_service

__all__ = [
    "EventKind",
    "Gap",
    "InvalidAddress",
    "InvalidEvent",
    "IpAddress",
    "IpSnapshot",
    "IpType",
    "Method",
    "SessionAggregate",
    "SessionEvent",
    "SessionSummary",
    "SettingRefused",
    "SnapshotService",
    "SnapshotsError",
    "SourceUnreadable",
    "StoreBusy",
    "StoreUnavailable",
    "open_service",
]


def __getattr__(name: str) -> object:
    """Import `open_service` on first use: it needs SQLAlchemy and other libraries, which the rules do not."""
    if name == "open_service":
        from snapshots.composition.application import open_service  # noqa: PLC0415 - see above

        return open_service
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
