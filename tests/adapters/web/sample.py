"""A database for tests of the pages: real logs, hostile texts, IPv6, several honeypots and sessions without facts."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from snapshots.__main__ import main
from tests.adapters.html.test_page import ATTACKS
from tests.journeys.conftest import NEW, OLD

FIRST = datetime.fromisoformat("2026-11-14T10:00:00+00:00")
ADDRESSES = ("8.8.8.8", "2a00:1450:4001::1", "1.1.1.1", "10.0.0.1")


def session(name: str, at: datetime, address: str | None, text: str, sensor: str) -> list[dict[str, str]]:
    """Return the events of a session that logged in, typed and fetched with a text that an attacker chose."""
    events = [
        *([{"eventid": "cowrie.session.connect", "src_ip": address, "protocol": "ssh"}] if address else []),
        {"eventid": "cowrie.client.kex", "hassh": text},
        {"eventid": "cowrie.login.failed", "username": text, "password": text},
        {"eventid": "cowrie.login.success", "username": text, "password": text},
        {"eventid": "cowrie.command.input", "input": text},
        {"eventid": "cowrie.session.file_download", "url": text, "shasum": text},
    ]
    return [
        {"session": name, "sensor": sensor, "timestamp": (at + timedelta(seconds=n)).isoformat(), **event}
        for n, event in enumerate(events)
    ]


def hostile_lines() -> list[dict[str, str]]:
    """Return sessions of two weeks in which every text is an attack on the reader of the page."""
    return [
        line
        for n, text in enumerate([*ATTACKS, "long " * 400])
        for week in (0, 7)
        for line in session(
            f"{n:06x}{week:06x}",
            FIRST + timedelta(days=week, minutes=n),
            (*ADDRESSES, None)[n % 5],
            text,
            text[:300] if n % 2 else "vps1",
        )
    ]


def load_sample(folder: Path, url: str) -> None:
    """Load the sample into a database."""
    hostile = folder / "hostile.json"
    hostile.write_text("".join(f"{json.dumps(line)}\n" for line in hostile_lines()))
    assert main(["load", "-q", str(NEW), str(OLD), str(hostile), "--db", url]) == 0
