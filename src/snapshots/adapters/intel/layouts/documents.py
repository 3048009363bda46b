"""JSON documents of cloud providers and of the Tor Project."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from snapshots.adapters.intel.layouts.addresses import NotABlock, block_of
from snapshots.adapters.intel.layouts.table import Layout, Reading, Row, TableText, Unused
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import NO_FACTS

NO_EXIT = "for relays that are not exits"
NO_FLAGS = "for relays without flags, by which exits are recognized"


def _aws(document: dict[str, Any]) -> Iterator[object]:
    for each in document["prefixes"]:
        yield each["ip_prefix"]
    for each in document.get("ipv6_prefixes", []):
        yield each["ipv6_prefix"]


def _google(document: dict[str, Any]) -> Iterator[object]:
    for each in document["prefixes"]:
        yield each["ipv4Prefix"] if "ipv4Prefix" in each else each["ipv6Prefix"]


def _azure(document: dict[str, Any]) -> Iterator[object]:
    for each in document["values"]:
        yield from each["properties"]["addressPrefixes"]


def _oracle(document: dict[str, Any]) -> Iterator[object]:
    for region in document["regions"]:
        for each in region["cidrs"]:
            yield each["cidr"]


def _fastly(document: dict[str, Any]) -> Iterator[object]:
    yield from document["addresses"]
    yield from document["ipv6_addresses"]


def _onionoo(document: dict[str, Any], unused: Unused) -> Iterator[object]:
    for relay in document["relays"]:
        exits = relay.get("exit_addresses") or []
        yield from exits
        if "Exit" in (relay.get("flags") or []) or (relay.get("exit_probability") or 0) > 0:
            yield from relay.get("or_addresses") or []
        elif not exits:
            unused[NO_EXIT if "flags" in relay else NO_FLAGS] += 1


def _built_at(document: dict[str, Any]) -> datetime | None:
    """Return the moment in a document: seconds or milliseconds since 1970 in the token of AWS and Google, or a text."""
    for key in ("syncToken", "relays_published", "last_updated_timestamp"):
        text = str(document.get(key, ""))
        with suppress(ValueError):
            if re.fullmatch(r"\d{10}|\d{13}", text):
                return datetime.fromtimestamp(int(text[:10]), UTC)
            return datetime.fromisoformat(text).replace(microsecond=0, tzinfo=UTC)
    return None


def _rows(texts: Iterator[object], unused: Unused) -> Iterator[Row]:
    for text in texts:
        try:
            yield Row(*block_of(str(text)), NO_FACTS)
        except NotABlock as exc:
            unused[str(exc)] += 1


def _layout(
    name: str, summary: str, kind: IpType, texts: Callable[[dict[str, Any], Unused], Iterator[object]]
) -> Layout:
    def reading_of(table: TableText) -> Reading | None:
        document = table.document
        try:
            next(texts(document, Unused()), None)
            for _ in texts(document, Unused()):
                pass
        except (KeyError, TypeError, AttributeError):
            return None  # the document has another structure
        return Reading(
            rows=lambda unused: _rows(texts(document, unused), unused), ip_type=kind, built_at=_built_at(document)
        )

    return Layout(name=name, summary=summary, reading=reading_of)


def _cloud(name: str, summary: str, texts: Callable[[dict[str, Any]], Iterator[object]]) -> Layout:
    return _layout(
        name, f"{summary}; all addresses are DATACENTER", IpType.DATACENTER, lambda document, _: texts(document)
    )


DOCUMENTS = (
    _cloud("aws", "ip-ranges.json of AWS", _aws),
    _cloud("gcp", "cloud.json and goog.json of Google", _google),
    _cloud("azure", "ServiceTags_Public.json of Azure", _azure),
    _cloud("oracle", "public_ip_ranges.json of Oracle", _oracle),
    _cloud("fastly", "public-ip-list of Fastly", _fastly),
    _layout("onionoo", "details of Tor relays from Onionoo; exits are TOR", IpType.TOR, _onionoo),
)
