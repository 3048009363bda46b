"""Migrations in both directions, with rows in the tables."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, inspect, select, update
from sqlalchemy.schema import SchemaItem

from snapshots import SettingRefused, StoreUnavailable
from snapshots.adapters.sql.adopt.part_database import rows_in
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema import triggers, versions
from snapshots.adapters.sql.schema.spans_table import spans_table
from snapshots.adapters.sql.schema.tables import metadata, session_fingerprints, session_summaries
from snapshots.app.errors import TablesOutdated
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.app.ports.log_source import Mark, Reason
from snapshots.app.ports.logs import Bookmark, DeadLetter
from snapshots.app.ports.open_sessions import OpenCase
from snapshots.app.ports.runs import RunKind
from snapshots.domain.session.behaviour import Behaviour, login
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.session.summary import SessionSummary
from snapshots.domain.snapshot.gap import Gap
from tests.strategies import DAY, HOME, NOON, observed, snapshot

BEFORE_AWAITING_CONNECT, BEFORE_FINGERPRINTS, BEFORE_LEARNING_SEQUENCE = "0007", "0009", "0011"
BEFORE_STANDARD_NAMES, BEFORE_LOGIN_ATTEMPTS = "0015", "0017"
NEW_COLUMNS = {"file_uploads"}
"""Columns whose values a downgrade loses."""
VERSIONS = [script.revision for script in ScriptDirectory(str(versions.MIGRATIONS)).walk_revisions()][::-1]


@pytest.fixture
def database(unmigrated_url: str) -> Iterator[SqlDatabase]:
    made = SqlDatabase(unmigrated_url)
    yield made
    made.close()


@pytest.mark.parametrize("first", ["head", "0001"])
def test_the_migrations_create_the_tables_that_the_code_defines(database: SqlDatabase, first: str) -> None:
    """No table, column or index is missing or extra, whether they are created at once or step by step."""
    database.migrate(first)
    database.migrate()

    with database.reading() as connection:
        here = connection.dialect.name

        def belongs_here(item: SchemaItem, name: str | None, *_: object) -> bool:
            return name not in triggers.OWN and item.info.get("only_on", here) == here

        context = MigrationContext.configure(connection, opts={"include_object": belongs_here})
        defined: Any = [metadata, *([spans_table(connection).metadata] if here == "postgresql" else [])]
        assert compare_metadata(context, defined) == []


def test_rows_survive_every_step_up_and_down(database: SqlDatabase) -> None:
    """Columns that all versions have retain their values."""
    database.migrate()
    save(database, SessionAggregate.sighted("s", "8.8.8.8", NOON).summary().judged(snapshot()))
    before = core_of_rows(database)

    for to in VERSIONS[::-1]:
        database.migrate(to)
    assert database.migrate() == (VERSIONS[0], VERSIONS[-1])
    assert versions.newest() == VERSIONS[-1]

    assert core_of_rows(database) == before


def test_sessions_that_await_their_connect_get_their_own_gap(database: SqlDatabase) -> None:
    """An older version stored them as `never_looked_up`; the next load still judges them."""
    kinds = {"connect": EventKind.CONNECT, "login": EventKind.LOGIN, "forward": EventKind.FORWARD}
    events = {name: SessionEvent(1, NOON, kind, HOME) for name, kind in kinds.items()}
    database.migrate()
    for name, event in events.items():
        save(database, SessionAggregate.of(name, [event]).summary().judged(Gap.NEVER_LOOKED_UP))
    save(database, SessionAggregate.of("nothing", [events["login"]]).summary().judged(Gap.NOTHING_KNOWN))
    before = gaps(database)
    database.migrate(BEFORE_AWAITING_CONNECT)

    database.migrate()

    waiting = dict.fromkeys(("forward", "login"), "awaiting_connect")
    assert gaps(database) == before | waiting
    with database.transaction() as stores:
        found = stores.sessions.find_waiting(run="next", stale_before=NOON, after="", limit=9)
    assert [session.session_id for session in found] == sorted(waiting)
    database.migrate(BEFORE_AWAITING_CONNECT)
    assert gaps(database, is_current=False) == before


def test_the_fingerprints_of_a_long_session_survive_the_migration_to_their_own_table(database: SqlDatabase) -> None:
    """An older version stored all of them in the row; such a row stays valid until it is next saved."""
    marks = {n * 2**55 + 1 for n in range(400)}
    long = SessionAggregate.of("s", [SessionEvent(mark, NOON, EventKind.OTHER, HOME) for mark in marks]).summary()
    database.migrate()
    save(database, long.judged(Gap.NOTHING_KNOWN))

    database.migrate(BEFORE_FINGERPRINTS)
    with database.engine.connect() as connection:
        assert len(connection.execute(select(session_summaries.c.event_fingerprints)).scalar_one()) == 8 * 400
    database.migrate()

    for _ in range(2):
        with database.transaction() as stores:
            (held,) = stores.sessions.find_summaries({"s": marks})["s"]
            assert held.fingerprints == marks
            stores.sessions.save([held], run="run", saved_at=NOON)
    with database.reading() as connection:
        assert len(connection.execute(select(session_summaries.c.event_fingerprints)).scalar_one()) == 8 * 128
        assert connection.execute(select(func.count()).select_from(session_fingerprints)).scalar_one() == 400 - 128
    (row,) = rows_in(database)
    assert len(row["event_fingerprints"]) == 8 * 400


def test_gaps_hidden_by_a_fast_clock_are_evaluated_again_after_the_migration(database: SqlDatabase) -> None:
    """An older version stored its machine's time with a gap, so that facts learned before that time were ignored."""
    database.migrate()
    for name, verdict in (("open", Gap.NOTHING_KNOWN), ("sealed", snapshot())):
        save(
            database,
            SessionAggregate.of(name, [SessionEvent(1, NOON, EventKind.CONNECT, HOME)]).summary().judged(verdict),
        )
    columns = [column for column in session_summaries.columns if column.name not in NEW_COLUMNS]
    sealed = select(*columns).where(session_summaries.c.session_id == "sealed")
    with database.reading() as connection:
        sealed_before = connection.execute(sealed).one()
    database.migrate(BEFORE_LEARNING_SEQUENCE)
    ahead = update(session_summaries).where(session_summaries.c.session_id == "open").values(gap_checked_at=NOON + DAY)
    with database.engine.begin() as connection:
        connection.execute(ahead)

    database.migrate()

    with database.transaction() as stores:
        stores.inventory.learn([LearnedFacts([HOME], [observed("a", NOON, asn=1)])], {}, learned_at=NOON)
    with database.transaction() as stores:
        page = stores.open_sessions.page(OpenCase.LEARNED, run="next", stale_before=NOON, after="", limit=9)
    assert [found.session_id for found in page.sessions] == ["open"]
    with database.reading() as connection:
        assert connection.execute(sealed).one() == sealed_before
    database.migrate(BEFORE_LEARNING_SEQUENCE)
    row = select(session_summaries.c.gap_checked_at, session_summaries.c.updated_at)
    with database.engine.connect() as connection:
        checked_at, updated_at = connection.execute(row.where(session_summaries.c.session_id == "open")).one()
    assert checked_at == updated_at


