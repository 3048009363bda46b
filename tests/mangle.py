"""
Real logs made worse, by seed.

The lines come from two logs of real Cowries; what is done to them is what disks, clocks, operators and
attackers do. The same seed makes the same lines.
"""

import gzip
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

LOGS = (
    Path("tests/data/cowrie-2.8.1.json.gz"),
    Path("src/snapshots/adapters/cli/data/cowrie.json.gz"),
)
ODD_ADDRESSES = ("10.1.2.3", "100.64.7.7", "::ffff:10.9.8.7", "::ffff:8.8.4.4", "2001:DB8::1", "192.168.1.1", "9.9.9.9")
BAD_LINES = (
    b"{",
    b"[]",
    b"null",
    b"plain text",
    b'{"session":"x"}',
    b'{"timestamp":"2026-01-01T00:00:00Z"}',
    b"\xff\xfe",
)

Event = dict[str, Any]


def real_events() -> list[Event]:
    """Return the events of both logs, in the order of the files."""
    return [json.loads(line) for path in LOGS for line in gzip.decompress(path.read_bytes()).splitlines()]


def mangled(seed: int, *, reused_ids: bool = True) -> list[bytes]:
    """Return the lines of a log to which everything in this module happened, without newlines."""
    random = Random(seed)
    events = [dict(event) for event in real_events()]
    sessions = sorted({event["session"] for event in events})
    random.shuffle(sessions)
    some = iter(sessions)
    for _ in range(8):
        claim_an_address(events, next(some), random)
        add_a_second_address(events, next(some), random)
        forward_first(events, next(some), random)
        make_times_equal(events, next(some))
        move(events, next(some), random.choice(ODD_ADDRESSES))
        drop_the_connect(events, next(some))
        keep_only_forwards(events, next(some))
        if reused_ids:
            share_an_id(events, next(some), next(some))
    change_zones(events, random)
    lines = [json.dumps(event, separators=(",", ":")).encode() for event in events]
    for _ in range(12):
        lines.insert(random.randrange(len(lines)), random.choice(BAD_LINES))
    for at in random.sample(range(len(lines)), 6):
        lines[at] = b"\x00" * random.choice([1, 512]) + lines[at]
    return lines


def of(events: list[Event], session: str) -> list[Event]:
    """Return the events of one session."""
    return [event for event in events if event["session"] == session]


def claim_an_address(events: list[Event], session: str, random: Random) -> None:
    """Let an event other than connect have another address, before the connect."""
    event = dict(of(events, session)[-1])
    early = datetime.fromisoformat(of(events, session)[0]["timestamp"]) - timedelta(seconds=1)
    event |= {"src_ip": "198.41.0.4", "timestamp": early.isoformat(), "eventid": "cowrie.log.closed"}
    events.insert(random.randrange(len(events)), event)


def add_a_second_address(events: list[Event], session: str, random: Random) -> None:
    """Let one event of the session name another address."""
    random.choice(of(events, session))["src_ip"] = "199.7.83.42"


def forward_first(events: list[Event], session: str, random: Random) -> None:
    """Put a forwarded connection, with an address that the client claimed, before everything else."""
    event = dict(of(events, session)[0])
    early = datetime.fromisoformat(event["timestamp"]) - timedelta(seconds=9)
    event |= {"eventid": "cowrie.direct-tcpip.request", "src_ip": "127.0.0.1", "timestamp": early.isoformat()}
    events.insert(random.randrange(len(events)), event)


def make_times_equal(events: list[Event], session: str) -> None:
    """Give all events of the session one time."""
    for event in of(events, session):
        event["timestamp"] = of(events, session)[0]["timestamp"]


def move(events: list[Event], session: str, address: str) -> None:
    """Give the session another source address."""
    for event in of(events, session):
        event["src_ip"] = address


def drop_the_connect(events: list[Event], session: str) -> None:
    """Lose the first event, if others remain."""
    own = of(events, session)
    if len(own) > 1:
        events.remove(own[0])


def keep_only_forwards(events: list[Event], session: str) -> None:
    """Make every event of the session a forwarded connection."""
    for event in of(events, session):
        event["eventid"] = "cowrie.direct-tcpip.data"


def share_an_id(events: list[Event], one: str, other: str) -> None:
    """Give two sessions one id."""
    for event in of(events, other):
        event["session"] = one


def change_zones(events: list[Event], random: Random) -> None:
    """Write some times in other zones and forms; the moments stay."""
    for event in random.sample(events, len(events) // 5):
        moment = datetime.fromisoformat(event["timestamp"])
        zone = timezone(timedelta(hours=random.choice([-4, 0, 2, 5.5])))
        event["timestamp"] = moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S.%f%z")


def in_files(lines: list[bytes], folder: Path, seed: int) -> list[Path]:
    """
    Write the lines as a set of files that were cut, overlap, and are partly compressed and renamed.

    Every line stands whole in at least one file; half lines stand where files were cut inside a line.
    """
    random = Random(seed)
    cuts = sorted(random.sample(range(1, len(lines)), 6))
    parts = [lines[start:end] for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    overlap = random.randrange(len(lines) - 100)
    parts.append(lines[overlap : overlap + 100])
    paths = []
    for number, part in enumerate(parts):
        content = b"\r\n".join(part) if random.random() < 0.3 else b"\n".join(part)
        if random.random() < 0.5:
            content += b"\n" + random.choice(lines)[:-40]
        path = folder / f"{random.randrange(10**6)}-{number}.json"
        if random.random() < 0.4:
            path, content = path.with_suffix(".json.gz"), gzip.compress(content)
        path.write_bytes(content)
        paths.append(path)
    random.shuffle(paths)
    return paths
