"""The views show other programs what the program itself returns."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.sql.adopt.adoption import SqlAdoption
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
from snapshots.adapters.sql.schema import views
from snapshots.app.errors import StoreUnavailable
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.app.queries.paging import every_line
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionFilter, SessionRow
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_name import NetworkName
from snapshots.domain.session.behaviour import Trait, Traits, command, login
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot, Method
from snapshots.domain.snapshot.verdict_spans import MAX_TIME
from tests.cowrieprocessor import AdoptableSchema
from tests.fakes import FixedClock
from tests.strategies import HOME, NOON, OTHER, current, observed

ELSEWHERE = frozenset({"asn_method", "country_method", "type_method"})
"""Columns of a list that need functions of the program."""

NAMES = {"user": "user_name"}
"""Columns whose name in a view differs, because it is a word of SQL."""

TIMES = [NOON, NOON + timedelta(microseconds=1), datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
TIMES += [datetime(2400, 1, 1, microsecond=1, tzinfo=UTC)]
HARMFUL = ["=1+1", "\x1b[31m", "quote ' \" \\", "\u202eroot", "{}", "50% :name"]

texts = st.sampled_from(HARMFUL) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9
)
traits = st.one_of(
    texts.map(command),
    st.builds(
        lambda user, password, succeeded, is_kept: login(
            user, password, succeeded=succeeded, kept=password if is_kept else None
        ),
        st.none() | texts,
        st.none() | texts,
        st.booleans(),
        st.booleans(),
    ),
    texts.map(lambda url: ((Trait.URL, url),)),
    st.sampled_from("ab").map(lambda digit: ((Trait.DOWNLOAD, digit * 64),)),
    st.just(((Trait.PROTOCOL, "ssh"), (Trait.HASSH, "c" * 32))),
)
verdicts = st.sampled_from([Gap.NOTHING_KNOWN]) | st.builds(
    lambda asn, ip_type, method, source: IpSnapshot(
        asn=asn, country="DE", ip_type=ip_type, enrichment_at=NOON, method=method, source=source
    ),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, IpType.VPN]),
    st.sampled_from([Method.ASOF, Method.INFERRED, Method.CORRECTED]),
    st.sampled_from(["a@2026-03-01", "a@2026-03-01 network-types@2026-03-01"]),
)
made_sessions = st.lists(
    st.tuples(
        verdicts, st.lists(st.tuples(st.sampled_from(TIMES), traits), max_size=6), st.sampled_from([HOME, OTHER])
    ),
    max_size=4,
)


def put(database: SqlDatabase, made: Sequence[tuple[Any, list[tuple[datetime, Traits]], Any]]) -> None:
    """Store sessions, and the name of a network."""
    found = []
    for n, (verdict, shown, address) in enumerate(made):
        events = [SessionEvent(1, NOON, EventKind.CONNECT, address, sensor="x")]
        events += [
            SessionEvent(2 + m, at, kind_of(traits), address, sensor="x", traits=traits)
            for m, (at, traits) in enumerate(shown)
        ]
        found.append(SessionAggregate.of(f"s{n}", events).summary().judged(verdict))
    with database.transaction() as stores:
        stores.audit.prune(MAX_TIME, run="r", made_at=NOON)
        stores.inventory.register_addresses([each.sighting for each in found if each.sighting], registered_at=NOON)
        if any(summary.source_ip == HOME for summary in found):
            learned = LearnedFacts([HOME], [observed("a", NOON, asn=1)], current(made_snapshot()))
            stores.inventory.learn([learned], {1: NetworkName("One", NOON)}, learned_at=NOON)
        stores.sessions.save(found, run="r", saved_at=NOON)


def kind_of(traits: Traits) -> EventKind:
    """Return the kind of event that shows a trait, so that the counts of a session differ."""
    kinds = {Trait.COMMAND: EventKind.COMMAND, Trait.CREDENTIALS: EventKind.LOGIN, Trait.DOWNLOAD: EventKind.DOWNLOAD}
    return kinds.get(traits[0][0], EventKind.OTHER) if traits else EventKind.OTHER


def made_snapshot() -> IpSnapshot:
    return IpSnapshot(asn=1, country="DE", ip_type=None, enrichment_at=NOON, method=Method.ASOF, source="a@2026-03-01")


def rows(database: SqlDatabase, view: str) -> list[dict[str, Any]]:
    """Return the rows of a view with times as datetimes."""
    with database.reading() as connection:
        found = connection.execute(text(f"SELECT * FROM {view}")).mappings().all()
    return [{name: as_time(name, value) for name, value in row.items()} for row in found]


def as_time(name: str, value: Any) -> Any:
    if value is None or (name != "at" and not name.endswith("_at")):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value


def facts(line: SessionRow) -> tuple[object, ...]:
    """Return the columns that every view has."""
    return (line.sensor, line.source_ip, line.asn, line.organization, line.country, line.ip_type, line.method)


def rows_of_lists(
    lines: Sequence[SessionRow], tried: Mapping[str, Sequence[StoredLogin]]
) -> dict[str, tuple[Sequence[str], list[tuple[object, ...]]]]:
    """Return the columns and rows of each view with several rows for a session."""
    logins, commands, downloads = list[tuple[object, ...]](), list[tuple[object, ...]](), list[tuple[object, ...]]()
    for line in lines:
        assert line.activity is not None
        own = tried.get(line.session_id, ())
        logins += [(line.session_id, line.first_event_at, *each, *facts(line)) for each in own]
        for number, command_ in enumerate(line.activity.commands, 1):
            commands.append((line.session_id, number, command_, *facts(line)))
        downloads += [(line.session_id, digest, None, *facts(line)) for digest in line.activity.file_hashes]
        downloads += [(line.session_id, None, url, *facts(line)) for url in line.activity.urls]
    return {
        "v_logins": (("session_id", "first_event_at", *LOGIN, *SHARED), logins),
        "v_commands": (("session_id", "number", "command", *SHARED), commands),
        "v_downloads": (("session_id", "sha256", "url", *SHARED), downloads),
    }


SHARED = ("sensor", "source_ip", "asn", "organization", "country", "ip_type", "method")
LOGIN = ("user_name", "password_hash", "password", "attempts", "successes", "is_others")


def test_the_views_have_the_rows_that_the_program_returns(sql_database: SqlDatabase) -> None:
    """For any behavior, also in sessions of an impossible clock."""
    session_queries = SqlSessionQueries(sql_database, FixedClock())

    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    @given(made=made_sessions)
    def check(made: list[Any]) -> None:
        put(sql_database, made)
        lines = list(every_line(session_queries, SessionFilter(), with_activity=True))
        sessions = {row["session_id"]: row for row in rows(sql_database, "v_sessions")}
        assert {name: set(row) for name, row in sessions.items()} == {
            line.session_id: {NAMES.get(name, name) for name in SESSION_COLUMNS if name not in ELSEWHERE}
            for line in lines
        }
        for line in lines:
            for name in SESSION_COLUMNS:
                if name not in ELSEWHERE:
                    assert sessions[line.session_id][NAMES.get(name, name)] == getattr(line, name), name
        for view, (names, expected) in rows_of_lists(lines, session_queries.logins(list(sessions))).items():
            found = [tuple(row[name] for name in names) for row in rows(sql_database, view)]
            assert sorted(found, key=repr) == sorted(expected, key=repr)

    check()


def test_attempts_that_are_not_stored_one_by_one_are_marked(sql_database: SqlDatabase) -> None:
    """They share a row without credentials, unlike an attempt that had none."""
    events = [SessionEvent(1, NOON, EventKind.LOGIN, traits=login(None, None, succeeded=False))]
    crowded = SessionAggregate.of("s", events).summary().judged(Gap.NO_SOURCE_IP)
    with sql_database.transaction() as stores:
        stores.sessions.save([crowded._replace(new_logins=(*crowded.new_logins, ("", 3, 1)))], run="r", saved_at=NOON)

    found = {row["is_others"]: tuple(row[name] for name in LOGIN[:-1]) for row in rows(sql_database, "v_logins")}

    assert found == {False: (None, None, None, 1, 0), True: (None, None, None, 3, 1)}


def test_times_in_views_are_those_of_the_events(sql_database: SqlDatabase) -> None:
    """To the microsecond, before 1970 and after 2262."""
    put(sql_database, [(Gap.NOTHING_KNOWN, [(at, command(f"echo {n}")) for n, at in enumerate(TIMES)], HOME)])

    found = rows(sql_database, "v_commands")

    assert {row["command"]: row["at"] for row in found} == {f"echo {n}": at for n, at in enumerate(TIMES)}
    assert [row["number"] for row in sorted(found, key=lambda row: row["at"])] == [1, 2, 3, 4]


@pytest.mark.parametrize("older", ["0017", "0018"])
def test_migrated_databases_have_the_same_views_as_new_ones(sql_database: SqlDatabase, older: str) -> None:
    """And an older version has none."""
    before = view_definitions(sql_database)

    assert set(before) == {"v_sessions", "v_logins", "v_commands", "v_downloads"}
    sql_database.migrate(older)
    assert view_definitions(sql_database) == {}
    sql_database.migrate()
    assert view_definitions(sql_database) == before


def view_definitions(database: SqlDatabase) -> dict[str, str | None]:
    with database.engine.connect() as connection:
        inspector = inspect(connection)
        names = inspector.get_view_names()
        return {name: inspector.get_view_definition(name) for name in names}


def test_a_view_of_another_program_is_not_dropped(sql_database: SqlDatabase) -> None:
    """The migration fails with its name, and changes nothing."""
    sql_database.migrate("0017")
    with sql_database.engine.begin() as connection:
        connection.execute(text("CREATE VIEW v_sessions AS SELECT 1 AS theirs"))

    with pytest.raises((StoreUnavailable, DatabaseError), match="v_sessions"):
        sql_database.migrate()

    assert set(view_definitions(sql_database)) == {"v_sessions"}
    with sql_database.engine.connect() as connection:
        assert connection.execute(text("SELECT theirs FROM v_sessions")).scalar_one() == 1


def test_any_program_can_read_the_views_of_a_file(migrated_sqlite: str) -> None:
    """They use no function of ours; a damaged behavior has no rows."""
    database = SqlDatabase(migrated_sqlite)
    put(database, [(made_snapshot(), [(NOON, command("id"))], HOME), (made_snapshot(), [], HOME)])
    database.close()
    path = Path(migrated_sqlite.removeprefix("sqlite:///"))

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE session_summaries SET behaviour = 'damaged' WHERE session_id = 's1'")
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in views.definitions("sqlite")}
    connection.close()

    assert {name: len(listed) for name, listed in found.items()} == {
        "v_sessions": 2,
        "v_logins": 0,
        "v_commands": 1,
        "v_downloads": 0,
    }


def test_the_views_of_a_partitioned_database_show_its_sessions(migrated_postgresql: str) -> None:
    """Its table of sessions replaced the one that the views were made for."""
    database = SqlDatabase(migrated_postgresql)
    database.migrate(partitions=2)

    put(database, [(made_snapshot(), [(NOON, command("id"))], HOME)])

    assert [len(rows(database, view)) for view in ("v_sessions", "v_commands")] == [1, 1]
    database.close()


def test_a_database_of_another_loader_has_no_views(tmp_path: Path) -> None:
    """They would prevent its migrations from changing columns."""
    url = f"sqlite:///{tmp_path}/theirs.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        AdoptableSchema(dialect="sqlite").make(connection)
    engine.dispose()
    database = SqlDatabase(url)

    SqlAdoption(database, FixedClock()).adopt(widen=False)
    database.migrate()

    assert view_definitions(database) == {}
    database.close()