def test_the_first_login_attempt_of_stored_sessions_is_counted_by_the_migration(database: SqlDatabase) -> None:
    """Whether it succeeded is known if it was the only one; an empty text is not an absent one."""
    tried = {
        "one": [login("root", "1234", succeeded=True)],
        "two": [login("root", "1234", succeeded=False), login("root", "", succeeded=True)],
        "key": [login("root", None, succeeded=False)],
        "unnamed": [login(None, None, succeeded=False)],
        "empty": [login("", "1234", succeeded=False)],
        "none": [],
    }
    database.migrate()
    for name, attempts in tried.items():
        events = [
            SessionEvent(mark, NOON + mark * DAY, EventKind.LOGIN, HOME, traits=traits)
            for mark, traits in enumerate(attempts, 1)
        ]
        connect = SessionEvent(0, NOON, EventKind.CONNECT, HOME)
        save(database, SessionAggregate.of(name, [connect, *events]).summary().judged(Gap.NOTHING_KNOWN))
    with database.transaction() as stores:
        before = stores.sessions.logins_of(list(tried))
    database.migrate(BEFORE_LOGIN_ATTEMPTS)

    database.migrate()

    first = login("root", "1234", succeeded=False)
    with database.transaction() as stores:
        assert stores.sessions.logins_of(list(tried)) == {
            **before,
            "two": [StoredLogin("root", Behaviour.of([(NOON, first)]).password_hash, None, 1, 0)],
        }
        (held,) = stores.sessions.find_summaries({"one": ()})["one"]
        assert held.file_uploads is None
        uploads = [SessionEvent(9, NOON, EventKind.UPLOAD, HOME)]
        stores.sessions.save([held.merge(SessionAggregate.of("one", uploads).summary())], run="r", saved_at=NOON)
        assert stores.sessions.find_summaries({"one": ()})["one"][0].file_uploads == 1


