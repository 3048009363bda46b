"""Which stored values have the type of their column."""

from pathlib import Path

import pytest
from sqlalchemy import text

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.stored_types import wrong_values
from snapshots.domain.address.source_ip import Sighting
from tests.strategies import HOME, NOON

TIMES: list[tuple[object, bool]] = [
    ("2026-03-01 12:00:00.000000", True),
    ("2026-03-01T12:00:00Z", True),
    ("2026-03-01 12:00:00.000000+99:99", True),  # as the first 19 characters
    ("0000-01-01 00:00:00.000000", True),
    ("-0001-01-01 00:00:00.000000", False),
    ("9999-12-31 23:59:59.999999", True),
    ("10000-01-01 00:00:00.000000", False),
    ("2026-13-01 12:00:00.000000", False),
    ("yesterday", False),
    ("", False),
    (20260301, False),
    (b"2026-03-01 12:00:00.000000", False),
]


@pytest.mark.parametrize(("stored", "is_time"), TIMES)
def test_a_stored_time_is_one_that_can_be_read(tmp_path: Path, stored: object, is_time: bool) -> None:
    """Other programs write times in other formats."""
    database = SqlDatabase(f"sqlite:///{tmp_path}/test.db")
    database.migrate()
    with database.transaction() as stores:
        stores.inventory.register_addresses([Sighting(address=HOME, seen_at=NOON)], registered_at=NOON)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE known_addresses SET last_seen = :stored"), {"stored": stored})

    with database.reading() as connection:
        places = [where for where, _ in wrong_values(connection, limit=9)]
    database.close()

    assert places == ([] if is_time else [f"known_addresses {HOME.text}: last_seen"])
