"""Addresses, facts and their sources as JSON documents."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from snapshots.adapters.feeds.session_documents import observation_document
from snapshots.app.queries.inventory_reports import InventoryStatus, KnownAddress, SourceState
from snapshots.app.queries.validity import renewal
from snapshots.domain.snapshot.freshness import Freshness
from snapshots.domain.snapshot.validity import KindValidity


def inventory_status_document(found: InventoryStatus) -> dict[str, Any]:
    """Return how many addresses are known, and how fresh the facts are."""
    return {
        "addresses": found.addresses,
        "behind": found.behind,
        "by_freshness": {state.name.lower(): found.by_freshness.get(state, 0) for state in Freshness},
        "sources": [source_document(state) for state in found.sources],
    }


def validity_documents(validity: Sequence[KindValidity], at: datetime) -> list[dict[str, Any]]:
    """Return until when each kind of fact is valid, and whether it has expired for an attack at a time."""
    return [
        {
            "fact": each.kind,
            "build": each.build.label,
            "valid_until": each.valid_until,
            "expired": each.is_expired(at),
            "renew": renewal(each.build),
        }
        for each in validity
    ]


def address_document(found: KnownAddress) -> dict[str, Any]:
    """Return an address with all of its observations."""
    return {
        "address": found.address,
        "asn": found.asn,
        "organization": found.organization,
        "country": found.country,
        "ip_type": found.ip_type,
        "type_by": None if found.ip_type is None else "network" if found.has_type_of_network else "address",
        "sessions": found.sessions,
        "first_seen": found.first_seen,
        "last_seen": found.last_seen,
        "observations": [
            observation_document(observation)
            | {"retracted": (observation.source, observation.observed_at) in found.retracted}
            for observation in found.history
        ],
    }


def source_document(state: SourceState) -> dict[str, Any]:
    """Return a registered build."""
    build = state.registered.build
    return {
        "build": build.label,
        "source": build.name,
        "built_at": build.built_at,
        "state": build_state(state),
        "observations": state.observations,
        "origin": build.origin,
        "licence": build.licence,
        "sha256": build.sha256,
    }


def build_state(state: SourceState) -> str:
    """Return "retracted", "history" if a newer build is registered, or the freshness of the build."""
    if state.registered.is_retracted:
        return "retracted"
    if not state.is_newest:
        return "history"
    return state.freshness.value