def test_passwords_that_an_earlier_version_kept_are_copied(database: SqlDatabase) -> None:
    """Out of the behavior of the session; damaged behavior is skipped."""
    database.migrate()
    for name, secret in {"a": 'a "secret", null]', "b": "b", "c": "c"}.items():
        traits = login("root", secret, succeeded=False, kept=None if name == "b" else secret)
        event = SessionEvent(1, NOON, EventKind.LOGIN, HOME, traits=traits)
        save(database, SessionAggregate.of(name, [event]).summary().judged(Gap.NOTHING_KNOWN))
    with database.engine.begin() as connection:
        damaged = {"behaviour": '{"credentials"'}
        connection.execute(update(session_summaries).where(session_summaries.c.session_id == "c").values(damaged))
    database.migrate(BEFORE_LOGIN_ATTEMPTS)

    database.migrate()

    with database.transaction() as stores:
        found = stores.sessions.logins_of(["a", "b", "c"])
    assert {name: tally.password for name, (tally,) in found.items()} == {
        "a": 'a "secret", null]',
        "b": None,
        "c": None,
    }


def test_copying_passwords_takes_memory_for_few_sessions_at_a_time(database: SqlDatabase) -> None:
    """The behavior of all sessions may be larger than memory; every text is copied."""
    sessions = []
    for n in range(1_200):
        traits = login("root", str(n), succeeded=False, kept=str(n))
        event = SessionEvent(1, NOON, EventKind.LOGIN, HOME, traits=traits)
        sessions.append(SessionAggregate.of(f"s{n}", [event]).summary().judged(Gap.NOTHING_KNOWN))
    database.migrate()
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in sessions if s.sighting], registered_at=NOON)
        stores.sessions.save(sessions, run="run", saved_at=NOON)
    padding = "x" * 20_000
    long = func.replace(session_summaries.c.behaviour, '"credentials"', f'"padding": "{padding}", "credentials"')
    with database.engine.begin() as connection:
        connection.execute(update(session_summaries).values(behaviour=long))
    database.migrate(BEFORE_LOGIN_ATTEMPTS)

    tracemalloc.start()
    database.migrate()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < len(sessions) * len(padding) * 0.75
    with database.transaction() as stores:
        found = stores.sessions.logins_of([session.session_id for session in sessions])
    assert {name: tally.password for name, (tally,) in found.items()} == {f"s{n}": str(n) for n in range(1_200)}


