"""Adoption, backfill and undo leave the data of another loader unchanged in a shared database."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from tests.cowrieprocessor import AdoptableSchema, bulk_load, delta_load, enrich, insert, put_session
from tests.journeys.conftest import OLD, Run
from tests.journeys.test_adoption import Adopted, Make, events_of, make, make_as_adopted_before

pytestmark = pytest.mark.slow

__all__ = ["make"]

FIVE = {"source_ip", "snapshot_asn", "snapshot_country", "snapshot_ip_type", "enrichment_at"}
LEFT_EMPTY = {"password_hash", "command_signature", "ssh_key_fingerprint"}
"""Columns that its newest version made and no code of its writes; a load fills them."""

GOOGLE, CLOUDFLARE, QUAD, LISTED, NEW = "8.8.8.8", "1.1.1.1", "9.9.9.9", "192.88.98.1", "208.67.222.222"
NO_ASN = {"is_known_hosting": False, "is_known_vpn": False, "total_session_count": 0, "unique_ip_count": 1} | {
    "enrichment": "{}"
}
Rows = list[tuple[Any, ...]]
SHAPES = [
    AdoptableSchema(dialect="sqlite"),
    AdoptableSchema(dialect="postgresql"),
    AdoptableSchema(dialect="postgresql", by_migrations=True, json="JSONB"),
]


class Theirs:
    """The other loader's tables, as they were when this was made."""

    def __init__(self, database: Adopted) -> None:
        self._database = database
        seen = inspect(database.engine)
        self._columns = {name: [c["name"] for c in seen.get_columns(name)] for name in sorted(seen.get_table_names())}

    def rows(self, *, without: frozenset[str] = frozenset()) -> dict[str, Rows]:
        """Return every row, each value as a text."""
        found = {}
        with self._database.engine.connect() as connection:
            for table, columns in self._columns.items():
                kept = [c for c in columns if table != "session_summaries" or c not in without]
                values = ", ".join(f"CAST({column} AS TEXT)" for column in kept)
                rows = connection.execute(text(f"SELECT {values} FROM {table}"))
                found[table] = sorted((tuple(row) for row in rows), key=repr)
        return found

    def but_for_ours(self) -> dict[str, Rows]:
        """Return every row without the columns that this program fills."""
        return self.rows(without=frozenset(FIVE))


@pytest.fixture(params=SHAPES, ids=lambda s: f"{s.dialect}-{'migrated' if s.by_migrations else 'orm'}")
def database(request: pytest.FixtureRequest, make: Make, run: Run) -> Adopted:
    """What its loaders and its enrichment left: addresses that it lists, and others that only documents name."""
    found = make(request.param)
    with found.engine.begin() as connection:
        enrich(connection, GOOGLE, asn=64500, document={"maxmind": {"asn": 64500, "country": "FR"}})
        enrich(connection, LISTED, asn=64501, document={"cymru": {"asn": 64501}})
        put_session(connection, "listed", source_ip=GOOGLE)
        put_session(connection, "theirs", source_ip=GOOGLE, snapshot_asn=64500, enrichment_at="2026-03-01 11:30:00")
        for name, address in (("a", GOOGLE), ("b", CLOUDFLARE), ("c", CLOUDFLARE), ("d", "2001:4860:4860::8888")):
            put_session(connection, name, enrichment=json.dumps({"session": {address: {"dshield": {}}}}))
        event = {"session": "raw", "eventid": "cowrie.session.connect", "src_ip": QUAD}
        put_session(connection, "raw")
        row = {"p": json.dumps(event | {"timestamp": "2026-03-01T12:00:00Z"})}
        connection.execute(text("INSERT INTO raw_events (id, session_id, payload) VALUES (1, 'raw', :p)"), row)
    assert callable(run)
    return found


