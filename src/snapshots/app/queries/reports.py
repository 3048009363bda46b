"""What is asked of the stored sessions, and in which shape it is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Protocol

from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.as_of import TypeLeftOut
from snapshots.domain.snapshot.coverage import Coverage
from snapshots.domain.snapshot.provenance import StatedBy
from snapshots.domain.snapshot.snapshot import IpSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCount:
    """
    How many sessions and addresses one value of a fact stands for.

    Attributes:
        value: An ASN, a country, a type or a day, as text; None where it is not known.
        name: The organization behind an ASN, where it is known.
        sessions: Sessions that hold it.
        asof: How many of them hold only facts that were stated by the time of the attack; None of sessions without
            the fact.
        inferred: How many hold a fact that was stated only after it; None likewise. The rest was corrected, or written
            by another loader, or holds no snapshot.
        addresses: Distinct addresses among them.
    """

    value: str | None
    name: str | None = None
    sessions: int
    asof: int | None
    inferred: int | None
    addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LagSpread:
    """How long after the sighting the newest part of the snapshots was stated; negative means before."""

    least: timedelta
    median: timedelta
    greatest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSource:
    """A registered build of a source of facts."""

    label: str
    built_on: date
    licence: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """
    How many sessions and addresses carry a snapshot.

    An address counts as covered in a field if every session of it is.

    Attributes:
        sessions: Of all sessions.
        addresses: Of all distinct canonical addresses.
        lag: Of the sealed sessions; None if there are none.
        by_source: Sealed sessions by the builds that their facts are of, the most frequent first, at most a few.
    """

    sessions: Coverage
    addresses: Coverage
    lag: LagSpread | None
    by_source: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """
    How the database stands, for those who watch it.

    Attributes:
        sessions: How many sessions carry a snapshot.
        dead_letters: Lines set aside, by reason.
        last_event_at: The latest event at a plausible time; None without any.
        newest_builds: When the newest build of each source that counts was made.
    """

    sessions: Coverage
    dead_letters: Mapping[str, int]
    last_event_at: datetime | None
    newest_builds: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Who attacked.

    Attributes:
        events: All events of all sessions.
        logins: Attempts to log in, successful or not.
        commands: Commands entered.
        downloads: Files fetched.
        first_event_at: The earliest event at a plausible time; None without any.
        last_event_at: The latest one.
        impossible_clocks: Sessions that began or ended at no plausible time; they count everywhere but in times.
        coverage: How many sessions and addresses carry a snapshot.
        networks: The networks with most sessions.
        countries: The countries with most sessions.
        types: Sessions by IP type.
        days: Sessions by the day of their first event in UTC, the last fourteen of them, in order.
        dead_letters: Lines set aside, by reason.
        sources: Where the facts come from.
    """

    events: int
    logins: int
    commands: int
    downloads: int
    first_event_at: datetime | None
    last_event_at: datetime | None
    impossible_clocks: int
    coverage: CoverageReport
    networks: Sequence[ValueCount]
    countries: Sequence[ValueCount]
    types: Sequence[ValueCount]
    days: Sequence[ValueCount]
    dead_letters: Mapping[str, int]
    sources: Sequence[KnownSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """
    Everything that led to what one session holds.

    Attributes:
        session: As it is stored.
        organization: Who the snapshot's ASN belongs to, where it is known.
        run: The run that sealed it.
        history: Everything that sources said of its address.
        considered: Of each source the newest build at or before its sighting, and the oldest after it.
        known_then: The snapshot it would hold by what this program had learned by the time of the sighting.
        namesakes: Other sessions under the same id of the log.
        types_left_out: Types that were stated too long before or after the attack.
        stated: The source of each fact of the snapshot, by "asn", "country" and "ip_type"; a fact is missing where
            no observation of the sources that the snapshot names states it any more.
    """

    session: SessionSummary
    organization: str | None
    run: str | None
    history: Sequence[IpObservation]
    namesakes: Sequence[str]
    considered: Sequence[IpObservation] = ()
    known_then: IpSnapshot | None = None
    types_left_out: Sequence[TypeLeftOut] = ()
    stated: Mapping[str, StatedBy] = field(default_factory=dict)


FIELD_NAMES = {"snapshot": "snapshot", "asn": "ASN", "country": "country", "ip_type": "IP type"}
"""Display names of the keys of `Coverage.by_field`."""


def methods_text(coverage: Coverage, fact: str = "snapshot") -> str:
    """
    Return the shares of sessions with a fact, as of the attack and inferred.

    Args:
        coverage: Of the sessions.
        fact: A word of `Coverage.by_field`.
    """
    if not coverage.total:
        return "no sessions"
    known, asof, inferred = coverage.by_field[fact], coverage.asof[fact], coverage.inferred[fact]
    parts = (
        (asof, "with all facts of the time of the attack"),
        (inferred, "with a fact from a table made after it"),
        (known - asof - inferred, "corrected or adopted"),
    )
    split = ", ".join(f"{count / coverage.total:.1%} {text}" for count, text in parts if count)
    return f"known for {known / coverage.total:.1%} of {coverage.total:,} sessions" + (f": {split}" if split else "")


def impossible_clocks_text(report: Report) -> str:
    """Return the message about sessions at implausible times; "" without any."""
    count = report.impossible_clocks
    if not count:
        return ""
    who = "1 session has" if count == 1 else f"{count:,} sessions have"
    return (
        f"{who} an impossible clock (before 2000 or more than a day in the future), excluded from times and timelines."
    )


class Invariant(Enum):
    """What must be true of every stored session, or of the database itself."""

    WHOLE = "whole"
    IN_RANGE = "in_range"
    UNCHANGED = "unchanged"
    NO_SENTINEL = "no_sentinel"
    AUDITED = "audited"
    COUNTED = "counted"
    STATED = "stated"
    ON_RECORD = "on_record"
    GUARDED = "guarded"
    TYPED = "typed"
    INTACT = "intact"

    @property
    def broken(self) -> str:
        """Return what it means that it does not hold, in a few words."""
        return _BROKEN[self]


_BROKEN = {
    Invariant.WHOLE: "torn: facts without a time or a method, a time without facts, or both a snapshot and a gap",
    Invariant.IN_RANGE: "out of range: a fact that no network, country or type has",
    Invariant.UNCHANGED: "changed without audit: not what was sealed",
    Invariant.NO_SENTINEL: "sentinel: a code for nowhere stands for a fact; `correct --sentinels` takes it out",
    Invariant.AUDITED: "not what its last correction says: somebody went round the audit",
    Invariant.COUNTED: "miscounted: the inventory counts other sessions of this address than there are",
    Invariant.STATED: "not stated: the observations of its address do not say what it holds",
    Invariant.ON_RECORD: "not on record: sessions were sealed, opened or deleted past the guard",
    Invariant.GUARDED: "unguarded: the database let a sealed session be changed",
    Invariant.TYPED: "wrong type: commands that read the value fail until it is corrected in the database",
    Invariant.INTACT: "not intact: not as this program made it",
}


class Trial(Enum):
    """What came of a forbidden change of a sealed session."""

    REFUSED = "refused"
    """The guard refused it, or put the session back."""
    REFUSED_OTHERWISE = "refused otherwise"
    """Another constraint refused it before the guard was asked."""
    ACCEPTED = "accepted"
    """The session was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """
    An invariant that does not hold.

    Attributes:
        invariant: Which one.
        where: The session's name, the address, the run with its numbers, the column that the guard did not protect,
            or the part of the database that is not intact.
    """

    invariant: Invariant
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """
    What looking at sealed sessions found.

    Attributes:
        sealed: How many sealed or torn sessions were looked at.
        of: How many there are; where there are very many, of those with a seal only a part is looked at.
        drawn: How many of those were looked at that a part was taken of.
        drawn_of: How many of those there are.
        corrections: How many corrections are on record.
        adopted: How many of them another loader wrote; they carry no seal, so a change cannot be seen.
        put_back: How often the guard put back what another loader filled into a sealed session.
        violations: What does not hold, at most as many as were asked for.
        counts: How many there are of each invariant that does not hold.
        trials: What came of a forbidden change of each protected column; none without a sealed session.
        not_checked: What could not be checked here, each with the reason.
        is_impossible: Whether sessions could not be looked at, because tables or columns are gone.
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
    not_checked: Sequence[str] = ()
    is_impossible: bool = False

    @property
    def violation_count(self) -> int:
        """Return how many violations there are."""
        return sum(self.counts.values())

    @property
    def unseen_share(self) -> float:
        """
        Return which share of the sealed sessions may be changed, at a confidence of 95 %, although none was found.

        By the rule of three, 3 in as many as were drawn; 0 if all were looked at.
        """
        if self.drawn >= self.drawn_of:
            return 0.0
        return (min(1.0, 3 / self.drawn) if self.drawn else 1.0) * self.drawn_of / self.of


class Reports(Protocol):
    """Answers from the stored sessions. Each is one consistent state of the database."""

    def report(self, *, top: int) -> Report:
        """Return who attacked; *top* is how many networks and countries are listed, at least 1."""
        ...

    def standing(self) -> DatabaseStatus:
        """Return how the database stands."""
        ...

    def coverage(self) -> CoverageReport:
        """Return how many sessions and addresses carry a snapshot, and why the others do not."""
        ...

    def inspect(self, *, show: int, run: str | None = None, full: bool = True) -> Inspection:
        """
        Look at sealed sessions, audit and counts, and try the guard in a transaction that is rolled back.

        Args:
            show: How many violations to name, at least 1.
            full: Look at every sealed session; else, of very many, at a part that is another one each time.
            run: Look only at the sessions that this run sealed; None to look at all.
        """
        ...

    def explain(self, session_id: str) -> Explanation | None:
        """Return what led to what a session holds; None if there is no such session."""
        ...
