"""Write sessions as a STIX 2.1 bundle with stix2 (extra `stix`)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, BinaryIO
from uuid import NAMESPACE_URL, UUID, uuid5

from snapshots.adapters.feeds.export_format import Export, Format, sessions_written, text_stream
from snapshots.adapters.feeds.session_columns import is_address
from snapshots.app.errors import PackageMissing
from snapshots.app.pip_install import install_extra
from snapshots.app.queries.session_queries import SessionRow
from snapshots.app.wording import count_of
from snapshots.domain.session.activity import Activity

NAMESPACE = uuid5(NAMESPACE_URL, "urn:cowrie-snapshots:stix")
"""Namespace of identifiers that STIX does not derive from the content alone."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!-~]+")


class StixWriter:
    """
    Makes one observed-data object per session, and every address, network and file once.

    Only identifiers are held in memory. Equal sessions give equal bytes: identifiers are UUIDv5, and dates are those of
    the attack.

    Raises:
        PackageMissing: stix2 is not installed.
    """

    def __init__(self) -> None:
        try:
            import stix2.v21 as stix
        except ImportError as exc:
            raise PackageMissing(f"STIX needs the extra stix: {install_extra('stix')}") from exc
        self._stix: ModuleType = stix
        self._written: set[bytes] = set()
        self._digest = NAMESPACE
        self.count = 0
        """Sessions in the bundle so far."""
        self.skipped = 0
        """Sessions without a valid address or a time, which STIX cannot express."""

    def texts(self, lines: Iterable[SessionRow]) -> Iterator[str]:
        """Yield the parts of a bundle."""
        yield '{"type": "bundle"'
        before, after = ', "objects": [\n', ""  # an empty list is invalid
        for line in lines:
            if not is_address(line.source_ip) or line.first_event_at is None:
                self.skipped += 1
                continue
            for each in self._objects(line):
                if self._is_new(each.id):
                    yield f"{before}{each.serialize(ensure_ascii=True)}"
                    before, after = ",\n", "\n]"
            self.count += 1
        yield f'{after}, "id": "bundle--{self._digest}"}}\n'

    def _is_new(self, name: str) -> bool:
        """Whether an object is not yet in the bundle; the identifier of the bundle depends on all of them."""
        identity = UUID(name.partition("--")[2])
        if identity.bytes in self._written:
            return False
        self._written.add(identity.bytes)
        self._digest = uuid5(self._digest, name)
        return True

    def _objects(self, line: SessionRow) -> Iterator[Any]:
        """Yield what a session refers to, then the session."""
        stix, done = self._stix, line.activity or Activity()
        at, until = line.first_event_at, line.last_event_at or line.first_event_at
        observed = [*self._address(line)]
        observed.append(self._traffic(line, observed[0].id))
        users = dict.fromkeys(login.username for login in done.logins if login.username)
        observed += [stix.UserAccount(account_login=user) for user in users]
        observed += [
            stix.Process(id=f"process--{_named('process', text)}", command_line=text)
            for text in dict.fromkeys(done.commands)
        ]
        observed += [stix.URL(value=url) for url in done.urls if _URL.fullmatch(url)]
        observed += [stix.File(hashes={"SHA-256": digest}) for digest in done.file_hashes]
        yield from observed
        yield stix.ObservedData(
            id=f"observed-data--{_named('session', line.session_id)}",
            created=at,
            modified=until,
            first_observed=at,
            last_observed=until,
            number_observed=1,
            object_refs=[each.id for each in observed],
            labels=[f"asn-{line.asn_method}"] if line.asn_method else None,
            external_references=[stix.ExternalReference(source_name="cowrie", external_id=line.session_id)],
        )

    def _address(self, line: SessionRow) -> Iterator[Any]:
        """
        Yield the address, then its network.

        An address in another network at another time is another object, so its identifier includes the ASN.
        """
        text = line.source_ip or ""
        kind = self._stix.IPv6Address if ":" in text else self._stix.IPv4Address
        if line.asn is None:
            yield kind(value=text)
            return
        network = self._stix.AutonomousSystem(number=line.asn, name=line.organization)
        name = f"{kind._type}--{_named('address', text, str(line.asn))}"  # noqa: SLF001 - the name of the type
        yield kind(id=name, value=text, belongs_to_refs=[network.id])
        yield network

    def _traffic(self, line: SessionRow, source: str) -> Any:
        version = "ipv6" if ":" in (line.source_ip or "") else "ipv4"
        return self._stix.NetworkTraffic(
            id=f"network-traffic--{_named('traffic', line.session_id)}",
            src_ref=source,
            src_port=line.source_port,
            protocols=[version, "tcp", *([line.protocol] if line.protocol in {"ssh", "telnet"} else [])],
            start=line.first_event_at,
            end=line.last_event_at,
            is_active=False if line.last_event_at else None,
        )


def _named(*parts: str) -> UUID:
    return uuid5(NAMESPACE, "|".join(parts))


def _write(export: Export, to: BinaryIO) -> Sequence[str]:
    writer = StixWriter()
    with text_stream(to) as text:
        text.writelines(writer.texts(export.sessions()))
    skipped = f"{count_of(writer.skipped, 'session')} without an address or a time left out."
    return [*([skipped] if writer.skipped else []), sessions_written(writer.count)]


FORMAT = Format(
    name="stix",
    summary="A STIX 2.1 bundle with an observed-data object for each session.",
    url="https://docs.oasis-open.org/cti/stix/v2.1/stix-v2.1.html",
    extra="stix",
    write=_write,
    is_public=True,
)