def test_records_of_runs_survive_the_renaming_of_their_columns(database: SqlDatabase) -> None:
    """Heartbeat, checkpoint, quarantined sessions, bookmarks and dead letters, in both directions."""
    dead_letter = DeadLetter(identity="1", source="log", offset=0, reason=Reason.NOT_JSON, payload=b"x")
    database.migrate()
    with database.transaction() as stores:
        stores.runs.begin("run", RunKind.BACKFILL, at=NOON)
        stores.runs.record_progress("run", {"judged": 2, "quarantined": 1}, at=NOON + DAY, checkpoint="here")
        stores.runs.quarantine("run", "s", "refused", at=NOON)
        stores.bookmarks.put([Bookmark("head", Mark(1, "digest"), "log")], run="run", stored_at=NOON)
        stores.dead_letters.store_dead_letters([dead_letter], run="run", stored_at=NOON)
    with database.view() as stores:
        before = stores.runs.find("run"), stores.runs.quarantined_by("run"), stores.dead_letters.find_by_prefix("1")

    database.migrate(BEFORE_STANDARD_NAMES)

    with database.engine.connect() as connection:
        counts, position = connection.exec_driver_sql("SELECT counts, position FROM runs").one()
        assert (json.loads(counts), position) == ({"judged": 2, "set_aside": 1}, "here")
        assert connection.exec_driver_sql("SELECT session_id FROM set_asides").scalars().all() == ["s"]
        assert connection.exec_driver_sql("SELECT heard_at FROM runs").scalar() is not None
    database.migrate()
    with database.view() as stores:
        assert before == (
            stores.runs.find("run"),
            stores.runs.quarantined_by("run"),
            stores.dead_letters.find_by_prefix("1"),
        )
        assert stores.bookmarks.marks_of(["head"]) == {"head": [Mark(1, "digest")]}


def gaps(database: SqlDatabase, *, is_current: bool = True) -> dict[str, str]:
    query = select(session_summaries.c.session_id, session_summaries.c.snapshot_gap)
    with database.reading() if is_current else database.engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(query))


def save(database: SqlDatabase, summary: SessionSummary) -> None:
    with database.transaction() as stores:
        stores.inventory.register_addresses([s for s in [summary.sighting] if s], registered_at=NOON)
        stores.sessions.save([summary], run="run", saved_at=NOON)


def core_of_rows(database: SqlDatabase) -> list[tuple[object, ...]]:
    names = ("session_id", "source_ip", "snapshot_asn", "enrichment_at", "snapshot_source", "event_count")
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(*(session_summaries.c[name] for name in names)))]


def test_a_downgrade_to_base_leaves_no_table(database: SqlDatabase) -> None:
    """Upgrading creates the tables again."""
    database.migrate()

    assert database.migrate("base") == (VERSIONS[-1], None)

    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}, "a table is left"
    assert database.migrate() == (None, VERSIONS[-1])
    assert database.migrate() == (VERSIONS[-1], VERSIONS[-1])


def test_a_version_that_does_not_exist_is_refused(database: SqlDatabase) -> None:
    """Nothing changes."""
    with pytest.raises(SettingRefused, match="there is no version 9999"):
        database.migrate("9999")


def test_tables_of_another_version_are_not_touched(database: SqlDatabase) -> None:
    """The message contains the command to run."""
    database.migrate()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")

    with pytest.raises(StoreUnavailable, match=r"have version 0000.*run `snapshots migrate`"), database.reading():
        pass
    with pytest.raises(StoreUnavailable, match="run `snapshots migrate`"), database.transaction():
        pass


@pytest.mark.parametrize("version", ["1975ea83b712", "0012ab34cd56"])
def test_a_database_that_another_program_migrates_with_alembic_is_named_as_such(
    database: SqlDatabase, version: str
) -> None:
    """It is neither newer nor older than this program, so that an upgrade or `migrate` would not help."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{version}')")

    for act in (database.migrate, database.schema_state, database.transaction().__enter__):
        with pytest.raises(StoreUnavailable, match=f"version {version}, which another program made") as refused:
            act()
        assert not isinstance(refused.value, TablesOutdated), "a follower would wait for an upgrade"


def test_a_database_without_tables_has_nothing_to_report(database: SqlDatabase) -> None:
    """The message is ours, not the database's."""
    with database.engine.connect():
        pass
    with pytest.raises(StoreUnavailable, match=r"no sessions yet|there is no database"), database.reading():
        pass
