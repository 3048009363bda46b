"""Encode sessions as rows: tuples of driver values, which are the fastest for many rows."""

from collections.abc import Callable
from datetime import datetime

from snapshots.adapters.sql.connection.datetimes import recorded_timestamp_text
from snapshots.adapters.sql.rows.behaviour_columns import BEHAVIOUR_COLUMNS, behaviour_values, trait_values
from snapshots.adapters.sql.rows.fingerprints import LARGEST_IN_ROW, packed_in_row
from snapshots.adapters.sql.rows.row_decoder import digest, sealed_timestamp
from snapshots.adapters.sql.schema.tables import SNAPSHOT_COLUMNS
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.session.event_record import FINGERPRINT_BYTES
from snapshots.domain.session.session_totals import NewSession
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.snapshot import IpSnapshot

COLUMNS = (
    "session_id",
    "logged_id",
    "first_event_at",
    "last_event_at",
    "event_count",
    "command_count",
    "file_downloads",
    "file_uploads",
    "login_attempts",
    "forward_count",
    "matcher",
    "sensor_id",
    *SNAPSHOT_COLUMNS,
    "snapshot_gap",
    "gap_checked_at",
    "gap_run",
    "counted_until",
    *BEHAVIOUR_COLUMNS,
    "created_at",
    "updated_at",
    "event_fingerprints",
)
"""Columns that a load writes, in the order of `SessionRows.row`."""

_NOWHERE, _NO_SNAPSHOT, _NO_GAP = (None,) * 4, (None,) * 8, (None,) * 3
BYTES_IN_ROW = LARGEST_IN_ROW * FINGERPRINT_BYTES

Stored = Callable[[datetime], datetime | str]
"""Encodes a datetime for the driver."""


class SessionRows:
    """
    Makes rows of sessions.

    Args:
        run: The run that writes.
        saved_at: The time of the write.
        stored: Encodes a datetime for the driver.
        learned_until: The newest learned_at when the gaps were judged; None if there was none.
        stored_text: Encodes the time of an event record for the driver.
    """

    def __init__(
        self,
        run: str,
        saved_at: datetime,
        stored: Stored,
        learned_until: datetime | None = None,
        *,
        stored_text: Callable[[str], str] = str,
    ) -> None:
        self._run = run
        self._text = stored_text
        self._saved_at = stored(saved_at)
        self._learned_until = stored(learned_until) if learned_until is not None else None
        self._stored = stored
        self._seals = SealBuilder(run, stored)

    def row(self, summary: SessionSummary) -> tuple[object, ...]:
        """Return the values of COLUMNS."""
        stored, saved_at = self._stored, self._saved_at
        sighting, snapshot, gap = summary.sighting, summary.snapshot, summary.gap
        until = summary.counted_until
        return (
            summary.session_id,
            summary.logged_id,
            stored(summary.first_event_at),
            stored(summary.last_event_at),
            summary.event_count,
            summary.command_count,
            summary.file_downloads,
            summary.file_uploads,
            summary.login_attempts,
            summary.forward_count,
            summary.sensor,
            summary.sensor_id,
            *(
                (sighting.address.text, sighting.port, int(sighting.kind), stored(sighting.seen_at))
                if sighting is not None
                else _NOWHERE
            ),
            *(
                self._sealed(summary.session_id, seen_text(sighting), snapshot)
                if snapshot is not None
                else _NO_SNAPSHOT
            ),
            *((gap.value, self._learned_until, self._run) if gap is not None else _NO_GAP),
            stored(until) if until is not None else None,
            *behaviour_values(summary.behaviour),
            saved_at,
            saved_at,
            packed_in_row(summary.fingerprints),
        )

    def _sealed(self, session_id: str, seen: str, snapshot: IpSnapshot) -> tuple[object, ...]:
        *facts, seal = self._seals.columns(session_id, seen, snapshot)
        return (*facts, self._run, seal)

    def new_row(self, session: NewSession) -> tuple[object, ...]:
        """Return what `row` returns for its summary, without a detour over the types of the domain."""
        totals, _, snapshot, gap = session
        (
            session_id,
            first_event_at,
            last_event_at,
            event_count,
            command_count,
            file_downloads,
            file_uploads,
            login_attempts,
            forward_count,
            sensor,
            sensor_id,
            seen,
            fingerprints,
            behaviour,
            _,
        ) = totals
        place: tuple[object, ...] = _NOWHERE
        text = _NEVER_SEEN
        if seen is not None:
            at, address, port, kind = seen
            place = (address, port, kind, self._text(at))
            text = f"{address}|{'' if port is None else port}|{kind}|{recorded_timestamp_text(at)}+00:00"
        return (
            session_id,
            None,
            self._text(first_event_at),
            self._text(last_event_at),
            event_count,
            command_count,
            file_downloads,
            file_uploads,
            login_attempts,
            forward_count,
            sensor,
            sensor_id,
            *place,
            *(self._sealed(session_id, text, snapshot) if snapshot is not None else _NO_SNAPSHOT),
            *((gap.value, self._learned_until, self._run) if gap is not None else _NO_GAP),
            None,
            *trait_values(behaviour),
            self._saved_at,
            self._saved_at,
            fingerprints[:BYTES_IN_ROW],
        )


def seen_text(sighting: Sighting | None) -> str:
    """Return the text of a sighting in a seal."""
    if sighting is None:
        return _NEVER_SEEN
    port = "" if sighting.port is None else sighting.port
    return f"{sighting.address.text}|{port}|{int(sighting.kind)}|{sealed_timestamp(sighting.seen_at)}"


_NEVER_SEEN = "|||"


class SealBuilder:
    """
    Columns and seals of many snapshots; the seals equal those of `row_decoder.seal_of`.

    Args:
        run: The run that writes.
        stored: Encodes a datetime for the driver.
    """

    def __init__(self, run: str, stored: Stored) -> None:
        self._run = run
        self._stored = stored
        self._parts: dict[int, tuple[IpSnapshot, tuple[object, ...], str]] = {}

    def columns(self, session_id: str, seen: str, snapshot: IpSnapshot) -> tuple[object, ...]:
        """Return ASN, country, type, enrichment_at, method, source and seal; *seen* is the text of the sighting."""
        columns, text = self.part(snapshot)
        return (*columns, digest(f"{session_id}|{seen}|{text}|{self._run}"))

    def part(self, snapshot: IpSnapshot) -> tuple[tuple[object, ...], str]:
        """Return the columns without the seal, and their text in the seal."""
        _, columns, text = self._parts.get(id(snapshot)) or self._part(snapshot)
        return columns, text

    def _part(self, snapshot: IpSnapshot) -> tuple[IpSnapshot, tuple[object, ...], str]:
        asn, country, at = snapshot.asn, snapshot.country, snapshot.enrichment_at
        ip_type = snapshot.ip_type.value if snapshot.ip_type is not None else None
        method, source = snapshot.method.value, snapshot.source
        facts = f"{'' if asn is None else asn}|{country or ''}|{ip_type or ''}"
        text = f"{facts}|{sealed_timestamp(at)}|{method}|{source}"
        # A reference to the snapshot prevents that its id() is reused.
        part = (snapshot, (asn, country, ip_type, self._stored(at), method, source), text)
        self._parts[id(snapshot)] = part
        return part
