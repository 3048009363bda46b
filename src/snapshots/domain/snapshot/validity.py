"""Until when the newest tables are valid for new attacks, by kind of fact."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from snapshots.domain.facts.fact_kind import FactKind
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.snapshot.as_of import AsOfReader


class NewestBuild(NamedTuple):
    """The newest build of a source, and the kinds of facts that the source states."""

    build: SourceBuild
    kinds: Collection[FactKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindValidity:
    """
    The validity of a kind of fact.

    Attributes:
        kind: The kind of fact.
        build: The newest build that states it.
        valid_until: The last time of an attack for which the build is not too old.
    """

    kind: FactKind
    build: SourceBuild
    valid_until: datetime

    def is_expired(self, at: datetime) -> bool:
        """Whether the fact of an attack at a time is unknown because the build is too old."""
        return at > self.valid_until


def validity_of(newest: Iterable[NewestBuild], reader: AsOfReader) -> Sequence[KindValidity]:
    """Return the validity of every kind of fact that a source states, in the order of FactKind."""
    builds: dict[FactKind, SourceBuild] = {}
    for build, kinds in newest:
        for kind in kinds:
            if kind not in builds or build.built_at > builds[kind].built_at:
                builds[kind] = build
    return [
        KindValidity(kind=kind, build=builds[kind], valid_until=builds[kind].built_at + max_age_of(reader, kind))
        for kind in FactKind
        if kind in builds
    ]


def max_age_of(reader: AsOfReader, kind: FactKind) -> timedelta:
    """Return the maximum age of a build for which it states a kind of fact about an attack."""
    return reader.network_max_age if kind.ip_type is None else reader.type_max_age[kind.ip_type]
