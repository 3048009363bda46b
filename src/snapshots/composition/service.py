"""Open the service for other loaders."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Literal

from snapshots.adapters.cli.settings import Settings
from snapshots.app.enrich.service import SnapshotService
from snapshots.app.errors import SettingRefused
from snapshots.app.retry import LOCK_TIMEOUT_SECONDS
from snapshots.composition.wiring import Container

RequiredFacts = Literal["asn_or_country", "asn", "country", "asn_and_country", "any"]
"""The values of `Requirement`, which callers need not import."""


@contextmanager
def open_service(
    url: str,
    *,
    mmdb: Iterable[str | PathLike[str]] = (),
    network_types: Iterable[str | PathLike[str]] = (),
    prefer: Iterable[str] = (),
    requires: RequiredFacts = "asn_or_country",
    max_age_days: float | None = None,
    max_lag_days: float | None = None,
    max_type_lag_days: float | None = None,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> Iterator[SnapshotService]:
    """
    Open the service that computes snapshots for the sessions of another loader.

    All days are from 0 to 100,000 and may be fractions. A value of None stands for the default.

    Args:
        url: The database that holds the inventory: the URL of a SQLite or PostgreSQL database, such as
            "sqlite:///snapshots.db" or "postgresql://USER@HOST/NAME", or the path of a SQLite file. The first call of
            `enrich` creates missing tables.
        mmdb: Paths of MMDB files, consulted in this order before the bundled tables.
        network_types: Paths of tables of types by network, consulted in this order before the bundled one.
        prefer: Sources that are used first for one fact, each as "asn=NAME" or "country=NAME", such as
            "country=geolite2-country".
        requires: The facts that a snapshot must have; a session whose facts do not suffice has the gap `partial`.
        max_age_days: Maximum age of an ASN or a country at the attack; None for 400.
        max_lag_days: Maximum days from the attack to a later fact; None for no limit, 0 for facts as of the attack
            only.
        max_type_lag_days: The same for all IP types; None for the limit of each type.
        lock_timeout_seconds: How long to wait for a lock of another process, from 0 to 1,000,000.

    Yields:
        The service; its database is closed at the end of the block. It may be used by one thread at a time.

    Raises:
        SettingRefused: On entering the block: an argument has a wrong type or value, and the message begins with its
            name; or *url* names no supported database, or one whose driver is not installed.
        SourceUnreadable: On entering the block: a file cannot be read, or is no table.
        StoreUnavailable: In the block: see `SnapshotService.enrich`.
    """
    if not isinstance(url, str):
        raise SettingRefused(f"url: pass a database URL or the path of a SQLite file, not a {type(url).__name__}")
    settings = Settings.of(
        db=url,
        mmdb=mmdb,
        network_types=network_types,
        prefer=prefer,
        requires=requires,
        max_age_days=max_age_days,
        max_lag_days=max_lag_days,
        max_type_lag_days=max_type_lag_days,
        lock_timeout_seconds=lock_timeout_seconds,
    )
    container = Container(settings=settings)
    database = container.database()
    try:
        yield container.service()
    finally:
        database.close()
