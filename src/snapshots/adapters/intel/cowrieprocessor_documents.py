"""Read facts and addresses from the enrichment documents of cowrieprocessor, in all their formats."""

import json
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from snapshots.adapters.intel.parsing import asn_in, country_in
from snapshots.domain.address.source_ip import LONGEST_ADDRESS, UNKNOWN_ADDRESS, IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts

SPUR_AS, SPUR_TYPES = 0, 9
"""Indexes of the organization and the client types in the list that its SPUR writer stores."""

GUESS = 0.5
"""The confidence with which its classifier names a type that no list and no name of a network supports."""


def facts_in_document(document: object) -> IpFacts:
    """
    Return the facts in a document; values that cannot be parsed are ignored.

    Its keys are sources, in order of precedence `maxmind`, `cymru`, `dshield` (with the ASN as `asn`, `as` or `asnum`).
    Types are the union of `spur` (a list of 18, a mapping or a word), `ip_types` and `ip_classification`, unless the
    latter is only a guess.
    """
    if not isinstance(document, Mapping):
        return IpFacts()
    maxmind, cymru = _part(document, "maxmind"), _part(document, "cymru")
    dshield = _part(_part(document, "dshield"), "ip") or _part(document, "dshield")
    asns = [maxmind.get("asn"), cymru.get("asn"), *(dshield.get(key) for key in ("asn", "as", "asnum"))]
    countries = [maxmind.get("country"), cymru.get("country"), dshield.get("ascountry")]
    names = [maxmind.get("asn_org"), cymru.get("asn_org"), dshield.get("asname")]
    asn = next((number for value in asns if (number := asn_in(value)) is not None), None)
    return IpFacts(
        asn=asn,
        organization=next((n for n in names if isinstance(n, str) and n), None) if asn is not None else None,
        country=next((code for value in countries if (code := country_in(value)) is not None), None),
        ip_types=frozenset(_types_in(document)),
    )


def _types_in(document: Mapping[object, object]) -> Iterator[IpType]:
    spur = document.get("spur")
    if isinstance(spur, list):
        values = [spur[SPUR_TYPES]] if len(spur) > SPUR_TYPES else list(spur)
    elif isinstance(spur, Mapping):
        values = [_part(spur, "client").get("types"), spur.get("types")]
    else:
        values = [spur]
    values += [document.get("ip_types"), document.get("ip_type"), _classification_in(document)]
    for words in values:
        for word in words if isinstance(words, list) else str(words or "").split(","):
            kind = IpType.named(word) if isinstance(word, str) else None
            if kind is not None:
                yield kind


def _classification_in(document: Mapping[object, object]) -> object:
    """Return the type that its classifier names; None if it is a guess."""
    part = _part(document, "ip_classification")
    confidence = part.get("confidence")
    is_guess = isinstance(confidence, int | float) and confidence <= GUESS
    return None if is_guess else part.get("ip_type")


def _part(document: Mapping[Any, object], key: str) -> Mapping[Any, object]:
    part = document.get(key)
    return part if isinstance(part, dict) else {}  # isinstance with Mapping is much slower


NAMING = ("session", "session_metadata", "dshield")
"""Parts of a session's document that contain its address; the other parts are large and not decoded."""

SOURCES = frozenset((*NAMING, "maxmind", "cymru", "spur", "urlhaus", "virustotal"))
"""The most frequent keys, which are not addresses."""

_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def addresses_in_document(text: str | bytes) -> frozenset[IpAddress]:
    """
    Return all source addresses in the document of a session.

    They are keys of `session` or of the document, or the values of `session_metadata.source_ip` and
    `dshield.ip.number`. Invalid addresses and 0.0.0.0 are ignored.
    """
    try:
        parts, document = _read(text)
    except (ValueError, RecursionError):
        return frozenset()
    named: list[object] = [key for key in parts if key not in SOURCES and (key[:1].isdigit() or ":" in key)]
    named += _part(document, "session")
    named.append(_part(document, "session_metadata").get("source_ip"))
    named.append(_part(_part(document, "dshield"), "ip").get("number"))
    texts = {value for value in named if isinstance(value, str) and len(value) <= LONGEST_ADDRESS}
    return frozenset(address for address in map(_address, texts) if address is not None)


def _read(text: str | bytes) -> tuple[Collection[str], Mapping[str, object]]:
    """Return the keys of a document, and the parts that contain an address."""
    try:
        parts = _PARTS.decode(text)
        return parts, {key: msgspec.json.decode(parts[key]) for key in NAMING if key in parts}
    except (msgspec.DecodeError, UnicodeEncodeError):
        # Databases accept larger numbers in JSON than msgspec does; they are not needed here.
        document = json.loads(text, parse_int=str)
        if not isinstance(document, dict):
            return (), {}
        return document, {key: document[key] for key in NAMING if key in document}


@lru_cache(maxsize=8192)
def _address(value: str) -> IpAddress | None:
    try:
        address = IpAddress.parse(value)
    except InvalidAddress:
        return None
    return address if address.text != UNKNOWN_ADDRESS else None
