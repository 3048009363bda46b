"""What the site asks, and how it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from snapshots.app.queries.inventory_reports import InventoryReports
    from snapshots.app.queries.overview import OverviewMaker
    from snapshots.app.queries.reports import Reports
    from snapshots.app.queries.session_queries import SessionQueries
    from snapshots.app.queries.validity import FactValidity


class SiteData(Protocol):
    """The queries that pages, API and feeds ask: the same ones as the commands."""

    @property
    def reports(self) -> Reports:
        """Report, coverage and explanation."""
        ...

    @property
    def session_queries(self) -> SessionQueries:
        """Counts and lists of sessions."""
        ...

    @property
    def overview(self) -> OverviewMaker:
        """Everything that an overview shows."""
        ...

    @property
    def inventory(self) -> InventoryReports:
        """Reports about addresses."""
        ...

    @property
    def fact_validity(self) -> FactValidity:
        """Which kinds of facts have expired for new attacks."""
        ...

    @property
    def shown_database(self) -> str:
        """The database without its password."""
        ...

    def now(self) -> datetime:
        """Return the current time in UTC."""
        ...

    def metrics_text(self) -> bytes:
        """Return the metrics of the database in the text format of Prometheus."""
        ...


class SiteOptions(Protocol):
    """How the site is served."""

    @property
    def version(self) -> str:
        """Version of the program, shown in the footer."""
        ...

    @property
    def host(self) -> str:
        """The address to listen on."""
        ...

    @property
    def port(self) -> int:
        """The port to listen on; 0 for any free one."""
        ...

    @property
    def token(self) -> str | None:
        """What a browser must present; None for no token."""
        ...

    @property
    def host_names(self) -> Sequence[str]:
        """Names by which the site is reached, besides loopback and, with a token or a proxy, IP addresses."""
        ...

    @property
    def is_behind_proxy(self) -> bool:
        """Whether a proxy forwards the requests, and decides who may send them."""
        ...

    @property
    def shows_passwords(self) -> bool:
        """Whether stored texts of passwords are shown, and not only very common ones."""
        ...

    @property
    def tty(self) -> Path | None:
        """The folder of Cowrie's recordings of terminals; None for no replay."""
        ...

    @property
    def max_streams(self) -> int:
        """Maximum number of open live feeds."""
        ...
