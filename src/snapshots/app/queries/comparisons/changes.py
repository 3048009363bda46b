"""Compare the sessions of two periods by one key: what appeared, what disappeared, what grew and what fell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snapshots.app.queries.session_queries import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    Sessions of one value in two periods.

    Attributes:
        value: The value of the key, such as an ASN; None if unknown.
        name: Organization of an ASN, if known.
        sessions: Sessions in the newest period.
        before: Sessions in the period before.
    """

    value: str | None
    name: str | None
    sessions: int
    before: int

    @property
    def by(self) -> int:
        """Return the growth; negative if there are fewer."""
        return self.sessions - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """
    Known values of one key in two periods; the value "unknown" is left out.

    Attributes:
        appeared: Values without sessions in the period before, the most sessions first.
        disappeared: Values without sessions in the newest period, the most sessions before first.
        grown: Values of both periods that grew, the largest growth first.
        fallen: Values of both periods that fell, the largest fall first.
    """

    appeared: Sequence[Change] = ()
    disappeared: Sequence[Change] = ()
    grown: Sequence[Change] = ()
    fallen: Sequence[Change] = ()

    @classmethod
    def between(cls, before: Iterable[Group], newest: Iterable[Group]) -> "Changes":
        """Return what differs between the groups of two periods, which are grouped by one key."""
        old = {group.values[0]: group for group in before}
        new = {group.values[0]: group for group in newest}
        changes = [
            Change(
                value=value,
                name=(new.get(value) or old[value]).name,
                sessions=new[value].sessions if value in new else 0,
                before=old[value].sessions if value in old else 0,
            )
            for value in sorted({*old, *new} - {None}, key=str)
        ]
        return cls(
            appeared=sorted((each for each in changes if not each.before), key=lambda each: -each.by),
            disappeared=sorted((each for each in changes if not each.sessions), key=lambda each: each.by),
            grown=sorted(
                (each for each in changes if each.before and each.sessions > each.before), key=lambda each: -each.by
            ),
            fallen=sorted(
                (each for each in changes if each.sessions and each.sessions < each.before), key=lambda each: each.by
            ),
        )
