"""What verify detects beyond the changes that the triggers refuse."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from operator import itemgetter

import pytest
from sqlalchemy import select, text

from snapshots.adapters.clock import SystemClock
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.queries.inspection import integrity, row_check
from snapshots.adapters.sql.queries.inspection.sample import draw
from snapshots.adapters.sql.queries.reports import SqlReports
from snapshots.adapters.sql.schema import triggers
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.app.ports.database import Stores
from snapshots.app.ports.inventory import LearnedFacts
from snapshots.app.ports.open_sessions import Judged, OpenSession
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.app.ports.sessions import SessionChange
from snapshots.app.queries.inspection import Inspection, Invariant
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.network_types import NetworkTypes
from snapshots.domain.facts.observation import SourceBuild
from snapshots.domain.session.behaviour import login
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from tests.strategies import DAY, HOME, NOON, OTHER, network_build, observed, snapshot

A_BUILD = SourceBuild(name="a", built_at=NOON, licence="none", sha256="0" * 64, origin="bundled")
CORRECTED = IpSnapshot.corrected(snapshot(), asn=7, at=NOON + DAY)


@pytest.fixture
def database(sql_database: SqlDatabase) -> SqlDatabase:
    return sql_database


def put(database: SqlDatabase, count: int, *verdicts: IpSnapshot | Gap) -> None:
    """Store sessions of one address, and count them."""
    found = [
        SessionAggregate.sighted(f"s{n}", HOME.text, NOON + n * timedelta(minutes=1)).summary().judged(verdict)
        for n, verdict in enumerate(verdicts or [snapshot()] * count)
    ]
    with database.transaction() as stores:
        stores.inventory.register_addresses([s.sighting for s in found if s.sighting], registered_at=NOON)
        stores.inventory.learn([LearnedFacts([HOME], [observed("a", NOON, asn=64500)])], {}, learned_at=NOON)
        stores.sources.register_build(A_BUILD, registered_at=NOON)
        stores.counts.count_sessions([SessionChange(held=None, kept=each) for each in found], seen_at=NOON)
        stores.sessions.save(found, run="r", saved_at=NOON)


def behind_its_back(database: SqlDatabase, statement: str) -> None:
    """Run a statement without the triggers, as an operator does who drops and recreates them."""
    with database.changing_tables() as connection:
        triggers.remove(connection)
        connection.execute(text(statement))
        triggers.install(connection)


def looked(database: SqlDatabase, *, full: bool = True, reader: AsOfReader | None = None) -> Inspection:
    return SqlReports(database, reader or AsOfReader(), clock=SystemClock()).inspect(show=99, full=full)


def violations(database: SqlDatabase) -> list[tuple[Invariant, str]]:
    return [(violation.invariant, violation.where) for violation in looked(database).violations]


def test_of_many_changed_sessions_those_with_the_smallest_ids_are_named(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions are read in pages and in the order in which they are stored, and all violations are counted."""
    monkeypatch.setattr(row_check, "PAGE", 1)
    put(database, 5)
    behind_its_back(database, "UPDATE session_summaries SET snapshot_asn = 7 WHERE session_id <> 's3'")
    behind_its_back(database, "UPDATE session_summaries SET session_id = 's9' WHERE session_id = 's0'")
    reports = SqlReports(database, AsOfReader(), clock=SystemClock())
    found = reports.inspect(show=3)
    assert [violation.where for violation in found.violations] == ["s1", "s2", "s4"]
    assert (found.sealed, found.counts[Invariant.UNCHANGED]) == (5, 4)


def test_a_correction_that_the_session_does_not_hold_is_found(database: SqlDatabase) -> None:
    """The corrected columns were set back, including the seal."""
    put(database, 2)
    with database.transaction() as stores:
        for name in ("s0", "s1"):
            stores.audit.correct(name, CORRECTED, reason="wrong", run="c", made_at=NOON)
    assert violations(database) == []

    columns = ", ".join(
        f"{column} = (SELECT old_{column} FROM snapshot_corrections WHERE session_id = 's1')"
        for column in (
            "snapshot_asn",
            "enrichment_at",
            "snapshot_method",
            "snapshot_source",
            "snapshot_run",
            "snapshot_seal",
        )
    )
    behind_its_back(database, f"UPDATE session_summaries SET {columns} WHERE session_id = 's1'")

    assert violations(database) == [*changed_hands("c", 1, "r", 0), (Invariant.AUDITED, "s1")]


