"""Binary tables of OpenASN, version 1."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from snapshots.adapters.intel.layouts.facts import facts_of
from snapshots.adapters.intel.layouts.table import Layout, Reading, Row, TableText
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import IpFacts

HEADER = struct.Struct(">4sBBHQIIII")
MAGIC, VERSION = b"OASN", 1
END = {4: "I", 6: "QQ"}
"""Formats of an address."""

LAYERS = (None, IpType.VPN, IpType.DATACENTER, IpType.PROXY)
"""The layer of ASNs, and those of VPNs, data centers and relays, in the order of the file."""


def _reading(table: TableText) -> Reading | None:
    head = table.read(HEADER.size)
    if len(head) < HEADER.size or not head.startswith(MAGIC):
        return None
    _, format_version, version, _, seconds, *_ = HEADER.unpack(head)
    if format_version != VERSION or version not in END:
        raise SourceUnreadable(f"{table.path} has version {format_version} of OpenASN's format; only {VERSION} is read")
    built_at = datetime.fromtimestamp(seconds, UTC) if seconds < 2**32 else None
    return Reading(rows=lambda _: _rows(table), stated=frozenset({"asn", "type"}), built_at=built_at)


def _rows(table: TableText) -> Iterator[Row]:
    data = table.read()
    _, _, version, _, _, *counts = HEADER.unpack(data[: HEADER.size])
    at = HEADER.size
    layers: list[list[tuple[int, int, IpFacts]]] = []
    for kind, count in zip(LAYERS, counts, strict=True):
        record = struct.Struct(">" + END[version] * 2 + ("IH" if kind is None else ""))
        layer = data[at : at + count * record.size]
        at += count * record.size
        if len(layer) < count * record.size:
            raise SourceUnreadable(f"{table.path} is truncated")
        width = len(END[version])
        rows = []
        for cells in record.iter_unpack(layer):
            first, last = _number(cells[:width]), _number(cells[width : 2 * width])
            facts = facts_of(str(cells[2 * width]), "", "", (), frozenset()) if kind is None else _TYPED[kind]
            rows.append((first, last, facts))
        layers.append(rows)
    yield from (Row(version, *each) for each in _united(layers))


_TYPED = {kind: IpFacts(ip_types=frozenset({kind})) for kind in LAYERS if kind is not None}


def _number(cells: tuple[int, ...]) -> int:
    return cells[0] if len(cells) == 1 else cells[0] << 64 | cells[1]


def _united(layers: list[list[tuple[int, int, IpFacts]]]) -> Iterator[tuple[int, int, IpFacts]]:
    """Yield disjoint ranges with the facts of all layers; the ranges of each layer are disjoint and sorted."""
    bounds = sorted({bound for layer in layers for first, last, _ in layer for bound in (first, last + 1)})
    positions = [0] * len(layers)
    combined: dict[tuple[IpFacts, ...], IpFacts] = {}
    for start, following in pairwise(bounds):
        stated = []
        for n, layer in enumerate(layers):
            while positions[n] < len(layer) and layer[positions[n]][1] < start:
                positions[n] += 1
            if positions[n] < len(layer) and layer[positions[n]][0] <= start:
                stated.append(layer[positions[n]][2])
        if stated:
            key = tuple(stated)
            if key not in combined:
                combined[key] = IpFacts(
                    asn=next((facts.asn for facts in stated if facts.asn is not None), None),
                    ip_types=frozenset().union(*(facts.ip_types for facts in stated)),
                )
            yield start, following - 1, combined[key]


OPENASN = Layout(
    name="openasn",
    summary="openasn-ipv4.bin and openasn-ipv6.bin: ASNs, and the ranges of VPNs and data centers",
    reading=_reading,
)
