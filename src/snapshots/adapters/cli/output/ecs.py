"""A session in the fields of the Elastic Common Schema."""

from typing import Any

from snapshots.app.queries.session_queries import SessionRow

VERSION = "8.17.0"
"""https://www.elastic.co/docs/reference/ecs"""


def ecs_document(line: SessionRow) -> dict[str, Any]:
    """Return a session as an ECS event. Fields that ECS lacks are under `snapshots`; unknown values are absent."""
    return _without_empty(
        {
            "@timestamp": line.first_event_at,
            "ecs": {"version": VERSION},
            "event": {
                "kind": "event",
                "category": ["network", "intrusion_detection"],
                "dataset": "cowrie.session",
                "id": line.session_id,
                "start": line.first_event_at,
                "end": line.last_event_at,
                "duration": line.duration_ms * 1_000_000 if line.duration_ms is not None else None,
            },
            "source": {
                "ip": line.source_ip,
                "port": line.source_port,
                "as": {"number": line.asn, "organization": {"name": line.organization}},
                "geo": {"country_iso_code": line.country},
            },
            "network": {"protocol": line.protocol},
            "observer": {"name": line.sensor, "type": "honeypot", "product": "cowrie"},
            "user": {"name": line.user},
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
                "command_signature": line.command_signature,
                "ssh_key": line.ssh_key,
                "download_hash": line.download_hash,
            },
        }
    )


def _without_empty(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without empty values at any depth."""
    found = {name: _without_empty(value) if isinstance(value, dict) else value for name, value in document.items()}
    return {name: value for name, value in found.items() if value not in (None, {})}