def changed_hands(too_few: str, left: int, too_many: str, meant: int) -> list[tuple[Invariant, str]]:
    """One sealed session has a different run than in the audit tables."""
    return [
        (Invariant.ON_RECORD, f"run {too_few}: {left} sealed sessions, {left + 1} on record"),
        (Invariant.ON_RECORD, f"run {too_many}: {meant + 1} sealed sessions, {meant} on record"),
    ]


def sealed_by_network(database: SqlDatabase, ip_type: IpType) -> None:
    """Store a session whose type is that of its network."""
    build = network_build(NOON, {64500: IpType.DATACENTER}).build
    by_network = replace(snapshot(), ip_type=ip_type, source="a@2026-03-01 network-types@2026-03-01T12:00")
    put(database, 1, by_network)
    with database.transaction() as stores:
        stores.sources.register_build(build, registered_at=NOON)


@pytest.mark.parametrize(("ip_type", "broken"), [(IpType.DATACENTER, []), (IpType.MOBILE, [(Invariant.STATED, "s0")])])
def test_a_type_by_network_is_compared_with_the_build_that_states_it(
    database: SqlDatabase, ip_type: IpType, broken: list[tuple[Invariant, str]]
) -> None:
    """No observation of the address contains it."""
    sealed_by_network(database, ip_type)
    reader = AsOfReader(network_types=NetworkTypes((network_build(NOON, {64500: IpType.DATACENTER}),)))

    found = looked(database, reader=reader)

    assert ([(v.invariant, v.where) for v in found.violations], found.not_checked) == (broken, [])


def test_a_type_of_a_build_that_is_not_at_hand_is_reported_as_not_checked(database: SqlDatabase) -> None:
    """An operator's table belongs to the commands that are given it."""
    sealed_by_network(database, IpType.MOBILE)

    found = looked(database)

    assert (found.violations, found.not_checked) == (
        [],
        ["types by network-types@2026-03-01T12:00: give its file with --network-types"],
    )


def test_a_deleted_correction_is_found(database: SqlDatabase) -> None:
    """The session still has the method corrected."""
    put(database, 2)
    with database.transaction() as stores:
        stores.audit.correct("s1", CORRECTED, reason="wrong", run="c", made_at=NOON)
        stores.audit.correct("s0", CORRECTED, reason="wrong", run="c", made_at=NOON)
    assert violations(database) == []

    behind_its_back(database, "DELETE FROM snapshot_corrections WHERE session_id = 's0'")

    assert violations(database) == [
        (Invariant.ON_RECORD, "run c: 2 sealed sessions, 1 on record"),
        (Invariant.ON_RECORD, "run r: 0 sealed sessions, 1 on record"),
        (Invariant.AUDITED, "s0"),
    ]


def test_a_deleted_correction_of_an_improvement_is_found(database: SqlDatabase) -> None:
    """The session's run is one that inserts a correction for each session."""
    put(database, 2)
    with database.transaction() as stores:
        stores.runs.begin("i", RunKind.IMPROVE, at=NOON)
        better = snapshot(enrichment_at=NOON + DAY)
        stores.audit.replace({"s0": better, "s1": better}, reason="better", run="i", made_at=NOON)
    assert violations(database) == []

    behind_its_back(database, "DELETE FROM snapshot_corrections WHERE session_id = 's1'")

    assert violations(database) == [
        (Invariant.ON_RECORD, "run i: 2 sealed sessions, 1 on record"),
        (Invariant.ON_RECORD, "run r: 0 sealed sessions, 1 on record"),
        (Invariant.AUDITED, "s1"),
    ]


def test_a_new_session_with_the_id_of_a_pruned_one_is_not_a_violation(database: SqlDatabase) -> None:
    """The corrected session was deleted."""
    put(database, 1)
    with database.transaction() as stores:
        stores.audit.correct("s0", CORRECTED, reason="wrong", run="c", made_at=NOON)
        stores.audit.prune(NOON + DAY, run="p", made_at=NOON)
    again = SessionAggregate.sighted("s0", HOME.text, NOON + DAY).summary().judged(snapshot())
    with database.transaction() as stores:
        stores.counts.count_sessions([SessionChange(held=None, kept=again)], seen_at=NOON)
        stores.sessions.save([again], run="r", saved_at=NOON + DAY)

    assert violations(database) == []


