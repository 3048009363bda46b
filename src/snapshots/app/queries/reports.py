"""Port for reports about stored sessions, and their values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from snapshots.app.queries.inspection import Inspection
from snapshots.app.queries.session_queries import EVERYTHING, Dimension, Group, SessionFilter
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.coverage import Coverage
from snapshots.domain.snapshot.fact_methods import Distance
from snapshots.domain.snapshot.nearest_statements import AsnLeftOut, TypeLeftOut
from snapshots.domain.snapshot.provenance import StatedBy
from snapshots.domain.snapshot.snapshot import IpSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCount:
    """
    Number of sessions and addresses with one value of a fact.

    Attributes:
        value: An ASN, a country, a type or a day, as text; None if unknown.
        name: Organization of an ASN, if known.
        sessions: Sessions with the value.
        asof: Those whose facts were all published by the time of the attack; None for sessions without the fact.
        inferred: Those with a fact that was published only after the attack; None for sessions without the fact. The
            rest was corrected, was sealed by another loader, or has no snapshot.
        addresses: Distinct addresses of these sessions.
    """

    value: str | None
    name: str | None = None
    sessions: int
    asof: int | None
    inferred: int | None
    addresses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LagSpread:
    """Time from the sighting to the newest fact of the snapshot; negative if the fact is older."""

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
class SourceBuilds:
    """
    The builds of one source with the same license; of an hourly list there are thousands.

    Attributes:
        name: The label of the only build, or the name of the source with the number of its builds.
        first: The day of the first build.
        last: The day of the last build.
        licence: The license.
    """

    name: str
    first: date
    last: date
    licence: str

    @property
    def days(self) -> str:
        """Return the day of the only build, or the first and the last day."""
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


def builds_by_source(sources: Sequence[KnownSource]) -> Sequence[SourceBuilds]:
    """Return builds, given by source and date, by source and license."""
    found: dict[tuple[str, str], list[KnownSource]] = {}
    for each in sources:
        found.setdefault((each.label.partition("@")[0], each.licence), []).append(each)
    return [
        SourceBuilds(
            name=own[0].label if len(own) == 1 else f"{name}, {len(own):,} builds",
            first=own[0].built_on,
            last=own[-1].built_on,
            licence=licence,
        )
        for (name, licence), own in found.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """
    Addresses about which sources state different values of a fact.

    Attributes:
        addresses: Number of addresses.
        sessions: Number of their sessions.
    """

    addresses: int
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """
    Share of sessions and addresses with a snapshot.

    An address counts as covered in a field if every session of it is.

    Attributes:
        sessions: Coverage of all sessions.
        addresses: Coverage of all distinct canonical addresses.
        lag: Lag of the sealed sessions; None if there are none.
        disagreements: Addresses about which sources disagree, by "asn" and "country".
        heaviest: Sessions of the `HEAVIEST` addresses with most sessions: shares by session depend on their facts.
        by_source: Sealed sessions by the builds of their facts, without times of day; only the most frequent ones.
    """

    sessions: Coverage
    addresses: Coverage
    lag: LagSpread | None
    heaviest: int = 0
    by_source: Mapping[str, int] = field(default_factory=dict)
    disagreements: Mapping[str, Disagreement] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """
    State of the database, for monitoring.

    Attributes:
        sessions: Coverage of all sessions.
        dead_letters: Dead letters by reason.
        last_event_at: Latest event at a plausible time; None without any.
        newest_builds: Date of the newest build by source, without retracted builds.
    """

    sessions: Coverage
    dead_letters: Mapping[str, int]
    last_event_at: datetime | None
    newest_builds: Mapping[str, datetime]


COUNTED_FACTS = (
    Dimension.ASN,
    Dimension.COUNTRY,
    Dimension.COUNTRY_METHOD,
    Dimension.IP_TYPE,
    Dimension.TYPE_BY,
    Dimension.TYPE_METHOD,
)
"""Facts, and how they are known, by which a report counts sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactCounts:
    """
    Sessions and addresses by facts.

    Attributes:
        sessions: Number of sessions by their values of `COUNTED_FACTS`, the ASN as a number; None if unknown.
        addresses: Number of addresses by ASN and by country, with texts as in `Group.values`.
    """

    sessions: Mapping[tuple[Any, ...], int]
    addresses: Mapping[Dimension, Mapping[str | None, int]]

    def groups(self, *by: Dimension) -> Sequence[Group]:
        """Return the groups by some of `COUNTED_FACTS`, in the order of `SessionQueries.groups`; only their sizes."""
        places = [COUNTED_FACTS.index(key) for key in by]
        sizes: Counter[tuple[Any, ...]] = Counter()
        for facts, count in self.sessions.items():
            sizes[tuple([facts[place] for place in places])] += count
        order = sorted(sizes.items(), key=lambda item: (-item[1], [(value is None, value) for value in item[0]]))
        return [
            Group(values=tuple(None if value is None else str(value) for value in values), sessions=count)
            for values, count in order
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Summary of the attacks.

    Attributes:
        events: Number of events.
        logins: Login attempts, successful or not.
        commands: Commands that were entered.
        downloads: Files that were downloaded.
        uploads: Files that were uploaded.
        first_event_at: Earliest event at a plausible time; None without any.
        last_event_at: Latest event at a plausible time.
        impossible_clocks: Sessions that began or ended at an implausible time; excluded from times only.
        coverage: Share of sessions and addresses with a snapshot.
        networks: The networks with most sessions.
        countries: The countries with most sessions.
        types: Sessions by IP type.
        facts: Sessions by `COUNTED_FACTS`; addresses by ASN and by country.
        days: Sessions by the UTC day of their first event; the last fourteen days, in order.
        dead_letters: Dead letters by reason.
        sources: Registered sources of facts.
    """

    events: int
    logins: int
    commands: int
    downloads: int
    uploads: int = 0
    first_event_at: datetime | None
    last_event_at: datetime | None
    impossible_clocks: int
    coverage: CoverageReport
    networks: Sequence[ValueCount]
    countries: Sequence[ValueCount]
    types: Sequence[ValueCount]
    facts: FactCounts
    days: Sequence[ValueCount]
    dead_letters: Mapping[str, int]
    sources: Sequence[KnownSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """
    The snapshot of a session with all data that led to it.

    Attributes:
        session: The stored session.
        organization: Organization of the snapshot's ASN, if known.
        run: The run that sealed it.
        history: All observations of its address.
        considered: For each source, the newest build at or before the sighting and the oldest one after it.
        known_then: The snapshot by the observations that were stored at the time of the sighting.
        namesakes: Other sessions with the same logged id.
        types_left_out: Types that were published too long before or after the attack.
        asns_left_out: ASNs of later tables that cannot have been in use at the time of the attack.
        disagreements: Different ASNs and countries that sources state as of the attack, by source.
        stated: Source of each fact of the snapshot by "asn", "country" and "ip_type"; a fact is missing if no
            observation of the snapshot's sources contains it any more.
        logins: Login attempts by credentials, the most frequent first.
    """

    session: SessionSummary
    organization: str | None
    run: str | None
    history: Sequence[IpObservation]
    namesakes: Sequence[str]
    considered: Sequence[IpObservation] = ()
    known_then: IpSnapshot | None = None
    types_left_out: Sequence[TypeLeftOut] = ()
    asns_left_out: Sequence[AsnLeftOut] = ()
    disagreements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stated: Mapping[str, StatedBy] = field(default_factory=dict)
    logins: Sequence[StoredLogin] = ()


HEAVIEST = 5
"""Number of addresses whose share of the sessions is reported."""

FIELD_NAMES = {"snapshot": "snapshot", "asn": "ASN", "country": "country", "ip_type": "IP type"}
"""Display names of the keys of `Coverage.by_field`."""


def methods_text(coverage: Coverage, fact: str = "snapshot") -> str:
    """
    Return the shares of sessions with a fact, as of the attack and inferred.

    Args:
        coverage: Coverage of the sessions.
        fact: A key of `Coverage.by_field`.
    """
    if not coverage.total:
        return "no sessions"
    known, asof, inferred = coverage.by_field[fact], coverage.asof[fact], coverage.inferred[fact]
    of_all = fact == "snapshot"
    parts = (
        (asof, "with every known fact as of the attack" if of_all else "as of the attack"),
        (
            inferred,
            "with a fact from a table made after the attack" if of_all else "from a table made after the attack",
        ),
        (known - asof - inferred, "corrected or adopted"),
    )
    split = ", ".join(f"{count / coverage.total:.1%} {text}" for count, text in parts if count)
    sessions = "1 session" if coverage.total == 1 else f"{coverage.total:,} sessions"
    return f"known for {known / coverage.total:.1%} of {sessions}" + (f": {split}" if split else "")


def heaviest_text(report: CoverageReport) -> str:
    """Return which share of the sessions a few addresses have; "" if there are no more addresses than that."""
    total = report.sessions.total
    if report.addresses.total <= HEAVIEST or not total:
        return ""
    return f"The {HEAVIEST} addresses with most sessions have {report.heaviest / total:.1%} of the sessions"


def nearness_lines(coverage: Coverage, addresses: Coverage | None = None) -> list[str]:
    """
    Return how far from the attack each fact was stated, a line for each fact, and how precise the IP types are.

    Args:
        coverage: The numbers of sessions.
        addresses: The numbers of addresses, to be shown too: few of them may have most of the sessions.
    """

    def counted(sessions: int, of_addresses: int | None) -> str:
        if of_addresses is None:
            return f"({sessions:,})"
        nouns = "session" if sessions == 1 else "sessions", "address" if of_addresses == 1 else "addresses"
        return f"({sessions:,} {nouns[0]}, {of_addresses:,} {nouns[1]})"

    lines = []
    for fact, counts in coverage.distances.items():
        among = addresses.distances[fact] if addresses is not None else None
        parts = [
            f"{each.text} {counted(counts[each], among[each] if among is not None else None)}"
            for each in Distance
            if counts[each]
        ]
        if parts:
            lines.append(f"{FIELD_NAMES[fact]} stated {', '.join(parts)}")
    if coverage.ip_type:
        by_address = counted(coverage.by_address, addresses.by_address if addresses is not None else None)
        by_network = counted(coverage.by_network, addresses.by_network if addresses is not None else None)
        lines.append(f"IP type known by address {by_address}, by network {by_network}")
    return lines


def impossible_clocks_text(report: Report) -> str:
    """Return the message about sessions at implausible times; "" without any."""
    count = report.impossible_clocks
    if not count:
        return ""
    who = "1 session has" if count == 1 else f"{count:,} sessions have"
    return (
        f"{who} an impossible clock (before 2000 or more than a day in the future), excluded from times and timelines."
    )


class Reports(Protocol):
    """Reports about stored sessions. Each reads one consistent state of the database."""

    def report(self, *, top: int, session_filter: SessionFilter = EVERYTHING) -> Report:
        """
        Return a summary of the attacks.

        Args:
            top: Maximum number of networks and of countries, at least 1.
            session_filter: The sessions. Dead letters and disagreements are only counted of all sessions.

        Raises:
            InvalidQuery: A value of the filter is not valid.
        """
        ...

    def database_status(self) -> DatabaseStatus:
        """Return the state of the database, for monitoring."""
        ...

    def coverage(self) -> CoverageReport:
        """Return the share of sessions and addresses with a snapshot, and the gaps of the others."""
        ...

    def inspect(self, *, show: int, run: str | None = None, full: bool = True) -> Inspection:
        """
        Inspect sealed sessions, audit and counts, and test the guard in a transaction that is rolled back.

        Args:
            show: Maximum number of violations to return, at least 1.
            full: Inspect every sealed session; otherwise a new random sample if there are very many.
            run: Inspect only the sessions that this run sealed; None for all.
        """
        ...

    def explain(self, session_id: str) -> Explanation | None:
        """Return a session with all data that led to its snapshot; None if it does not exist."""
        ...
