"""
Databases as cowrieprocessor makes them, and what its loader does to them.

Its ORM and its migrations make different tables, SQLite and PostgreSQL differ again, and there are three
versions: these are definitions of our own.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from snapshots.app.ports.log_source import LogEvent
from snapshots.domain.session.session import EventKind, SessionAggregate

FACTS = ("snapshot_asn", "snapshot_country", "snapshot_ip_type", "enrichment_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptableSchema:
    """
    One shape of its database.

    Attributes:
        dialect: "sqlite" or "postgresql".
        version: The version in `schema_state`.
        by_migrations: Made by its migrations, else by its ORM.
        types: The column of IP types: "text", "array" or "" for none.
        json: The type of JSON columns.
    """

    dialect: str
    version: int = 17
    by_migrations: bool = False
    types: str = "text"
    json: str = "JSON"

    def make(self, connection: Connection) -> None:
        """Make its tables."""
        for statement in self._statements():
            connection.execute(text(statement))

    def _statements(self) -> Iterable[str]:
        moment = "TIMESTAMP WITH TIME ZONE" if self.dialect == "postgresql" else "DATETIME"
        stamp = f"{moment} NOT NULL DEFAULT CURRENT_TIMESTAMP"
        stamps = f"created_at {stamp}, updated_at {stamp}"
        zero = "INTEGER NOT NULL DEFAULT 0" if self.by_migrations else "INTEGER NOT NULL"
        no = "BOOLEAN NOT NULL DEFAULT FALSE" if self.by_migrations else "BOOLEAN NOT NULL"
        yield "CREATE TABLE schema_state (key VARCHAR(64) PRIMARY KEY, value VARCHAR(64) NOT NULL)"
        yield "CREATE TABLE schema_metadata (key VARCHAR(64) PRIMARY KEY, value VARCHAR(64) NOT NULL)"
        yield f"INSERT INTO schema_state VALUES ('schema_version', '{self.version}')"
        yield "INSERT INTO schema_metadata VALUES ('schema_version', '3')"
        has_inventory = self.version >= 16 or not self.by_migrations
        if has_inventory:
            registry = "registry" if self.by_migrations else "rir_registry"
            yield (
                "CREATE TABLE asn_inventory (asn_number INTEGER PRIMARY KEY, organization_name TEXT,"
                f" organization_country VARCHAR(2), {registry} VARCHAR(10), asn_type TEXT, is_known_hosting {no},"
                f" is_known_vpn {no}, first_seen {moment} NOT NULL, last_seen {moment} NOT NULL,"
                f" unique_ip_count {zero}, total_session_count {zero}, enrichment {self.json} NOT NULL,"
                f" enrichment_updated_at {moment}, {stamps})"
            )
            generated = (
                ", geo_country VARCHAR(2) GENERATED ALWAYS AS"
                " (UPPER(COALESCE(enrichment->'maxmind'->>'country', 'XX'))) STORED, ip_types TEXT[] DEFAULT '{}'"
                if self.by_migrations and self.dialect == "postgresql"
                else ""
            )
            yield (
                "CREATE TABLE ip_inventory (ip_address VARCHAR(45) PRIMARY KEY, current_asn INTEGER"
                f" REFERENCES asn_inventory (asn_number), asn_last_verified {moment}, first_seen {moment} NOT NULL,"
                f" last_seen {moment} NOT NULL, session_count INTEGER NOT NULL DEFAULT 1 CHECK (session_count >= 0),"
                f" enrichment {self.json} NOT NULL, enrichment_updated_at {moment},"
                f" enrichment_version VARCHAR(20) NOT NULL DEFAULT '2.2', {stamps}{generated})"
            )
        has_snapshot = has_inventory
        types = {"text": ", snapshot_ip_type TEXT", "array": ", snapshot_ip_types TEXT[]", "": ""}[self.types]
        snapshot = (
            f", source_ip VARCHAR(45) REFERENCES ip_inventory (ip_address), snapshot_asn INTEGER,"
            f" snapshot_country VARCHAR(2){types}, enrichment_at {moment}"
        )
        keys = ", ssh_key_fingerprint VARCHAR(128), password_hash VARCHAR(64), command_signature TEXT"
        yield (
            f"CREATE TABLE session_summaries (session_id VARCHAR(64) PRIMARY KEY, first_event_at {moment},"
            f" last_event_at {moment}, event_count {zero}, command_count {zero}, file_downloads {zero},"
            f" login_attempts {zero}, ssh_key_injections {zero}, unique_ssh_keys {zero}, vt_flagged {no},"
            f" dshield_flagged {no}, risk_score INTEGER, matcher VARCHAR(32), source_files {self.json},"
            f" enrichment {self.json}, {stamps}{snapshot if has_snapshot else ''}{keys if self.version == 17 else ''})"
        )
        if has_snapshot:
            yield "CREATE INDEX ix_session_summaries_source_ip ON session_summaries (source_ip)"
            yield "CREATE INDEX ix_session_summaries_snapshot_asn ON session_summaries (snapshot_asn)"
        yield "CREATE TABLE raw_events (id INTEGER PRIMARY KEY, payload JSON NOT NULL, session_id VARCHAR(64))"


def put_session(connection: Connection, session_id: str | None, **values: Any) -> None:
    """Insert a row as its loader would have; an address is registered first."""
    if values.get("source_ip"):
        put_address(connection, values["source_ip"])
    row = {
        "session_id": session_id,
        "first_event_at": "2026-03-01 12:00:00.000000",
        "last_event_at": "2026-03-01 12:05:00.000000",
        "event_count": 5,
        "updated_at": "2026-03-01 13:00:00.000000",
        **dict.fromkeys(("command_count", "file_downloads", "login_attempts", "ssh_key_injections"), 0),
        **dict.fromkeys(("vt_flagged", "dshield_flagged"), False),
        "unique_ssh_keys": 0,
    } | values
    insert(connection, "session_summaries", row)


def put_address(connection: Connection, address: str) -> None:
    """Insert an address as its enrichment would have."""
    found = connection.execute(text("SELECT 1 FROM ip_inventory WHERE ip_address = :a"), {"a": address}).first()
    if found is None:
        moment = "2026-03-01 12:00:00.000000"
        insert(
            connection,
            "ip_inventory",
            {"ip_address": address, "first_seen": moment, "last_seen": moment, "session_count": 1, "enrichment": "{}"},
        )


def insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    """Insert a row."""
    names = ", ".join(row)
    connection.execute(
        text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), dict(row)
    )


def load_as_cowrieprocessor(
    connection: Connection, events: Iterable[LogEvent], facts: Mapping[str, Any] | None = None
) -> None:
    """Do what its loader's statements do with a batch: add to the counters, and fill NULLs column by column."""
    sessions: dict[str, SessionAggregate] = {}
    for found in events:
        sessions.setdefault(found.logged_id, SessionAggregate.of(found.logged_id)).add(found.event)
    largest, smallest = ("GREATEST", "LEAST") if connection.dialect.name == "postgresql" else ("max", "min")
    for name, aggregate in sessions.items():
        own = list(aggregate.events.values())
        kinds = [event.kind for event in own]
        row = {
            "session_id": name,
            "first_event_at": _text(min(event.at for event in own)),
            "last_event_at": _text(max(event.at for event in own)),
            "event_count": len(own),
            "command_count": kinds.count(EventKind.COMMAND),
            "file_downloads": kinds.count(EventKind.DOWNLOAD),
            "login_attempts": kinds.count(EventKind.LOGIN),
            "ssh_key_injections": 0,
            "unique_ssh_keys": 0,
            "vt_flagged": False,
            "dshield_flagged": False,
            "matcher": "their-name-for-it",
            "source_files": json.dumps(["cowrie.json"]),
            "updated_at": _text(max(event.at for event in own)),
        } | dict(facts or {})
        counters = ("event_count", "command_count", "file_downloads", "login_attempts", "ssh_key_injections")
        kept = ("source_ip", *FACTS, "matcher")
        changes = [f"{c} = session_summaries.{c} + excluded.{c}" for c in counters]
        changes += [f"{c} = COALESCE(session_summaries.{c}, excluded.{c})" for c in kept if c in row]
        changes += [
            f"first_event_at = {smallest}(session_summaries.first_event_at, excluded.first_event_at)",
            f"last_event_at = {largest}(session_summaries.last_event_at, excluded.last_event_at)",
            "unique_ssh_keys = excluded.unique_ssh_keys",
            "vt_flagged = excluded.vt_flagged",
            "updated_at = excluded.updated_at",
        ]
        connection.execute(
            text(
                f"INSERT INTO session_summaries ({', '.join(row)}) VALUES ({', '.join(f':{c}' for c in row)})"
                f" ON CONFLICT (session_id) DO UPDATE SET {', '.join(changes)}"
            ),
            row,
        )


