"""Store the network, country and IP type of each Cowrie session, from the data nearest to the attack."""

from importlib import import_module
from typing import TYPE_CHECKING

from snapshots.version import __version__

if TYPE_CHECKING:
    from snapshots.app.enrich.service import SnapshotService
    from snapshots.app.errors import SettingRefused, SourceUnreadable, StoreBusy, StoreUnavailable
    from snapshots.composition.service import open_service
    from snapshots.domain.address.source_ip import IpAddress
    from snapshots.domain.errors import InvalidAddress, InvalidEvent, SnapshotsError
    from snapshots.domain.facts.ip_type import IpType
    from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
    from snapshots.domain.session.summary import SessionSummary
    from snapshots.domain.snapshot.gap import Gap
    from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

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
    "__version__",
    "open_service",
]

_MODULES = {
    "EventKind": "snapshots.domain.session.session",
    "Gap": "snapshots.domain.snapshot.gap",
    "InvalidAddress": "snapshots.domain.errors",
    "InvalidEvent": "snapshots.domain.errors",
    "IpAddress": "snapshots.domain.address.source_ip",
    "IpSnapshot": "snapshots.domain.snapshot.snapshot",
    "IpType": "snapshots.domain.facts.ip_type",
    "Method": "snapshots.domain.snapshot.snapshot",
    "SessionAggregate": "snapshots.domain.session.session",
    "SessionEvent": "snapshots.domain.session.session",
    "SessionSummary": "snapshots.domain.session.summary",
    "SettingRefused": "snapshots.app.errors",
    "SnapshotService": "snapshots.app.enrich.service",
    "SnapshotsError": "snapshots.domain.errors",
    "SourceUnreadable": "snapshots.app.errors",
    "StoreBusy": "snapshots.app.errors",
    "StoreUnavailable": "snapshots.app.errors",
    "open_service": "snapshots.composition.service",
}


def __getattr__(name: str) -> object:
    """Import a name on first use, so that a command imports only what it needs."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
