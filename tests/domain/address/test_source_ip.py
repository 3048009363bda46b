"""The canonical source IP."""

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.domain.address.source_ip import CanonicalIpSelector, IpAddress, Sighting, SightingKind
from snapshots.domain.errors import InvalidAddress
from tests.strategies import HOME, NOON, OTHER, sightings

SELECTOR = CanonicalIpSelector()
CONNECT, OTHER_EVENT, FORWARD = SightingKind


def seen(address: IpAddress, kind: SightingKind = OTHER_EVENT, *, after: int = 0) -> Sighting:
    return Sighting(address=address, seen_at=NOON + timedelta(seconds=after), kind=kind)


def chosen(*found: Sighting, only_forwards: bool = False) -> IpAddress | None:
    first = SELECTOR.choose(found, only_forwards=only_forwards)
    return first.address if first else None


def test_the_connect_names_the_address_even_if_another_event_is_earlier() -> None:
    """The connect event has the address of the connection; later protocol layers may claim another."""
    assert chosen(seen(OTHER), seen(HOME, CONNECT, after=60)) == HOME


def test_without_a_connect_the_earliest_event_names_the_address() -> None:
    """The earliest by time, wherever it is in the file."""
    assert chosen(seen(OTHER, after=1), seen(HOME)) == HOME


def test_at_equal_times_the_smaller_address_text_is_chosen() -> None:
    """A tie has the same result in any order."""
    assert chosen(seen(HOME), seen(OTHER)) == OTHER


def test_a_forwarded_connection_does_not_name_the_address() -> None:
    """Older Cowries logged there what the client claimed."""
    assert chosen(seen(OTHER, FORWARD)) is None


def test_a_session_with_only_forwards_uses_their_address() -> None:
    """It has no better sighting."""
    assert chosen(seen(OTHER, FORWARD), only_forwards=True) == OTHER


@given(st.lists(sightings), st.randoms(use_true_random=False), st.booleans())
@example([seen(HOME), seen(OTHER)], None, False)  # equal times
def test_any_order_of_events_yields_the_same_address(
    found: list[Sighting], random: object, only_forwards: bool
) -> None:
    """Neither set order nor reading order matters."""
    shuffled = found[::-1]
    if random is not None:
        random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random

    assert SELECTOR.choose(found, only_forwards=only_forwards) == SELECTOR.choose(shuffled, only_forwards=only_forwards)


@given(st.lists(sightings, min_size=1), sightings)
def test_a_later_sighting_never_changes_the_choice(found: list[Sighting], later: Sighting) -> None:
    """What was chosen stays, unless something that comes before it is found."""
    first = SELECTOR.choose(found, only_forwards=True)

    again = SELECTOR.choose([*found, later], only_forwards=True)

    assert again == (later if later.precedes(first) else first)  # type: ignore[arg-type]  # found is not empty


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\n", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_has_one_text_form(text: str, form: str) -> None:
    """The same address is found again however it was written."""
    assert IpAddress.parse(text).text == form


@pytest.mark.parametrize(
    "text", ["", "example.org", "1.2.3", "1.2.3.4.5", "010.0.0.1", "1.2.3.4/8", "::g", "\u0661.2.3.4"]
)
def test_an_invalid_address_is_refused(text: str) -> None:
    """A host name in an address field is not an address."""
    with pytest.raises(InvalidAddress):
        IpAddress.parse(text)


@pytest.mark.parametrize(
    ("text", "routable"),
    [
        ("8.8.8.8", True),
        ("100.63.255.255", True),
        ("100.64.0.0", False),
        ("100.127.255.255", False),
        ("100.128.0.0", True),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("172.15.255.255", True),
        ("172.16.0.1", False),
        ("192.0.0.8", False),
        ("192.0.0.9", True),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("203.0.113.7", False),
        ("224.0.0.1", False),
        ("239.255.255.255", False),
        ("255.255.255.255", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("2001:4860:4860::8888", True),
        ("2001:20::1", True),
        ("2001::1", False),
        ("64:ff9b::808:808", True),
        ("3fff::1", False),
    ],
)
def test_only_addresses_of_the_public_internet_are_routable(text: str, routable: bool) -> None:
    """A private address has no owner, so no source has facts about it."""
    assert IpAddress.parse(text).is_routable is routable