def test_a_session_undone_and_sealed_again_is_not_a_violation(database: SqlDatabase) -> None:
    """Its last correction opened the session."""
    put(database, 0, Gap.NOTHING_KNOWN)
    with database.transaction() as stores:
        stores.runs.begin("b", RunKind.BACKFILL, at=NOON)
        stores.open_sessions.write_verdicts([opened(stores)], run="b", written_at=NOON + DAY)
        stores.runs.end("b", RunState.DONE, at=NOON)
        stores.run_undo.undo("b", by="u", uncounted=[], after="", limit=9, at=NOON + DAY)
        stores.open_sessions.write_verdicts([opened(stores)], run="again", written_at=NOON + DAY)

    assert violations(database) == []


def opened(stores: Stores) -> Judged:
    (session,) = stores.sessions.find_summaries({"s0": ()})["s0"]
    gap = session.gap.value if session.gap is not None else None
    return Judged(OpenSession("s0", session.sighting, HOME.text, gap), session.sighting, snapshot())


def test_a_wrong_count_of_an_address_is_found(database: SqlDatabase) -> None:
    """One too many or one too few; after a pruning, counts may exceed the sessions."""
    put(database, 3)
    assert violations(database) == []
    for count in (2, 4):
        with database.engine.begin() as connection:
            connection.execute(text(f"UPDATE known_addresses SET session_count = {count}"))
        assert violations(database) == [(Invariant.COUNTED, HOME.text)]

    with database.transaction() as stores:
        stores.audit.prune(NOON + timedelta(minutes=1), run="p", made_at=NOON)

    assert violations(database) == []


@pytest.mark.parametrize(
    "change",
    ["attempts = 3", "attempts = 2, successes = -1", "successes = 3, attempts = 2", "credentials_number = 5"],
)
def test_login_attempts_that_a_session_does_not_have_are_found(database: SqlDatabase, change: str) -> None:
    """Too many, an impossible number of successes, or credentials that are missing; fewer are possible."""
    attempts = [
        SessionEvent(mark, NOON, EventKind.LOGIN, HOME, traits=login("root", "1234", succeeded=False))
        for mark in range(2)
    ]
    with database.transaction() as stores:
        stores.inventory.register_addresses([Sighting(address=HOME, seen_at=NOON)], registered_at=NOON)
        new = SessionAggregate.of("s", attempts).summary().judged(Gap.NOTHING_KNOWN)
        stores.counts.count_sessions([SessionChange(held=None, kept=new)], seen_at=NOON)
        stores.sessions.save([new], run="r", saved_at=NOON)
    assert violations(database) == []

    behind_its_back(database, "UPDATE session_logins SET attempts = 1")
    assert violations(database) == []
    behind_its_back(database, f"UPDATE session_logins SET {change}")

    assert violations(database) == [(Invariant.TALLIED, "s")]


def test_addresses_found_by_a_running_backfill_are_not_counted_yet(database: SqlDatabase) -> None:
    """The backfill counts them when it ends."""
    put(database, 1)
    with database.transaction() as stores:
        stores.runs.begin("b", RunKind.BACKFILL, at=NOON)
        stores.inventory.register_addresses([Sighting(address=OTHER, seen_at=NOON)], registered_at=NOON)
    behind_its_back(database, f"UPDATE session_summaries SET source_ip_run = 'b', source_ip = '{OTHER.text}'")

    found = {invariant for invariant, where in violations(database) if where == OTHER.text}
    assert found == set()
    with database.transaction() as stores:
        stores.runs.end("b", RunState.DONE, at=NOON)
    assert (Invariant.COUNTED, OTHER.text) in violations(database)


def test_each_session_is_drawn_with_the_same_probability(database: SqlDatabase) -> None:
    """In 300 draws of a quarter, each is drawn 75 times; a deviation of 8 standard deviations does not happen."""
    put(database, 40)

    drawn: Counter[str] = Counter()
    with database.reading() as connection:
        for _ in range(300):
            sample = draw(connection, session_summaries.c.snapshot_method.is_not(None), 0.25)
            drawn.update(connection.scalars(select(session_summaries.c.session_id).where(sample.holds())))

    assert len(drawn) == 40
    assert all(15 < times < 135 for times in drawn.values())