def _text(moment: Any) -> str:
    return str(moment.replace(tzinfo=None).isoformat(" ", "microseconds"))


def bulk_load(connection: Connection, events: Iterable[LogEvent]) -> None:
    """
    Do what its bulk loader does with a batch: take the first address read of each session, and copy from its inventory.

    Raises:
        ValueError: On SQLite, once the inventory lists an address of the batch: what it copies is read as JSON.
    """
    batch = list(events)
    first: dict[str, str] = {}
    for found in batch:
        if found.event.address is not None:
            first.setdefault(found.logged_id, found.event.address.text)
    known = {address: _copied(connection, address) for address in sorted({*first.values()})}
    for name in sorted({logged_id for logged_id, _, _ in batch}):
        facts = known.get(first.get(name, "")) or dict.fromkeys(("source_ip", *FACTS))
        load_as_cowrieprocessor(connection, [each for each in batch if each[0] == name], facts)


def delta_load(connection: Connection, events: Iterable[LogEvent]) -> None:
    """Do what its delta loader does with a batch: it has no addresses and copies no facts."""
    load_as_cowrieprocessor(connection, events, dict.fromkeys(("source_ip", *FACTS)))


def _copied(connection: Connection, address: str) -> dict[str, Any] | None:
    """Return what the bulk loader copies of an address; None if the inventory does not list it."""
    country = ", ".join(
        f"enrichment{path}"
        for path in ("->'maxmind'->>'country'", "->'cymru'->>'country'", "->'dshield'->'ip'->>'ascountry'")
    )
    query = (
        f"SELECT current_asn, COALESCE({country}, 'XX') AS country, enrichment->'spur'->'client'->>'types' AS types,"
        " enrichment_updated_at FROM ip_inventory WHERE ip_address = :a"
    )
    row = connection.execute(text(query), {"a": address}).one_or_none()
    if row is None:
        return None
    found = json.loads(row.country) if connection.dialect.name == "sqlite" else row.country
    return {
        "source_ip": address,
        "snapshot_asn": row.current_asn,
        "snapshot_country": None if found == "XX" else found,
        "snapshot_ip_type": row.types,
        "enrichment_at": row.enrichment_updated_at,
    }


def enrich(connection: Connection, address: str, *, asn: int, document: Mapping[str, Any]) -> None:
    """Do what its enrichment does: list the network and the address, with what its sources say."""
    moment = "2026-03-01 11:30:00.000000"
    stamps = {"first_seen": moment, "last_seen": moment, "created_at": moment, "updated_at": moment}
    no = {"is_known_hosting": False, "is_known_vpn": False, "total_session_count": 0, "unique_ip_count": 1}
    if connection.execute(text("SELECT 1 FROM asn_inventory WHERE asn_number = :n"), {"n": asn}).first() is None:
        row = {"asn_number": asn, "organization_name": f"THEIR-NAME-{asn}", "enrichment": "{}", **no, **stamps}
        insert(connection, "asn_inventory", row)
    put_address(connection, address)
    connection.execute(
        text(
            "UPDATE ip_inventory SET current_asn = :n, enrichment = :d, enrichment_updated_at = :t"
            " WHERE ip_address = :a"
        ),
        {"n": asn, "d": json.dumps(document), "t": moment, "a": address},
    )
