"""Result of an inspection of sealed sessions: invariants, violations and attempts against the guard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Invariant(Enum):
    """A property that must hold for every stored session, or for the database itself."""

    WHOLE = "whole"
    IN_RANGE = "in_range"
    UNCHANGED = "unchanged"
    NO_SENTINEL = "no_sentinel"
    AUDITED = "audited"
    COUNTED = "counted"
    TALLIED = "tallied"
    STATED = "stated"
    ON_RECORD = "on_record"
    GUARDED = "guarded"
    TYPED = "typed"
    INTACT = "intact"

    @property
    def broken(self) -> str:
        """Return a short description of a violation."""
        return _BROKEN[self]


_BROKEN = {
    Invariant.WHOLE: "torn: facts without a time or a method, a time without facts, or both a snapshot and a gap",
    Invariant.IN_RANGE: "out of range: a fact that no network, country or type has",
    Invariant.UNCHANGED: "changed without audit: not what was sealed",
    Invariant.NO_SENTINEL: "sentinel: a placeholder such as XX in place of a fact; `correct --sentinels` removes it",
    Invariant.AUDITED: "differs from its last correction: changed without audit",
    Invariant.COUNTED: "miscounted: the inventory has another session count for this address",
    Invariant.TALLIED: "miscounted: its login attempts by credentials are not among its login attempts",
    Invariant.STATED: "not stated: no observation of its address contains its facts",
    Invariant.ON_RECORD: "not on record: sessions were sealed, opened or deleted despite the guard",
    Invariant.GUARDED: "unguarded: the database let a sealed session be changed",
    Invariant.TYPED: "wrong type: commands that read the value fail until it is corrected in the database",
    Invariant.INTACT: "not intact: not as this program made it",
}


class Trial(Enum):
    """Result of an attempt to change a sealed session."""

    REFUSED = "refused"
    """The guard refused it, or restored the session."""
    REFUSED_OTHERWISE = "refused otherwise"
    """Another constraint refused it before the guard ran."""
    ACCEPTED = "accepted"
    """The session was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """
    A violated invariant.

    Attributes:
        invariant: The invariant.
        where: Key of the session, address, run with its numbers, unprotected column, or altered part of the database.
    """

    invariant: Invariant
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """
    Result of an inspection of sealed sessions.

    Attributes:
        sealed: Sealed or torn sessions that were inspected.
        of: All sealed or torn sessions; in a large database, only a sample of the sealed ones is inspected.
        drawn: Size of the sample.
        drawn_of: Number of sessions from which the sample was drawn.
        corrections: Number of audited corrections.
        adopted: Sessions that another loader sealed; they have no seal, so a change cannot be detected.
        put_back: Number of writes of another loader to sealed sessions that the guard reverted.
        violations: Violations, up to the requested number.
        counts: Number of violations by invariant.
        trials: Result of an attempt to change each protected column; empty without a sealed session.
        guard_was_tried: Whether it was possible to attempt a forbidden change.
        not_checked: Checks that could not be made, each with the reason.
        is_impossible: Whether sessions could not be inspected, because tables or columns are missing.
    """

    sealed: int
    of: int
    drawn: int = 0
    drawn_of: int = 0
    corrections: int
    adopted: int = 0
    put_back: int = 0
    violations: Sequence[Violation] = ()
    counts: Mapping[Invariant, int] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    guard_was_tried: bool = True
    not_checked: Sequence[str] = ()
    is_impossible: bool = False

    @property
    def violation_count(self) -> int:
        """Return the number of violations."""
        return sum(self.counts.values())

    @property
    def unseen_share(self) -> float:
        """
        Return the largest share of altered sessions that a clean sample leaves possible, at 95 % confidence.

        By the rule of three, this is 3 divided by the sample size; 0 if all sessions were inspected.
        """
        if self.drawn >= self.drawn_of:
            return 0.0
        return (min(1.0, 3 / self.drawn) if self.drawn else 1.0) * self.drawn_of / self.of
