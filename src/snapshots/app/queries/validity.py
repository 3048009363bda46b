"""Report which kinds of facts have expired for new attacks, and how to renew them."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from snapshots.app.pip_install import pip_install
from snapshots.app.queries.inventory_reports import InventoryReports
from snapshots.domain.facts.fact_kind import FactKind, kinds_in_list
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.validity import KindValidity, NewestBuild, validity_of

DBIP = "https://download.db-ip.com/free/dbip-{}-lite-YYYY-MM.mmdb.gz"
RENEW_BUNDLED = {
    "iporigin": pip_install("--upgrade iporigin"),
    "dbip": f"snapshots facts refresh --from {DBIP.format('asn')} --from {DBIP.format('country')}",
}
"""The command that renews a bundled source: a package of its own, or a table of this month without an account."""

RENEWED = re.compile(r"(/GeoIP/[^/]+|-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ[^/]*)$")
"""Paths of tables that `facts refresh` renews: in the folders of geoipupdate, and its own downloads."""


class FactValidity:
    """
    Finds out until when the registered tables are valid.

    Args:
        inventory: The registered builds, and what their sources stated.
        reader: Maximum ages of facts.
        bundled: The kinds of facts that each bundled source states; not all of them may have been seen yet.
    """

    def __init__(
        self, inventory: InventoryReports, reader: AsOfReader, bundled: Mapping[str, Collection[FactKind]]
    ) -> None:
        self._inventory = inventory
        self._reader = reader
        self._bundled = bundled

    def validity(self) -> Sequence[KindValidity]:
        """
        Return the validity of every kind of fact that a registered source states.

        Reads every observation once.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        newest = [
            NewestBuild(build, {*kinds, *kinds_in_list(build), *(self._bundled.get(build.name, ()))})
            for build, kinds in self._inventory.newest_builds()
        ]
        return validity_of(newest, self._reader)

    def expired(self, at: datetime | None) -> Sequence[str]:
        """Return a message for each build that is too old for an attack at a time; none without a time."""
        return expired_texts(self.validity(), at) if at is not None else []


def expired_texts(validity: Sequence[KindValidity], at: datetime) -> Sequence[str]:
    """Return a message for each build that is too old for an attack at a time, and for which kinds of facts."""
    by_build: dict[tuple[str, datetime], list[KindValidity]] = {}
    for each in validity:
        if each.is_expired(at):
            by_build.setdefault((each.build.label, each.valid_until), []).append(each)
    return [
        f"{', '.join(each.kind.value for each in expired)}: the newest table ({label}) is too old for attacks after"
        f" {until:%Y-%m-%d}; later sessions get none of these facts from it. To renew it:"
        f" {renewal(expired[0].build)}"
        for (label, until), expired in by_build.items()
    ]


def renewal(build: SourceBuild) -> str:
    """Return the command that renews a table."""
    if not build.form:
        return RENEW_BUNDLED.get(build.name, RENEW_BUNDLED["dbip"])
    if RENEWED.search(build.origin):
        return "snapshots facts refresh"
    kinds = "".join(f" --type {kind.value}" for kind in kinds_in_list(build))
    return f"snapshots facts import NEWER-TABLE --name {build.name}{kinds}"
