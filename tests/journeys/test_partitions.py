"""Sessions in partitions of PostgreSQL: the same rows, and the same promises."""

import os
from pathlib import Path

import pytest
from sqlalchemy import ForeignKeyConstraint, NullPool, PrimaryKeyConstraint, UniqueConstraint, create_engine, text
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.sql.schema.tables import metadata
from tests.journeys.conftest import Run
from tests.journeys.test_processes import rows

pytestmark = pytest.mark.slow

KNOWN_EVERYWHERE = {"known_addresses", "known_networks", "ip_observations", "fact_sources", "credentials", "passwords"}
"""Tables of which each server of a distributed database would hold a copy."""

BY_SESSION = {"session_summaries", "session_fingerprints", "session_logins", "event_lines", "quarantined_sessions"}
BY_SESSION |= {"snapshot_put_backs"}
"""Tables that would be distributed by the session's name."""


def test_sessions_in_partitions_are_those_of_one_table(postgresql: str, logs: Path, run: Run) -> None:
    """Loaded, backfilled, asked for, verified and pruned."""
    assert "4 partitions" in run("migrate", "--partitions", "4", "--db", postgresql)[1]
    assert run("load", logs, "-q", "--store-events", "--db", postgresql)[0] == 0
    run("load", logs, "-q")

    found, expected = rows(postgresql), rows_of_default(run)
    assert found == expected
    for command in (("query", "--by", "asn", "--format", "json"), ("query", "--by", "day", "--format", "json")):
        assert run(*command, "--db", postgresql) == run(*command)
    assert run("verify", "--full", "--db", postgresql)[0] == 0
    name = str(found[0]["session_id"])
    assert run("events", name, "--db", postgresql)[0] == 0

    with create_engine(postgresql, poolclass=NullPool).begin() as connection:
        used = connection.execute(text("SELECT count(DISTINCT tableoid) FROM session_summaries")).scalar_one()
        assert used == 4
    assert "0 sessions" not in run("prune", "--before", "2027-01-01", "--db", postgresql)[1]
    assert run("events", name, "--db", postgresql)[0] == 1
    assert rows(postgresql) == []


def rows_of_default(run: Run) -> list[dict[str, object]]:
    assert run("runs")[0] == 0
    return rows(os.environ["SNAPSHOTS_DB"])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE session_summaries SET snapshot_asn = 1",
        "UPDATE session_summaries_0 SET snapshot_asn = 1",
        "DELETE FROM session_summaries_1",
        "TRUNCATE session_summaries CASCADE",
        "TRUNCATE session_summaries_2 CASCADE",
        "SET session_replication_role = replica; TRUNCATE session_summaries_2 CASCADE",
        "SET session_replication_role = replica; UPDATE session_summaries_3 SET snapshot_country = 'XY'",
    ],
)
def test_the_guard_protects_every_partition(postgresql: str, logs: Path, run: Run, statement: str) -> None:
    """Also if a statement names the partition."""
    run("migrate", "--partitions", "4", "--db", postgresql)
    run("load", logs, "-q", "--db", postgresql)
    before = rows(postgresql)

    with (
        pytest.raises(DatabaseError, match=r"sealed|append-only"),
        create_engine(postgresql, poolclass=NullPool).begin() as connection,
    ):
        connection.exec_driver_sql(statement)

    assert rows(postgresql) == before


def test_verify_misses_a_trigger_of_one_partition(postgresql: str, logs: Path, run: Run) -> None:
    """A guard that is switched off for one of them is detected."""
    run("migrate", "--partitions", "4", "--db", postgresql)
    run("load", logs, "-q", "--db", postgresql)
    assert run("verify", "--db", postgresql)[0] == 0
    with create_engine(postgresql, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE session_summaries_2 DISABLE TRIGGER USER")

    assert run("verify", "--db", postgresql)[0] == 3


def test_only_a_new_database_of_postgresql_gets_partitions(postgresql: str, logs: Path, run: Run) -> None:
    """Rows are moved by `copy`, and not in passing."""
    assert run("migrate", "--partitions", "4")[0] == 2
    assert run("migrate", "--partitions", "1", "--db", postgresql)[0] == 2
    run("load", logs, "-q", "--db", postgresql)
    assert "already holds sessions" in run("migrate", "--partitions", "4", "--db", postgresql)[2]
    run("prune", "--before", "2027-01-01", "--db", postgresql)
    assert run("migrate", "--partitions", "2", "--db", postgresql)[0] == 0
    assert "already" in run("migrate", "--partitions", "2", "--db", postgresql)[2]
    assert run("load", logs, "-q", "--db", postgresql)[0] == 0


def test_every_key_fits_a_distribution_by_session() -> None:
    """What docs/explanation/scale.md states about databases on many servers."""
    for name in BY_SESSION:
        table = metadata.tables[name]
        keys = [
            c for c in table.constraints if isinstance(c, PrimaryKeyConstraint | UniqueConstraint) and len(c.columns)
        ]
        assert all("session_id" in key.columns for key in keys), name
        assert not [index.name for index in table.indexes if index.unique], name
        for key in (c for c in table.constraints if isinstance(c, ForeignKeyConstraint)):
            own, target = list(key.columns), key.referred_table.name
            is_by_session = target in BY_SESSION and [column.name for column in own] == ["session_id"]
            assert is_by_session or target in KNOWN_EVERYWHERE, (name, target)
    assert set(metadata.tables) >= KNOWN_EVERYWHERE | BY_SESSION
