"""What single addresses did, by day and in total."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from snapshots.app.queries.address_activity import MOST_TEXTS, by_address, by_address_and_day
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.logins import StoredLogin
from tests.strategies import NOON

EMPTY = SessionRow(**(dict.fromkeys(SESSION_COLUMNS) | {"session_id": "s"}))  # type: ignore[arg-type]
ADDRESSES = ["8.8.8.8", "2001:4860::1", "10.0.0.1", "nonsense", None]


def row(hours: int | None, address: str | None, logins: int, commands: tuple[str, ...] = ()) -> SessionRow:
    at = None if hours is None else NOON + timedelta(hours=hours)
    return EMPTY._replace(
        first_event_at=at,
        last_event_at=at,
        source_ip=address,
        logins=logins,
        commands=len(commands),
        downloads=0,
        activity=Activity(commands=commands),
    )


@given(st.lists(st.tuples(st.none() | st.integers(0, 80), st.sampled_from(ADDRESSES), st.integers(0, 3)), max_size=12))
def test_sessions_are_added_by_address_and_by_day(made: list[tuple[int | None, str | None, int]]) -> None:
    """Those without a time or a routable address are left out; each other one counts once."""
    lines = [row(hours, address, logins) for hours, address, logins in made]
    lines.sort(key=lambda line: (line.first_event_at is not None, line.first_event_at or NOON), reverse=True)
    expected: Counter[tuple[object, object]] = Counter()
    for hours, address, logins in made:
        if hours is not None and address in ADDRESSES[:2]:
            expected[(NOON + timedelta(hours=hours)).date(), address] += logins

    days = list(by_address_and_day(lines))

    assert {(day.first_at.date(), day.address.text): day.logins for day in days} == dict(expected)
    assert len(days) == len(expected)
    total = by_address(lines)
    assert sum(each.sessions for each in total.values()) == sum(day.sessions for day in days)
    assert {address.text for address in total} == {address for _, address in expected}
    for each in total.values():
        own = [line.first_event_at for line in lines if line.source_ip == each.address.text and line.first_event_at]
        assert (each.first_at, each.last_at) == (min(own), max(own))


def test_the_texts_of_an_address_are_limited_and_different() -> None:
    """However many sessions it has."""
    lines = [row(n, "8.8.8.8", 0, ("id", f"echo {n}")) for n in range(50, 0, -1)]

    (each,) = by_address(lines).values()

    assert each.texts == ["id", "echo 50", "echo 49", "echo 48", "echo 47"]
    assert len(each.texts) == MOST_TEXTS
    assert (each.sessions, each.commands, each.is_attack) == (50, 100, True)


def test_a_connection_alone_is_not_an_attack() -> None:
    """A login attempt is."""
    assert [each.is_attack for each in by_address([row(0, "8.8.8.8", 0)]).values()] == [False]
    assert [each.is_attack for each in by_address([row(0, "8.8.8.8", 1)]).values()] == [True]


def test_ports_protocols_networks_and_users_are_collected() -> None:
    """The port is that of the earliest session that has one."""
    attempts = StoredLogin(username="root", password_hash=None, password=None, attempts=2, successes=1)
    unnamed = attempts._replace(username=None)
    new = row(2, "8.8.8.8", 1)._replace(
        source_port=2,
        protocol="ssh",
        asn_method="asof",
        source="a@1",
        login_succeeded=True,
        activity=Activity(logins=(attempts, unnamed)),
    )
    old = row(1, "8.8.8.8", 1)._replace(source_port=1, protocol="telnet", asn_method="inferred", activity=None)
    oldest = row(0, "8.8.8.8", 1)._replace(last_event_at=None)

    (each,) = by_address([new, old, oldest]).values()

    assert (each.source_port, each.protocols, each.users, each.successes) == (1, {"ssh", "telnet"}, ["root"], 1)
    assert each.networks == {("asof", "a@1"), ("inferred", "")}
    assert each.last_at == NOON + timedelta(hours=2)
