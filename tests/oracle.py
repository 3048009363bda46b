"""
What must be stored of a log, slowly and obviously. Shares no code with the program.

It reads all lines at once, so it knows nothing of batches, files, bookmarks or orders.
"""

import hashlib
import ipaddress
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
SHARED = ipaddress.ip_network("100.64.0.0/10")


def rows_of(lines: list[bytes]) -> dict[tuple[str, Any], Row]:
    """Return a row for each session, by its id in the log and its connect (None without one)."""
    ids = defaultdict(list)
    for line in {line.strip(b" \r\n\0") for line in lines}:
        event = readable(line)
        if event is not None:
            ids[event["session"]].append(event)
    rows = {}
    for name, events in ids.items():
        for connect, own in sessions_among(events).items():
            rows[name, connect] = row_of(own)
    return rows


def readable(line: bytes) -> Row | None:
    """Return the event in a line, with its time, address and connect decoded; None if there is none."""
    try:
        event = json.loads(line)
        at = datetime.fromisoformat(event["timestamp"]).astimezone(UTC)
        address = ipaddress.ip_address(event["src_ip"])
    except (ValueError, TypeError, KeyError):
        return None
    if not event.get("session"):
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return {**event, "at": at, "ip": str(address), "eventid": event.get("eventid", "")}


def sessions_among(events: list[Row]) -> dict[Any, list[Row]]:
    """Share the events of one id out among its connects."""
    connects = sorted({(e["at"], e["ip"], e["src_port"]) for e in events if e["eventid"].endswith(".connect")})
    if not connects:
        return {None: events}
    own = defaultdict(list)
    for event in events:
        mine = (event["at"], event["ip"], event.get("src_port"))
        if event["eventid"].endswith(".connect"):
            own[mine].append(event)
            continue
        candidates = [c for c in connects if c[1] == event["ip"]] or connects
        begun = [c for c in candidates if c[0] <= event["at"]]
        own[max(begun, key=lambda c: c[0]) if begun else candidates[0]].append(event)
    return own


def row_of(events: list[Row]) -> Row:
    """Add up one session."""
    named: defaultdict[str, int] = defaultdict(int)
    for event in events:
        named[event["eventid"]] += 1
    forwards = sum(count for name, count in named.items() if ".direct-tcpip." in name)
    trust = [(rank(e), e["at"], e["ip"]) for e in events if rank(e) < 2 or forwards == len(events)]
    ip = min(trust)[2] if trust else None
    return {
        "source_ip": ip,
        "first_event_at": min(e["at"] for e in events),
        "last_event_at": max(e["at"] for e in events),
        "event_count": len(events),
        "command_count": named["cowrie.command.input"],
        "login_attempts": named["cowrie.login.success"] + named["cowrie.login.failed"],
        "file_downloads": named["cowrie.session.file_download"],
        "file_uploads": named["cowrie.session.file_upload"],
        "logins": logins_of(events),
        **behaviour_of(events),
        "sealed": ip is not None and ipaddress.ip_address(ip).is_global and ipaddress.ip_address(ip) not in SHARED
        if ip and ":" not in ip
        else ip is not None and ipaddress.ip_address(ip).is_global,
    }


def logins_of(events: list[Row]) -> dict[tuple[str | None, str | None], list[int]]:
    """Return attempts and successes by user name and password hash."""
    found: dict[tuple[str | None, str | None], list[int]] = {}
    for event in events:
        if event["eventid"] in {"cowrie.login.success", "cowrie.login.failed"}:
            hashed = hashlib.sha256(event["password"].encode()).hexdigest() if "password" in event else None
            tally = found.setdefault((event.get("username"), hashed), [0, 0])
            tally[0] += 1
            tally[1] += event["eventid"] == "cowrie.login.success"
    return found


def behaviour_of(events: list[Row]) -> Row:
    """Return the first value of each kind in a session."""
    logins = [
        (e["at"], e.get("username", ""), hashlib.sha256(e["password"].encode()).hexdigest() if "password" in e else "")
        for e in events
        if e["eventid"] in {"cowrie.login.success", "cowrie.login.failed"}
    ]
    _, username, password_hash = min(logins, default=(None, "", ""))
    won = any(e["eventid"] == "cowrie.login.success" for e in events)
    return {
        "protocol": first(events, ["cowrie.session.connect"], "protocol"),
        "client_version": first(events, ["cowrie.client.version"], "version"),
        "hassh": first(events, ["cowrie.client.kex"], "hassh"),
        "username": username or None,
        "password_hash": password_hash or None,
        "login_succeeded": won if logins else None,
        "download_hash": first(events, ["cowrie.session.file_download", "cowrie.session.file_upload"], "shasum"),
        "duration_ms": duration_of(events),
    }


def first(events: list[Row], names: list[str], field: str) -> str | None:
    """Return the earliest text in a field of some events."""
    found = [(e["at"], e[field]) for e in events if e["eventid"] in names and e.get(field)]
    text = min(found)[1] if found else None
    return text[2:-1] if text and text.startswith("b'") and text.endswith("'") else text


def duration_of(events: list[Row]) -> int | None:
    """Return the duration that the closing event states."""
    found = []
    for event in events:
        if event["eventid"] == "cowrie.session.closed" and "duration_ms" in event:
            found.append((event["at"], str(event["duration_ms"])))
        elif event["eventid"] == "cowrie.session.closed" and "duration" in event:
            found.append((event["at"], str(round(float(event["duration"]) * 1000))))
    return int(min(found)[1]) if found else None


def rank(event: Row) -> int:
    """How far an event is trusted about the address."""
    return 0 if event["eventid"] == "cowrie.session.connect" else 2 if ".direct-tcpip." in event["eventid"] else 1
