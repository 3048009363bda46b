"""Sessions in the fields of the Elastic Common Schema."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from snapshots.adapters.feeds.export_format import Export, Format, FormatOption, sessions_written, text_stream
from snapshots.adapters.feeds.json_text import plain
from snapshots.adapters.feeds.session_columns import credential, is_address
from snapshots.app.queries.session_queries import SessionRow
from snapshots.domain.session.activity import Activity

VERSION = "8.17.0"
"""https://www.elastic.co/docs/reference/ecs"""

INDEX = "snapshots-sessions"
"""The index of `--bulk`; the index template matches it."""


def ecs_lines(lines: Iterable[SessionRow], *, is_bulk: bool) -> Iterator[str]:
    """
    Yield a line of JSON per session; for the bulk API, each after its action.

    The ID of a document is that of the session, so that a repeated import replaces documents.
    """
    for line in lines:
        document = json.dumps(ecs_document(line), default=plain)
        yield f"{bulk_action(line.session_id)}\n{document}" if is_bulk else document


def bulk_action(session_id: str) -> str:
    """Return the action line that indexes a session."""
    return json.dumps({"index": {"_index": INDEX, "_id": session_id}})


def ecs_document(line: SessionRow) -> dict[str, Any]:
    """Return a session as an ECS event. Fields that ECS lacks are under `snapshots`; unknown values are absent."""
    done = line.activity or Activity()
    users = list(dict.fromkeys(login.username for login in done.logins if login.username is not None))
    users = users or ([line.user] if line.user is not None else [])
    has_address = is_address(line.source_ip)
    hashes = list(done.file_hashes) or ([line.download_hash] if line.download_hash is not None else [])
    return _without_empty(
        {
            "@timestamp": line.first_event_at,
            "ecs": {"version": VERSION},
            "event": {
                "kind": "event",
                "category": ["intrusion_detection", "network", *(["authentication"] if line.logins else [])],
                "type": ["connection", "info"],
                "outcome": _outcome(line),
                "module": "cowrie",
                "dataset": "cowrie.session",
                "id": line.session_id,
                "start": line.first_event_at,
                "end": line.last_event_at,
                "duration": line.duration_ms * 1_000_000 if line.duration_ms is not None else None,
            },
            "source": {
                "ip": line.source_ip if has_address else None,
                "address": line.source_ip if not has_address else None,
                "port": line.source_port,
                "as": {"number": line.asn, "organization": {"name": line.organization}},
                "geo": {"country_iso_code": line.country},
            },
            "network": {"protocol": line.protocol, "transport": "tcp"},
            "observer": {"name": line.sensor, "type": "honeypot", "product": "cowrie"},
            "user": {"name": users},
            "process": {"command_line": list(done.commands)},
            "file": {"hash": {"sha256": hashes}},
            "url": {"full": list(done.urls)},
            "related": {"ip": [line.source_ip] if has_address else [], "user": users, "hash": hashes},
            "snapshots": {
                "ip_type": line.ip_type,
                "enrichment_at": line.enrichment_at,
                "method": line.method,
                "asn_method": line.asn_method,
                "country_method": line.country_method,
                "type_method": line.type_method,
                "type_by": line.type_by,
                "source": line.source,
                "run": line.run,
                "gap": line.gap,
                "events": line.events,
                "logins": line.logins,
                "commands": line.commands,
                "downloads": line.downloads,
                "client": line.client,
                "hassh": line.hassh,
                "password_hash": line.password_hash,
                "login_succeeded": line.login_succeeded,
                "credentials": [_without_empty(credential(login)) for login in done.logins],
                "command_signature": line.command_signature,
                "ssh_key": list(done.ssh_keys) or line.ssh_key,
            },
        }
    )


def _outcome(line: SessionRow) -> str:
    if line.login_succeeded is None:
        return "unknown"
    return "success" if line.login_succeeded else "failure"


def _without_empty(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without empty values at any depth."""
    found = {name: _without_empty(value) if isinstance(value, dict) else value for name, value in document.items()}
    return {name: value for name, value in found.items() if value not in (None, {}, [])}


def _write(export: Export, to: BinaryIO) -> Sequence[str]:
    lines = ecs_lines(export.sessions(), is_bulk=export.options["bulk"])
    with text_stream(to) as text:
        text.writelines(f"{line}\n" for line in lines)
    return [sessions_written(export.count)]


FORMAT = Format(
    name="ecs",
    summary="Events in the fields of the Elastic Common Schema, as JSON lines.",
    url="https://www.elastic.co/docs/reference/ecs",
    options=[FormatOption(name="bulk", default=False, help="Lines for Elasticsearch's _bulk API.")],
    write=_write,
)
