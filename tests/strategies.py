"""Values of the domain, from small sets, so that collisions happen."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from snapshots.domain.address.source_ip import IpAddress, Sighting, SightingKind
from snapshots.domain.facts.ip_type import NETWORK_KINDS, IpType
from snapshots.domain.facts.network_types import NetworkTypes, NetworkTypesBuild
from snapshots.domain.facts.observation import IpFacts, IpObservation, SourceBuild
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.session import EventKind, SessionEvent
from snapshots.domain.snapshot.provenance import FACTS, CurrentFacts
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

HOME = IpAddress("8.8.8.8")
OTHER = IpAddress("1.1.1.1")

addresses = st.sampled_from([HOME, OTHER, IpAddress("2001:4860:4860::8888"), IpAddress("10.0.0.1")])
BEGINNING_OF_TIME = datetime.min.replace(tzinfo=UTC)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)

moments = st.integers(-5, 5).map(lambda n: NOON + n * DAY)
odd_moments = st.sampled_from(
    [BEGINNING_OF_TIME, END_OF_TIME, *(NOON + timedelta(seconds=n) for n in (-3600, -1, 0, 1, 3600, 3601))]
)
"""Seconds and an hour from each other, and the two ends of the calendar: mangled clocks say such things."""
ip_types = st.sampled_from(IpType)
type_sets = st.frozensets(ip_types)

sightings = st.builds(
    Sighting,
    address=addresses,
    seen_at=moments,
    kind=st.sampled_from(SightingKind),
    port=st.none() | st.sampled_from([0, 22, 65535]),
)

facts = st.builds(
    IpFacts,
    asn=st.none() | st.sampled_from([1, 64500, 4_294_967_295]),
    country=st.none() | st.sampled_from(["DE", "FR"]),
    ip_types=type_sets,
)

ip_snapshots = st.builds(
    IpSnapshot,
    asn=st.sampled_from([64500, 4_294_967_295]),
    country=st.none() | st.sampled_from(["DE", "FR"]),
    ip_type=st.none() | ip_types,
    enrichment_at=moments,
    method=st.sampled_from(Method),
    source=st.sampled_from(["dbip@2026-09-01", "a@2026-01-01 b@2026-01-02"]),
)


TEXTS = {
    Trait.CREDENTIALS: st.sampled_from(['["root", null, null]', f'["", "{"0" * 64}", "a b"]']),
    Trait.DURATION: st.integers(0, 10**12).map(str),
}
traits = st.sampled_from(Trait).flatmap(
    lambda trait: st.tuples(st.just(trait), TEXTS.get(trait, st.sampled_from(["a", "b", "\u2028 é", "'\"\\\t"])))
)


@st.composite
def events(draw: st.DrawFn, times: st.SearchStrategy[datetime] = moments) -> SessionEvent:
    """An event whose fingerprint is a function of its content, as in a log."""
    kind = draw(st.sampled_from(EventKind))
    at = draw(times)
    address = draw(st.none() | addresses)
    port = draw(st.none() | st.sampled_from([1, 2])) if kind is EventKind.CONNECT else None
    sensor = draw(st.sampled_from([None, "a", "b"]))
    trait = draw(st.none() | traits)
    mark = hash((at, kind.value, address, port, sensor, trait and (trait[0].word, trait[1]))) % 2**64
    return SessionEvent(mark, at, kind, address, port, sensor, traits=(trait,) if trait else ())


@st.composite
def histories(draw: st.DrawFn) -> list[IpObservation]:
    """Observations of one address by up to three sources, at most one per source and date."""
    observations = {}
    for source in draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=6)):
        at = draw(moments)
        observations[source, at] = IpObservation(source=source, observed_at=at, confirmed_until=at, facts=draw(facts))
    return list(observations.values())


def network_build(at: datetime, types: Mapping[int, IpType], name: str = "network-types") -> NetworkTypesBuild:
    """A build that states the types of some networks."""
    build = SourceBuild(name=name, built_at=at, licence="CC0", sha256="0" * 64, origin="bundled")
    return NetworkTypesBuild(build=build, types=types)


@st.composite
def network_types(draw: st.DrawFn) -> NetworkTypes:
    """Types of the networks in `facts`, by up to two sources with up to two builds each."""
    stated = st.dictionaries(st.sampled_from([1, 64500]), st.sampled_from(sorted(NETWORK_KINDS, key=str)))
    builds = []
    for name in draw(st.lists(st.sampled_from(["network-types", "network-types-b"]), unique=True)):
        dates = draw(st.lists(moments, unique=True, max_size=2))
        builds += [network_build(at, draw(stated), name) for at in dates]
    return NetworkTypes(tuple(builds))


def observed(
    source: str,
    at: datetime,
    *,
    asn: int | None = None,
    country: str | None = None,
    types: frozenset[IpType] = frozenset(),
    until: datetime | None = None,
) -> IpObservation:
    """An observation of an address."""
    return IpObservation(
        source=source,
        observed_at=at,
        confirmed_until=until or at,
        facts=IpFacts(asn=asn, country=country, ip_types=types),
    )


def current(held: IpSnapshot) -> CurrentFacts:
    """The newest facts of an address, each of the date of the whole."""
    return CurrentFacts(held, dict.fromkeys(FACTS, held.enrichment_at))


def snapshot(*, enrichment_at: datetime = NOON, asn: int | None = 64500, country: str | None = None) -> IpSnapshot:
    """A snapshot of which only a part matters."""
    return IpSnapshot(
        asn=asn,
        country=country,
        ip_type=None if asn or country else IpType.TOR,
        enrichment_at=enrichment_at,
        method=Method.ASOF,
        source="a@2026-03-01",
    )
