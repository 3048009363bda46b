"""Sessions are filtered and grouped by every login attempt."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, select

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.session_queries import SqlSessionQueries
from snapshots.adapters.sql.schema.tables import credentials, passwords, session_logins
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.action import Action
from snapshots.app.queries.paging import every_line
from snapshots.app.queries.session_queries import Dimension, SessionFilter
from snapshots.app.queries.time_bucket import TimeBucket
from snapshots.domain.session.behaviour import login
from snapshots.domain.session.logins import MOST_CREDENTIALS, credentials_number
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot.gap import Gap
from tests.fakes import FixedClock
from tests.strategies import DAY, HOME, NOON, OTHER, snapshot

Attempt = tuple[str | None, str | None, bool]
USER, PASSWORD = Dimension.USER, Dimension.PASSWORD

attempts = st.tuples(st.sampled_from([None, "", "root"]), st.sampled_from([None, "", "1234", "word"]), st.booleans())
histories = st.lists(st.tuples(st.sampled_from([HOME, OTHER]), st.lists(attempts, max_size=4)), max_size=6)


def hashed(text: str | None) -> str | None:
    return sha256(text.encode()).hexdigest() if text is not None else None


def put(database: SqlDatabase, found: list[tuple[object, list[Attempt]]], *, kept: bool = False) -> None:
    """Store sessions s0, s1, ... a day apart."""
    sessions = []
    for n, (address, tried) in enumerate(found):
        at = NOON + n * DAY
        events = [SessionEvent(0, at, EventKind.CONNECT, address)]  # type: ignore[arg-type]  # an IpAddress
        events += [
            SessionEvent(
                mark,
                at + timedelta(seconds=mark),
                EventKind.LOGIN,
                traits=login(user, text, succeeded=won, kept=text if kept else None),
            )
            for mark, (user, text, won) in enumerate(tried, 1)
        ]
        verdict = snapshot(asn=1) if address == HOME else Gap.NOTHING_KNOWN
        sessions.append(SessionAggregate.of(f"s{n}", events).summary().judged(verdict))
    with database.transaction() as stores:
        stores.audit.prune(NOON + 1000 * DAY, run="r", made_at=NOON)
        stores.inventory.register_addresses([s.sighting for s in sessions if s.sighting], registered_at=NOON)
        stores.sessions.save(sessions, run="r", saved_at=NOON)


@pytest.fixture
def queries(sql_database: SqlDatabase) -> SqlSessionQueries:
    return SqlSessionQueries(sql_database, FixedClock())


@pytest.fixture
def database(sql_database: SqlDatabase) -> SqlDatabase:
    return sql_database


def test_groups_and_filters_equal_a_count_in_python(database: SqlDatabase, queries: SqlSessionQueries) -> None:
    """A session counts once for each user name, password or pair; its attempts are added up."""

    @settings(max_examples=20, suppress_health_check=list(HealthCheck))
    @given(found=histories, by=st.sampled_from([(USER,), (PASSWORD,), (USER, PASSWORD), (Dimension.ASN, USER)]))
    def check(found: list[tuple[object, list[Attempt]]], by: tuple[Dimension, ...]) -> None:
        put(database, found)
        sessions: defaultdict[tuple[str | None, ...], set[str]] = defaultdict(set)
        tried = Counter[tuple[str | None, ...]]()
        for n, (address, each) in enumerate(found):
            for user, text, _ in each:
                values = {USER: user, PASSWORD: hashed(text), Dimension.ASN: "1" if address == HOME else None}
                key = tuple(values[part] for part in by)
                if not any(values[part] is None for part in by if part is not Dimension.ASN):
                    sessions[key].add(f"s{n}")
                    tried[key] += 1

        groups = queries.groups(SessionFilter(), by, top=99, with_addresses=True)

        assert {group.values: group.sessions for group in groups} == {key: len(own) for key, own in sessions.items()}
        assert {group.values: group.attempts for group in groups} == tried
        assert queries.groups(SessionFilter(), by, top=99, with_times=False, with_addresses=True) == [
            replace(group, first_seen=None, last_seen=None) for group in groups
        ]
        assert queries.count_groups(SessionFilter(), by) == len(groups)
        for key, own in sessions.items():
            only = {part: [value] for part, value in zip(by, key, strict=True)}
            if len(by) == 1:
                assert ids(queries, SessionFilter(values=only)) == own
                assert ids(queries, SessionFilter(excluded=only)) == {f"s{n}" for n in range(len(found))} - own
        named = {f"s{n}" for n, (_, each) in enumerate(found) if any(user is not None for user, _, _ in each)}
        assert ids(queries, SessionFilter(values={USER: [None]})) == {f"s{n}" for n in range(len(found))} - named

    check()


def ids(queries: SqlSessionQueries, session_filter: SessionFilter) -> set[str]:
    return {line.session_id for line in every_line(queries, session_filter)}


def test_a_filter_on_one_attempt_counts_the_other_attempts_of_the_session(
    database: SqlDatabase, queries: SqlSessionQueries
) -> None:
    """The passwords of everyone who tried a user name; passwords are given as text."""
    put(database, [(HOME, [("root", "1234", False), ("pi", "word", True)]), (HOME, [("pi", "1234", False)])])

    groups = queries.groups(SessionFilter(values={USER: ["root"]}), [PASSWORD], top=9)
    assert {group.values[0] for group in groups} == {hashed("1234"), hashed("word")}
    assert ids(queries, SessionFilter(values={PASSWORD: ["word"]})) == {"s0"}
    assert queries.stored_values(USER, limit=9) == ["pi", "root"]


def test_growth_counts_sessions_and_attempts_of_the_period(database: SqlDatabase, queries: SqlSessionQueries) -> None:
    """Not those of the period before."""
    put(database, [(HOME, [("root", "1234", False)] * 2), (HOME, [("root", "1234", False), ("root", "word", False)])])
    newest = SessionFilter(since=NOON + DAY, until=NOON + 2 * DAY)

    (group,) = queries.groups(newest, [USER], top=9, with_before=True)

    assert (group.sessions, group.before, group.attempts) == (1, 1, 2)


def test_texts_are_shown_where_they_are_stored_or_very_common(
    database: SqlDatabase, queries: SqlSessionQueries
) -> None:
    """Hiding 123456 protects no account."""
    put(database, [(HOME, [("root", "123456", False), ("root", "my own secret", False)])])
    hidden = {group.values[0]: group.password for group in queries.groups(SessionFilter(), [PASSWORD], top=9)}
    put(database, [(HOME, [("root", "my own secret", False)])], kept=True)
    shown = {group.values[0]: group.password for group in queries.groups(SessionFilter(), [PASSWORD], top=9)}

    assert hidden == {hashed("123456"): "123456", hashed("my own secret"): None}
    assert shown == {hashed("my own secret"): "my own secret"}


def test_attempts_whose_credentials_are_not_stored_are_counted(
    database: SqlDatabase, queries: SqlSessionQueries
) -> None:
    """Those of sessions that an earlier version stored."""
    put(database, [(HOME, [("root", "1234", False)] * 3), (OTHER, [("root", "1234", True)])])
    assert queries.attempts_without_credentials(SessionFilter()) == 0
    with database.engine.begin() as connection:
        connection.execute(delete(session_logins).where(session_logins.c.session_id == "s0"))

    assert queries.attempts_without_credentials(SessionFilter()) == 3
    assert queries.attempts_without_credentials(SessionFilter(since=NOON + DAY)) == 0
    assert [(login.username, login.attempts, login.successes) for login in queries.logins(["s0", "s1"])["s1"]] == [
        ("root", 1, 1)
    ]


def test_what_was_done_has_every_login_attempt(database: SqlDatabase, queries: SqlSessionQueries) -> None:
    """On whichever page a session is; one query reads those of a page."""
    tried: list[Attempt] = [("root", "1234", False), ("root", "1234", False), ("pi", "word", True)]
    one: list[Attempt] = [("a", "", False)]
    put(database, [(HOME, tried), (OTHER, []), (HOME, one)])
    statements = list[str]()
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    for page in (1, 2, 9):
        statements.clear()
        lines = list(every_line(queries, SessionFilter(), page=page, with_activity=True))
        assert sum("session_logins" in statement for statement in statements) == {1: 4, 2: 2, 9: 1}[page]
        done = {line.session_id: line.activity.logins for line in lines if line.activity is not None}
        assert done == {"s0": tuple(queries.logins(["s0"])["s0"]), "s1": (), "s2": tuple(queries.logins(["s2"])["s2"])}
        assert [(login.username, login.attempts) for login in done["s0"]] == [("root", 2), ("pi", 1)]


def test_attempts_beyond_the_bound_of_a_session_are_counted_as_missing(
    database: SqlDatabase, queries: SqlSessionQueries
) -> None:
    """They are in none of the groups."""
    many: list[Attempt] = [("root", str(n), False) for n in range(MOST_CREDENTIALS + 3)]
    put(database, [(HOME, many)])

    (group,) = queries.groups(SessionFilter(), [USER], top=9)

    assert group.attempts == MOST_CREDENTIALS
    assert queries.attempts_without_credentials(SessionFilter()) == 3


def test_credentials_beyond_the_bound_are_stored_only_if_another_session_has_them(
    database: SqlDatabase, queries: SqlSessionQueries
) -> None:
    """Nor the texts of their passwords; a password that is also tried with a stored user name stays."""
    many = sorted(
        (str(n) for n in range(MOST_CREDENTIALS + 3)), key=lambda text: credentials_number("root", hashed(text))
    )
    shared, renamed, alone = many[MOST_CREDENTIALS:]
    tried: list[Attempt] = [("root", text, False) for text in many]
    other: list[Attempt] = [("root", shared, False), ("pi", renamed, False)]
    put(database, [(OTHER, other), (HOME, tried)], kept=True)

    with database.reading() as connection:
        pairs = {tuple(row) for row in connection.execute(select(credentials.c.username, credentials.c.password_hash))}
        texts = set(connection.execute(select(passwords.c.password)).scalars())
    assert pairs == {("root", hashed(text)) for text in many[: MOST_CREDENTIALS + 1]} | {("pi", hashed(renamed))}
    assert texts == {*many} - {alone}
    assert hashed(alone) not in queries.stored_values(PASSWORD, limit=2 * MOST_CREDENTIALS)


def test_sessions_that_uploaded_a_file_are_found(database: SqlDatabase, queries: SqlSessionQueries) -> None:
    """A download is not an upload."""
    kinds = {"up": EventKind.UPLOAD, "down": EventKind.DOWNLOAD}
    with database.transaction() as stores:
        events = {name: SessionEvent(1, NOON, kind) for name, kind in kinds.items()}
        made = [SessionAggregate.of(name, [event]).summary().judged(Gap.NO_SOURCE_IP) for name, event in events.items()]
        stores.sessions.save(made, run="r", saved_at=NOON)

    assert ids(queries, SessionFilter(did=[Action.UPLOAD])) == {"up"}
    assert ids(queries, SessionFilter(did_not=[Action.UPLOAD])) == {"down"}


def test_a_key_with_several_values_has_no_concentration(queries: SqlSessionQueries) -> None:
    """Shares would not add up to one; with a time bucket it can be combined."""
    with pytest.raises(InvalidQuery):
        queries.concentration(SessionFilter(), USER)
    assert queries.groups(SessionFilter(), [TimeBucket.DAY, USER], top=9) == []
