"""Report which kinds of facts have expired for new attacks, and how to renew them."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from snapshots.app.pip_install import pip_install
from snapshots.app.queries.inventory_reports import InventoryReports
from snapshots.domain.facts.fact_kind import FactKind, kinds_in_list
from snapshots.domain.facts.observation import IpObservation, SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.validity import KindValidity, NewestBuild, max_age_of, validity_of

DBIP = "https://download.db-ip.com/free/dbip-{}-lite-YYYY-MM.mmdb.gz"
RENEW_BUNDLED = {
    "iporigin": pip_install("--upgrade iporigin"),
    "dbip": f"snapshots facts refresh --from {DBIP.format('asn')} --from {DBIP.format('country')}",
}
"""The command that renews a bundled source: a package of its own, or a table of this month without an account."""

RENEWED = re.compile(r"(/GeoIP/[^/]+|-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ[^/]*)$")
"""Paths of tables that `facts refresh` renews: in the folders of geoipupdate, and its own downloads."""


ANONYMIZERS = (FactKind.VPN, FactKind.TOR, FactKind.PROXY)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizerList:
    """
    The newest list of a type of anonymizer before an attack.

    Attributes:
        kind: VPN, TOR or PROXY.
        source: Name of the source.
        built_at: Date of its build.
        age: Time from the build to the attack.
        bound: Maximum age at which the list is used.
    """

    kind: FactKind
    source: str
    built_at: datetime
    age: timedelta
    bound: timedelta

    @property
    def is_near(self) -> bool:
        """Whether the list is used for the attack."""
        return self.age <= self.bound


def anonymizer_texts(lists: Sequence[AnonymizerList]) -> Sequence[str]:
    """Return what lists without an address show, such as "not listed as TOR: exits of 2026-03-04, 2.0 days before"."""
    by_list: dict[tuple[str, datetime, timedelta], list[AnonymizerList]] = {}
    for each in lists:
        by_list.setdefault((each.source, each.built_at, each.bound), []).append(each)
    texts = []
    for (source, built_at, bound), own in by_list.items():
        kinds = _listed([each.kind.value for each in own])
        when = f"{source} of {built_at:%Y-%m-%d}, {own[0].age / timedelta(days=1):,.1f} days before the attack"
        if own[0].is_near:
            texts.append(f"not listed as {kinds}: {when}")
        else:
            texts.append(f"{kinds} not known: {when}; a list is used for {bound.days} days")
    missing = [kind.value for kind in ANONYMIZERS if kind not in {each.kind for each in lists}]
    return [*texts, *([f"{_listed(missing)} not known: no list is older than the attack"] if missing else [])]


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


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
        return validity_of(self._newest_builds(), self._reader)

    def anonymizer_lists(self, considered: Sequence[IpObservation], at: datetime) -> Sequence[AnonymizerList]:
        """
        Return the newest list before an attack for each type of anonymizer, in their order; none for a type without.

        A list without the address that is near enough shows that it was not listed; without a near one, the type is
        not known.

        Args:
            considered: Of each source the observations next to the attack.
            at: The time of the attack.
        """
        names = {
            kind: {each.build.name for each in self._newest_builds() if kind in each.kinds} for kind in ANONYMIZERS
        }
        found = []
        for kind, sources in names.items():
            dates = [(each.confirmed_at(at), each.source) for each in considered if each.source in sources]
            before = [(built_at, source) for built_at, source in dates if built_at <= at]
            if before:
                built_at, source = max(before)
                found.append(
                    AnonymizerList(
                        kind=kind,
                        source=source,
                        built_at=built_at,
                        age=at - built_at,
                        bound=max_age_of(self._reader, kind),
                    )
                )
        return found

    def _newest_builds(self) -> Sequence[NewestBuild]:
        return [
            NewestBuild(build, {*kinds, *kinds_in_list(build), *(self._bundled.get(build.name, ()))})
            for build, kinds in self._inventory.newest_builds()
        ]

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