def log_of(path: Path, prefix: str, addresses: list[str]) -> Path:
    lines = [
        {"session": f"{prefix}{n}", "timestamp": f"2026-03-01T13:00:0{n}Z", "src_ip": address}
        | {"eventid": "cowrie.session.connect", "src_port": 1000 + n, "sensor": "pot"}
        for n, address in enumerate(addresses)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run_of(out: str) -> str:
    return out.rsplit("snapshots undo ", 1)[1].split("`", maxsplit=1)[0]


def test_only_five_columns_change_and_an_undo_restores_everything(database: Adopted, run: Run) -> None:
    """To the byte, in every table, through a backfill, an undo and a return; the dry run equals the result."""
    theirs, shape = Theirs(database), database.shape()
    before, before_but_for_ours = theirs.rows(), theirs.but_for_ours()
    listed = {row["ip_address"] for row in database.rows("ip_inventory")}

    assert run("adopt")[0] == 0
    assert theirs.rows() == before
    assert {row["ip_address"] for row in database.rows("known_addresses")} == listed
    names = {row["asn_number"]: row["organization_name"] for row in database.rows("known_networks")}
    assert names == {64500: "THEIR-NAME-64500", 64501: "THEIR-NAME-64501"}
    forecast = json.loads(run("backfill", "--dry-run", "--format", "json")[1])
    assert theirs.rows() == before
    run("inventory", "refresh")
    assert theirs.but_for_ours() == before_but_for_ours
    code, out, err = run("backfill", "--format", "json")

    assert (code, err) == (0, "")
    done = json.loads(out)
    for what in ("judged", "sealed", "open", "found", "lost", "quarantined"):
        assert forecast[what] == done[what], what
    after = theirs.but_for_ours()
    added = {row["ip_address"] for row in database.rows("ip_inventory")} - listed
    assert {**after, "ip_inventory": None} == {**before_but_for_ours, "ip_inventory": None}
    assert [row for row in after["ip_inventory"] if row[0] in listed] == before_but_for_ours["ip_inventory"]
    is_postgresql = database.engine.dialect.name == "postgresql"
    assert added == ({CLOUDFLARE, QUAD, "2001:4860:4860::8888"} if is_postgresql else set())
    for row in database.rows("ip_inventory"):
        if row["ip_address"] in added:
            assert (row["current_asn"], row["enrichment"], row["enrichment_updated_at"]) == (None, {}, None)
            assert row["session_count"] == 0

    assert run("undo", done["run"])[0] == 0
    assert theirs.rows() == before
    assert run("verify")[0] == 0
    assert run("adopt", "--undo")[0] == 0
    assert theirs.rows() == before
    assert database.shape() == shape


def test_rows_that_sessions_refer_to_stay_until_none_does(database: Adopted, run: Run) -> None:
    """Returning the database retains values filled into its columns, and the rows that its foreign key needs."""
    is_postgresql = database.engine.dialect.name == "postgresql"
    theirs = Theirs(database)
    before = theirs.but_for_ours()
    run("adopt")
    run("backfill")

    out = run("adopt", "--undo")[1]

    assert ("3 rows without facts stay in ip_inventory" in out) == is_postgresql
    assert database.row("b")["source_ip"] == CLOUDFLARE
    after = theirs.but_for_ours()
    assert len(after["ip_inventory"]) == len(before["ip_inventory"]) + 3 * is_postgresql
    assert {**after, "ip_inventory": None} == {**before, "ip_inventory": None}


def test_a_row_that_its_enrichment_has_filled_is_not_deleted(database: Adopted, run: Run) -> None:
    """Only rows that are exactly as we wrote them are deleted."""
    run("adopt")
    name = json.loads(run("backfill", "--format", "json")[1])["run"]
    with database.engine.begin() as connection:
        enrich(connection, CLOUDFLARE, asn=64502, document={"maxmind": {"asn": 64502, "country": "AU"}})

    assert run("undo", name)[0] == 0
    assert run("adopt", "--undo")[0] == 0

    assert {row["ip_address"] for row in database.rows("ip_inventory")} == {GOOGLE, LISTED, CLOUDFLARE}


def test_a_row_that_its_loader_is_referring_to_stays(database: Adopted, run: Run) -> None:
    """An undo neither waits for its transaction nor makes it fail."""
    run("adopt")
    name = json.loads(run("backfill", "--format", "json")[1])["run"]

    if database.engine.dialect.name == "postgresql":
        with database.engine.begin() as connection:
            put_session(connection, "meanwhile", source_ip=CLOUDFLARE)
            assert run("undo", name)[0] == 0
        left = {row["ip_address"] for row in database.rows("ip_inventory")}
        assert left == {GOOGLE, LISTED, CLOUDFLARE}
        with database.engine.begin() as connection:
            connection.execute(text("DELETE FROM session_summaries WHERE session_id = 'meanwhile'"))
    else:
        assert run("undo", name)[0] == 0
    assert run("adopt", "--undo")[0] == 0

    assert {row["ip_address"] for row in database.rows("ip_inventory")} == {GOOGLE, LISTED}


def test_the_statistics_of_the_planner_go_if_there_were_none(database: Adopted, run: Run) -> None:
    """A backfill lets SQLite make them, and its own program did not."""
    run("adopt")
    with database.engine.begin() as connection:
        connection.execute(text("ANALYZE session_summaries"))
    run("adopt", "--undo")

    assert not inspect(database.engine).has_table("sqlite_stat1")


@pytest.mark.parametrize("state", ["before", "adopted", "backfilled", "undone", "given back"])
def test_its_loaders_work_and_seal_only_facts_of_its_own_inventory(
    database: Adopted, run: Run, tmp_path: Path, state: str
) -> None:
    """No number of ours is joined to a country of its own document; on SQLite no row of ours breaks its loader."""
    is_postgresql = database.engine.dialect.name == "postgresql"
    name = ""
    if state != "before":
        run("adopt")
    if state not in {"before", "adopted"}:
        name = json.loads(run("backfill", "--format", "json")[1])["run"]
        run("load", log_of(tmp_path / "ours.json", "ours", [NEW, CLOUDFLARE]))
        run("inventory", "refresh")
    if state in {"undone", "given back"}:
        run("undo", name)
    if state == "given back":
        run("adopt", "--undo")
    # Its own rows break it on SQLite: those addresses are only for the other database.
    addresses = [CLOUDFLARE, QUAD, NEW, *((GOOGLE, LISTED) if is_postgresql else ())]
    new = events_of(log_of(tmp_path / "new.json", "new", addresses))

    with database.engine.begin() as connection:
        bulk_load(connection, new)
        delta_load(connection, events_of(log_of(tmp_path / "delta.json", "delta", addresses)))
        delta_load(connection, events_of(log_of(tmp_path / "again.json", "new", addresses)))

    facts = {
        row["session_id"]: tuple(row[column] for column in ("snapshot_asn", "snapshot_country", "snapshot_ip_type"))
        for row in database.rows()
    }
    stated = [(None, None, None)] * 3 + [(64500, "FR", None), (64501, None, None)]
    assert [facts[f"new{n}"] for n in range(len(addresses))] == stated[: len(addresses)]
    assert [facts[f"delta{n}"] for n in range(len(addresses))] == [(None, None, None)] * len(addresses)
    assert {row["event_count"] for row in database.rows() if row["session_id"].startswith("new")} == {2}
    if state in {"adopted", "backfilled", "undone"}:
        assert run("backfill")[0] == 0
        assert run("verify")[0] == 0


def test_loading_logs_that_it_loaded_changes_none_of_its_counters_and_tables(database: Adopted, run: Run) -> None:
    """Its sessions get their address and their snapshot, and nothing else of them is written."""
    if database.engine.dialect.name == "sqlite":
        with database.engine.begin() as connection:
            delta_load(connection, events_of(OLD))
    else:
        with database.engine.begin() as connection:
            bulk_load(connection, events_of(OLD))
    theirs = Theirs(database)
    before = theirs.rows(without=frozenset(FIVE | LEFT_EMPTY))
    run("adopt")

    code, _, err = run("load", OLD)

    assert (code, err) == (0, "")
    logged = {logged_id for logged_id, _, _ in events_of(OLD)}
    assert all(row["snapshot_asn"] for row in database.rows() if row["session_id"] in logged)
    after = theirs.rows(without=frozenset(FIVE | LEFT_EMPTY))
    assert {**after, "ip_inventory": None} == {**before, "ip_inventory": None}
    assert run("report")[0] == 0


def test_rows_that_an_older_version_wrote_into_its_inventory_are_removed(database: Adopted, run: Run) -> None:
    """Rows, columns, and networks that its documents do not name; the facts stay in tables of ours."""
    is_postgresql = database.engine.dialect.name == "postgresql"
    theirs, shape = Theirs(database), database.shape()
    before = theirs.rows()
    run("adopt")
    database.engine.dispose()  # SQLite's connection remembers the tables as they were
    now = "2126-01-01 00:00:00.000000"
    given = {"first_seen": now, "last_seen": now, "created_at": now, "updated_at": now}
    with database.engine.begin() as connection:
        make_as_adopted_before(connection)
        for asn in (13335, 15169):
            insert(connection, "asn_inventory", {"asn_number": asn, "organization_name": "X", **NO_ASN, **given})
        for address in (CLOUDFLARE, NEW):
            row = {"ip_address": address, "current_asn": 13335, "session_count": 0, "enrichment": "{}", **given}
            insert(connection, "ip_inventory", row | {"looked_up_until": 3, "newest_at": now, "learned_at": now})
        connection.execute(
            text(
                "UPDATE ip_inventory SET current_asn = 15169, current_country = 'US', newest_at = :t, learned_at = :t,"
                " looked_up_until = 3 WHERE ip_address = :a"
            ),
            {"a": GOOGLE, "t": now},
        )
        connection.execute(
            text(
                "INSERT INTO ip_observations (ip_address, source, observed_at, confirmed_until, learned_at, asn,"
                " ip_types) VALUES (:a, 'x', :t, :t, :t, 15169, '')"
            ),
            {"a": GOOGLE, "t": now},
        )
        connection.execute(
            text(
                "INSERT INTO fact_sources (source, built_at, number, licence, sha256, origin, registered_at)"
                " VALUES ('x', :t, 99, '', '', '', :t)"
            ),
            {"t": now},
        )
        connection.execute(
            text("UPDATE session_summaries SET source_ip = :a WHERE session_id = 'b'"), {"a": CLOUDFLARE}
        )

    assert run("migrate")[0] == 0

    after = theirs.rows()
    added = [row for row in after["ip_inventory"] if row not in before["ip_inventory"]]
    assert [row[0] for row in added] == [CLOUDFLARE] * is_postgresql
    assert {**after, "ip_inventory": None, "session_summaries": None} == {
        **before,
        "ip_inventory": None,
        "session_summaries": None,
    }
    known = {row["ip_address"]: row["current_asn"] for row in database.rows("known_addresses")}
    assert (known[GOOGLE], known[CLOUDFLARE]) == (15169, 13335)
    assert run("inventory", "show", GOOGLE)[0] == 0
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE session_summaries SET source_ip = NULL WHERE session_id = 'b'"))
    assert run("verify")[0] == 0
    assert run("adopt", "--undo")[0] == 0
    assert theirs.rows() == before
    assert database.shape() == shape
