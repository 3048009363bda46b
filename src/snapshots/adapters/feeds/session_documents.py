"""Sessions and observations as JSON documents."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from snapshots.app.queries.reports import Explanation
from snapshots.app.queries.validity import AnonymizerList
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.session.behaviour import Behaviour, Trait
from snapshots.domain.snapshot.fact_methods import fact_methods
from snapshots.domain.snapshot.snapshot import IpSnapshot


def behaviour_document(behaviour: Behaviour) -> dict[str, Any]:
    """Return the behavior of a session."""
    return {
        "protocol": behaviour.first(Trait.PROTOCOL),
        "client_version": behaviour.first(Trait.CLIENT_VERSION),
        "hassh": behaviour.first(Trait.HASSH),
        "username": behaviour.username,
        "password_hash": behaviour.password_hash,
        "password": behaviour.password,
        "login_succeeded": behaviour.login_succeeded,
        "duration_ms": behaviour.duration_ms,
        "command_signature": behaviour.command_signature,
        "commands": [{"at": at, "text": text} for at, text in behaviour.values.get(Trait.COMMAND, ())],
        "ssh_key_fingerprints": behaviour.texts(Trait.KEY),
        "download_hashes": behaviour.texts(Trait.DOWNLOAD),
        "urls": behaviour.texts(Trait.URL),
    }


def explanation_document(explanation: Explanation, lists: Sequence[AnonymizerList] = ()) -> dict[str, Any]:
    """
    Return a session with its address, its snapshot, and the observations that they come from.

    Args:
        explanation: The session.
        lists: The lists of anonymizers before the attack.
    """
    session, snapshot = explanation.session, explanation.session.snapshot
    sighting = session.sighting
    return {
        "session_id": session.session_id,
        "logged_id": session.logged_id or session.session_id,
        "namesakes": list(explanation.namesakes),
        "sensor": session.sensor,
        "sensor_id": session.sensor_id,
        "first_event_at": session.first_event_at,
        "last_event_at": session.last_event_at,
        "events": session.event_count,
        "logins": session.login_attempts,
        "login_attempts": [login._asdict() for login in explanation.logins],
        "commands": session.command_count,
        "downloads": session.file_downloads,
        "uploads": session.file_uploads,
        "source_ip": sighting.address.text if sighting else None,
        "source_port": sighting.port if sighting else None,
        "seen_at": sighting.seen_at if sighting else None,
        "seen_by": sighting.kind.name.lower() if sighting else None,
        "behaviour": behaviour_document(session.behaviour),
        "snapshot": {
            "asn": snapshot.asn,
            "organization": explanation.organization,
            "country": snapshot.country,
            "ip_type": snapshot.ip_type,
            "enrichment_at": snapshot.enrichment_at,
            "method": snapshot.method,
            "source": snapshot.source,
            "stated_by": {
                fact: {"source": source.name, "stated_at": source.stated_at}
                for fact, source in explanation.stated.items()
            },
            "methods": _methods(snapshot, sighting.seen_at) if sighting else {},
            "run": explanation.run,
        }
        if snapshot
        else None,
        "gap": session.gap,
        "gap_explanation": session.gap.explanation if session.gap else None,
        "observations": [observation_document(observation) for observation in explanation.history],
        "considered": [observation_document(observation) for observation in explanation.considered],
        "known_then": {
            "asn": explanation.known_then.asn,
            "country": explanation.known_then.country,
            "ip_type": explanation.known_then.ip_type,
        }
        if explanation.known_then
        else None,
        "asns_left_out": [
            {"source": left_out.source, "asn": left_out.asn, "in_use_since": left_out.in_use_since}
            for left_out in explanation.asns_left_out
        ],
        "disagreements": {fact: dict(answers) for fact, answers in explanation.disagreements.items()},
        "anonymizer_lists": [
            {
                "ip_type": each.kind.value,
                "source": each.source,
                "built_at": each.built_at,
                "days_before": each.age / timedelta(days=1),
                "at_most_days": each.bound / timedelta(days=1),
                "is_near": each.is_near,
            }
            for each in lists
        ],
        "types_left_out": [
            {
                "source": left_out.source,
                "ip_type": left_out.ip_type,
                "others": list(left_out.others),
                "stated": "after" if left_out.is_after else "before",
                "days": left_out.distance / timedelta(days=1),
                "at_most_days": left_out.bound / timedelta(days=1),
            }
            for left_out in explanation.types_left_out
        ],
    }


def _methods(snapshot: IpSnapshot, seen_at: datetime) -> dict[str, Any]:
    """Return the method of each fact, and whether a type is that of the address or of its network."""
    found = fact_methods(snapshot, seen_at)
    return {
        fact: {"method": each.method, "build": each.label, "by": "network" if each.is_by_network else "address"}
        for fact, each in found.items()
    }


def observation_document(observation: IpObservation) -> dict[str, Any]:
    """Return an observation."""
    return {
        "source": observation.source,
        "observed_at": observation.observed_at,
        "confirmed_until": observation.confirmed_until,
        "asn": observation.facts.asn,
        "country": observation.facts.country,
        "ip_types": sorted(kind.value for kind in observation.facts.ip_types),
    }
