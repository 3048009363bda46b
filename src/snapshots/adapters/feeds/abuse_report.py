"""Reports of attacks to the holder of a network: as text, or as X-ARF v4 (https://xarf.org)."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from snapshots.app.queries.address_activity import MOST_TEXTS, AddressActivity
from snapshots.app.safe_text import escaped
from snapshots.app.wording import count_of
from snapshots.domain.snapshot.snapshot import Method

XARF_VERSION = "4.2.0"

NAMESPACE = uuid5(NAMESPACE_URL, "urn:cowrie-snapshots:x-arf")

LONGEST_TEXT = 300
"""Characters of a text of the attacker in a report."""

METHOD_TEXTS = {
    Method.ASOF.value: "as published by the time of the attack",
    Method.INFERRED.value: "inferred from data published after the attack",
    Method.CORRECTED.value: "as corrected by the operator of the honeypot",
    Method.ADOPTED.value: "as stated by another program",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """
    Who reports.

    Attributes:
        organization: Its name.
        contact: Its email address.
    """

    organization: str
    contact: str

    @property
    def domain(self) -> str:
        """Return the domain of the email address."""
        return self.contact.rpartition("@")[2]


def text_report(asn: int, found: Sequence[AddressActivity]) -> Iterator[str]:
    """Yield the lines of a report; texts of attackers are escaped."""
    first, last = min(each.first_at for each in found), max(each.last_at for each in found)
    sessions = sum(each.sessions for each in found)
    organization = next((each.organization for each in found if each.organization), None)
    name = f" ({_shown(organization)})" if organization else ""
    yield f"Attacks from AS{asn}{name} on a Cowrie honeypot (SSH and Telnet)"
    yield f"Period: {_time(first)} to {_time(last)} UTC"
    yield f"{count_of(len(found), 'address', 'addresses')}, {count_of(sessions, 'session')}"
    yield ""
    yield "The network of an address is the one at the time of its attack, as far as it is known; today's may differ."
    yield f"Up to {MOST_TEXTS} of the users, commands, URLs and files of each address are listed."
    for each in found:
        yield ""
        yield from address_lines(asn, each)


def address_lines(asn: int, each: AddressActivity) -> Iterator[str]:
    """Yield what an address did, one fact in a line; without passwords."""
    yield each.address.text
    yield f"  from {_time(each.first_at)} to {_time(each.last_at)} UTC"
    yield f"  {counts_of(each)}"
    for method, source in sorted(each.networks):
        yield f"  network: AS{asn}, {METHOD_TEXTS.get(method, method)}{f' ({_shown(source)})' if source else ''}"
    for word, texts in (
        ("user", each.users),
        ("command", each.texts),
        ("URL", each.urls),
        ("file (SHA-256)", each.file_hashes),
    ):
        yield from (f"  {word}: {_shown(text)}" for text in texts)


def counts_of(each: AddressActivity) -> str:
    """Return what was tried as counts, with the protocols."""
    parts = [count_of(each.sessions, "session"), count_of(each.logins, "login attempt")]
    if each.successes:
        parts.append(f"{count_of(each.successes, 'session')} with a successful login")
    parts += [count_of(each.commands, "command"), count_of(each.downloads, "file")]
    protocols = "/".join(sorted(_shown(protocol) for protocol in each.protocols))
    return f"{f'{protocols}: ' if protocols else ''}{', '.join(parts)}"


def xarf_reports(asn: int, found: Iterable[AddressActivity], reporter: Reporter) -> Iterator[str]:
    """Yield a report of a login attack per address, as one line of JSON in ASCII; equal attacks have equal reports."""
    for each in found:
        if is_login_attack(each):
            yield json.dumps(_xarf_report(asn, each, reporter))


def is_login_attack(each: AddressActivity) -> bool:
    """Whether an address can be reported as X-ARF: it tried to log in, and its source port is known."""
    return each.logins > 0 and each.source_port is not None and 1 <= each.source_port <= 65535


def _xarf_report(asn: int, each: AddressActivity, reporter: Reporter) -> dict[str, Any]:
    evidence = "".join(f"{line}\n" for line in address_lines(asn, each)).encode()
    contact = {"org": reporter.organization, "contact": reporter.contact, "domain": reporter.domain}
    identity = f"{each.address.text}|{each.first_at.isoformat()}|{sha256(evidence).hexdigest()}"
    return {
        "xarf_version": XARF_VERSION,
        "report_id": str(uuid5(NAMESPACE, identity)),
        "timestamp": _rfc3339(each.last_at),
        "reporter": contact,
        "sender": contact,
        "source_identifier": each.address.text,
        "source_port": each.source_port,
        "category": "connection",
        "type": "login_attack",
        "protocol": "tcp",
        "first_seen": _rfc3339(each.first_at),
        "last_seen": _rfc3339(each.last_at),
        "evidence_source": "honeypot",
        "description": counts_of(each),
        "tags": [f"asn:{asn}", *(f"asn-method:{method}" for method in sorted({method for method, _ in each.networks}))],
        "evidence": [
            {
                "content_type": "text/plain",
                "description": "What a Cowrie honeypot recorded",
                "payload": base64.b64encode(evidence).decode(),
                "hash": f"sha256:{sha256(evidence).hexdigest()}",
                "size": len(evidence),
            }
        ],
    }


def _shown(text: str) -> str:
    """Return a text of an attacker on one line without harmful characters, shortened."""
    shown = escaped(text[: LONGEST_TEXT + 1])
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[: LONGEST_TEXT - 3]}..."


def _time(at: datetime) -> str:
    return at.isoformat(" ", "seconds").removesuffix("+00:00")


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