def test_of_very_many_sessions_a_part_is_checked(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every incomplete row is checked; the share of unchecked rows is reported."""
    put(database, 300)
    monkeypatch.setattr(integrity, "MOST_COMPARED", 50)
    monkeypatch.setattr(integrity, "MOST_INSPECTED", 75)
    monkeypatch.setattr(integrity, "SAMPLE_SIZE", 75)
    behind_its_back(database, "UPDATE session_summaries SET snapshot_seal = NULL WHERE session_id = 's7'")
    behind_its_back(database, "UPDATE session_summaries SET snapshot_seal = 'forged' WHERE session_id = 's6'")
    behind_its_back(database, "UPDATE session_summaries SET snapshot_country = 'FR' WHERE session_id = 's8'")

    whole = looked(database)
    parts = [looked(database, full=False) for _ in range(9)]

    assert (whole.sealed, whole.of, whole.unseen_share) == (300, 300, 0)
    assert {violation.where for violation in whole.violations} == {"s6", "s7", "s8"}
    for part in parts:
        assert {"s6", "s7"} <= {violation.where for violation in part.violations} <= {"s6", "s7", "s8"}
        assert 10 < part.drawn < 200, "8 standard deviations"
        assert (part.sealed - part.drawn, part.drawn_of, part.of) == (2, 298, 300)
        assert part.unseen_share == pytest.approx(3 / part.drawn * 298 / 300)
    assert len({part.drawn for part in parts}) > 1, "drawn anew each time"


def test_a_changed_session_is_in_a_sample_sooner_or_later(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With three quarters of the sessions in each sample, 40 samples do not all miss it."""
    put(database, 20)
    monkeypatch.setattr(integrity, "MOST_COMPARED", 5)
    monkeypatch.setattr(integrity, "MOST_INSPECTED", 15)
    monkeypatch.setattr(integrity, "SAMPLE_SIZE", 15)
    behind_its_back(database, "UPDATE session_summaries SET snapshot_country = 'FR' WHERE session_id = 's8'")

    found = (looked(database, full=False).violations for _ in range(40))

    assert next(violations for violations in found if violations)[0].where == "s8"


def test_open_sessions_are_checked_besides_a_sample(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them: they have no seal to draw from, and only SQLite stores values of another type."""
    put(database, 0, *[snapshot()] * 30, Gap.NOTHING_KNOWN)
    monkeypatch.setattr(integrity, "MOST_COMPARED", 1)
    monkeypatch.setattr(integrity, "MOST_INSPECTED", 1)
    monkeypatch.setattr(integrity, "SAMPLE_SIZE", 1)
    if database.engine.dialect.name == "sqlite":
        behind_its_back(database, "UPDATE session_summaries SET matcher = X'00' WHERE session_id = 's30'")

    found = looked(database, full=False).violations

    expected = ["session_summaries s30: matcher holds a blob (b'\\x00') instead of text"]
    assert [each.where for each in found] == (expected if database.engine.dialect.name == "sqlite" else [])


def test_a_fact_that_no_source_stated_is_found(database: SqlDatabase) -> None:
    """Its seal is intact; of a session that was also changed, only that is reported."""
    put(database, 0, snapshot(), snapshot(country="FR"), snapshot(country="FR"))
    behind_its_back(database, "UPDATE session_summaries SET source_port = 7 WHERE session_id = 's2'")

    assert sorted(violations(database), key=itemgetter(1)) == [
        (Invariant.STATED, "s1"),
        (Invariant.UNCHANGED, "s2"),
    ]


def test_few_sessions_are_all_checked(database: SqlDatabase) -> None:
    """With and without --full."""
    put(database, 3)

    found = looked(database, full=False)

    assert (found.sealed, found.of, found.unseen_share) == (3, 3, 0)
    assert Inspection(sealed=0, of=5, drawn_of=5, corrections=0).unseen_share == 1


def test_every_missing_or_disabled_trigger_is_named(database: SqlDatabase) -> None:
    """Also those that no forbidden change of a column fires."""
    put(database, 1)
    with database.engine.connect() as connection:
        is_pg = connection.dialect.name == "postgresql"
        assert triggers.differences(connection) == []
    with database.engine.begin() as connection:
        on_table = " ON session_summaries" if is_pg else ""
        connection.execute(text(f"DROP TRIGGER snapshot_no_delete{on_table}"))
        if is_pg:
            connection.execute(text("ALTER TABLE snapshot_prunings DISABLE TRIGGER snapshot_stamp"))

    named = [(Invariant.INTACT, "snapshot_no_delete on session_summaries is missing")]
    named += [(Invariant.INTACT, "snapshot_stamp on snapshot_prunings is disabled")] if is_pg else []
    assert violations(database) == named
