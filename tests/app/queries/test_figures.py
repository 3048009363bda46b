"""What the sessions of an overview did, compared with the period before."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from snapshots.__main__ import main
from snapshots.adapters.cli.settings import Settings
from snapshots.app.queries.action import Action
from snapshots.app.queries.comparisons.figures import Compared, Figures, figures_of
from snapshots.app.queries.session_queries import EVERYTHING, Dimension, SessionFilter
from snapshots.composition.application import CommandApplication

WEEK = datetime.fromisoformat("2026-11-17T00:00:00+00:00")


def events(name: str, at: datetime, address: str, *kinds: str) -> list[dict[str, str]]:
    return [
        {"session": name, "timestamp": (at + timedelta(seconds=n)).isoformat(), "src_ip": address, "sensor": address}
        | {"eventid": f"cowrie.{kind}", "input": "id", "username": "root", "shasum": "ab", "protocol": "ssh"}
        for n, kind in enumerate(("session.connect", *kinds))
    ]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandApplication]:
    """One address before the week, and two networks in it, of which one typed a command."""
    folder = tmp_path_factory.mktemp("figures")
    lines = [
        *events("a1", WEEK - timedelta(days=1), "8.8.8.8", "login.success"),
        *events("b1", WEEK + timedelta(days=1), "8.8.8.8", "login.success", "command.input"),
        *events("b2", WEEK + timedelta(days=2), "8.8.8.8", "login.failed"),
        *events("b3", WEEK + timedelta(days=3), "1.1.1.1", "login.success", "session.file_download"),
    ]
    (folder / "cowrie.json").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert main(["load", "-q", str(folder / "cowrie.json"), "--db", f"sqlite:///{folder}/test.db"]) == 0
    made = CommandApplication(Settings(db=f"sqlite:///{folder}/test.db"))
    yield made
    made.close()


def figures(application: CommandApplication, asked: SessionFilter) -> Figures:
    return figures_of(application.session_queries, application.overview.overview(top=9, session_filter=asked))


def test_a_period_is_compared_with_the_one_before(application: CommandApplication) -> None:
    """Sessions, addresses, networks, and what was done."""
    found = figures(application, SessionFilter(since=WEEK, until=WEEK + timedelta(days=7)))

    assert (found.sessions, found.addresses, found.networks) == (Compared(3, 1), Compared(2, 1), Compared(2, 1))
    assert found.did == {
        Action.LOGIN: Compared(2, 1),
        Action.COMMAND: Compared(1, 0),
        Action.DOWNLOAD: Compared(1, 0),
    }
    assert found.active == {"15169": 1, "13335": 1}
    assert found.changes[Dimension.ASN] == {"15169": 1, "13335": 1}
    assert sorted((group.values, group.sessions) for group in found.sensors) == [(("1.1.1.1",), 1), (("8.8.8.8",), 2)]


def test_all_sessions_are_compared_with_nothing(application: CommandApplication) -> None:
    """There is no period before."""
    found = figures(application, EVERYTHING)

    assert (found.sessions, found.addresses, found.networks) == (Compared(4), Compared(2), Compared(2))
    assert found.did[Action.LOGIN] == Compared(3)
    assert found.changes == {}


def test_what_the_filter_does_not_ask_for_is_not_counted(application: CommandApplication) -> None:
    """Sessions that typed are not all of those that also logged in."""
    found = figures(application, SessionFilter(did=[Action.COMMAND, Action.FORWARD]))

    assert found.did == {Action.COMMAND: Compared(1)}
    assert found.active == {"15169": 1}
