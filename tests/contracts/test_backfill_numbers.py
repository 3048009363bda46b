"""Every number of a backfill is a number of rows, and the forecast has the same ones."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import RowMapping, create_engine, make_url, select, text

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.connection.datetimes import timestamp_text
from snapshots.adapters.sql.rows.row_decoder import summary_in
from snapshots.adapters.sql.schema.tables import fact_sources, ip_observations, session_summaries
from snapshots.app.backfill.progress import NoProgress
from snapshots.app.backfill.run import BackfillReport
from snapshots.app.backfill.throttle import Throttle
from snapshots.composition.wiring import Container
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.facts.observation import IpObservation
from snapshots.domain.facts.source_builds import BuildCalendar
from tests.cowrieprocessor import AdoptableSchema, put_address, put_session
from tests.strategies import DAY, HOME, NOON, OTHER, histories

pytestmark = pytest.mark.slow

PRIVATE = "10.0.0.1"
ADDRESSES = [HOME.text, OTHER.text, PRIVATE, "9.9.9.9"]
NO_ADDRESSES = ["unknown", "0.0.0.0"]
NAMES = count(1)
NO_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]  # each example makes and fills a database

Make = Callable[[], str]
days = st.sampled_from([-60, -15, -3, -1, 0, 1, 2, 14, 16, 50, 130, 410])
session = st.fixed_dictionaries(
    {"source_ip": st.sampled_from([None, None, None, *ADDRESSES, *NO_ADDRESSES]), "day": days},
    optional={
        "named": st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2),
        "event": st.sampled_from(ADDRESSES),
        "snapshot_country": st.just("XX"),
    },
)
PLAIN = {"source_ip": None, "day": 0, "named": [HOME.text]}


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """What makes a copy of an adopted database without sessions, and returns its URL."""
    is_sqlite = request.param == "sqlite"
    original = f"sqlite:///{tmp_path}/original.db" if is_sqlite else request.getfixturevalue("postgresql")
    engine = create_engine(original)
    with engine.begin() as connection:
        AdoptableSchema(dialect=connection.dialect.name).make(connection)
        for address in (*ADDRESSES, *NO_ADDRESSES):
            put_address(connection, address)
    container = Container(settings=Settings.of(db=original))
    container.adoption().adopt(widen=True)
    container.database().close()
    engine.dispose()
    made = []
    server = None if is_sqlite else create_engine(request.getfixturevalue("server"), isolation_level="AUTOCOMMIT")

    def copy() -> str:
        name = f"copy_{next(NAMES)}"
        if server is None:
            shutil.copy(tmp_path / "original.db", tmp_path / f"{name}.db")
            return f"sqlite:///{tmp_path}/{name}.db"
        made.append(name)
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {make_url(original).database}"))
        return make_url(original).set(database=name).render_as_string(hide_password=False)

    yield copy
    if server is not None:
        with server.connect() as connection:
            for name in made:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


def put(url: str, sessions: Sequence[Mapping[str, Any]], known: Mapping[IpAddress, Sequence[IpObservation]]) -> None:
    """Store sessions as another loader leaves them, and the observations of their addresses."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for number, given_session in enumerate(sessions):
            row = dict(given_session)
            day, named, event = row.pop("day"), row.pop("named", None), row.pop("event", None)
            moment = timestamp_text(NOON + day * DAY)
            document = {}
            if named is not None:
                document = {"session_metadata": {"source_ip": named[0]}, "dshield": {"ip": {"number": named[-1]}}}
            row |= {"first_event_at": moment, "created_at": moment, "enrichment": json.dumps(document)}
            put_session(connection, f"s{number}", **row)
            if event is not None:
                payload = {"eventid": "cowrie.session.connect", "session": f"s{number}", "src_ip": event}
                payload |= {"timestamp": moment.replace(" ", "T") + "Z"}
                connection.execute(
                    text("INSERT INTO raw_events (id, payload, session_id) VALUES (:n, :p, :s)"),
                    {"n": number, "p": json.dumps(payload), "s": f"s{number}"},
                )
        for address, observation in ((address, each) for address, history in known.items() for each in history):
            connection.execute(
                ip_observations.insert(),
                {
                    "ip_address": address.text,
                    "source": observation.source,
                    "observed_at": observation.observed_at,
                    "confirmed_until": observation.confirmed_until,
                    "asn": observation.facts.asn,
                    "country": observation.facts.country,
                    "ip_types": " ".join(sorted(kind.value for kind in observation.facts.ip_types)),
                    "learned_at": NOON,
                },
            )
        builds = {(each.source, each.observed_at) for history in known.values() for each in history}
        for source, built_at in sorted(builds):
            texts = dict.fromkeys(("licence", "sha256", "origin"), "")
            connection.execute(
                fact_sources.insert(), {"source": source, "built_at": built_at, "registered_at": NOON, **texts}
            )
    engine.dispose()


def numbers(report: BackfillReport) -> dict[str, Any]:
    return {
        "judged": report.judged,
        "sealed": dict(report.sealed),
        "open": dict(report.left_open),
        "found": report.found,
        "lost": report.lost,
        "quarantined": dict(report.quarantined),
    }


def run_in_parts(container: Container, throttle: Throttle, stops: int, jobs: int) -> BackfillReport:
    """Interrupt a run after so many batches and resume it, as often as it takes."""

    def stopper() -> Callable[[], bool]:
        left = iter([False] * stops)
        return (lambda: next(left, True)) if stops else (lambda: False)

    report = container.backfill().run(NoProgress(), throttle=throttle, jobs=jobs, is_stopped=stopper())
    while not report.is_done:
        report = container.backfill().resume(
            report.run, NoProgress(), throttle=throttle, jobs=jobs, is_stopped=stopper()
        )
    return report


def test_the_counts_of_a_run_equal_those_of_its_rows_and_of_its_dry_run(make: Make) -> None:
    """For any rows of another loader, any batch size, and any number of workers and interruptions."""

    @settings(max_examples=6, phases=NO_SHRINKING, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        sessions=st.lists(session | st.just(PLAIN), min_size=1, max_size=20),
        known=st.fixed_dictionaries({HOME: histories(), OTHER: histories()}),
        batch_size=st.none() | st.integers(1, 9),
        stops=st.sampled_from([0, 0, 3, 5]),
        rounds_and_jobs=st.tuples(st.sampled_from([0, 0, 1, 2]), st.integers(1, 3)),
    )
    @example(sessions=[PLAIN] * 20, known={}, batch_size=4, stops=5, rounds_and_jobs=(0, 2))
    def check(
        sessions: list[dict[str, Any]],
        known: Mapping[IpAddress, Sequence[IpObservation]],
        batch_size: int | None,
        stops: int,
        rounds_and_jobs: tuple[int, int],
    ) -> None:
        rounds, jobs = rounds_and_jobs
        url = make()
        put(url, sessions, known)
        container = Container(settings=Settings.of(db=url))
        for _ in range(rounds):
            container.undo().undo(
                run_in_parts(container, Throttle(batch_size=batch_size), stops, jobs).run, NoProgress()
            )
        forecast = container.backfill().dry_run(NoProgress())

        report = run_in_parts(container, Throttle(batch_size=batch_size), stops, jobs)

        with container.database().reading() as connection:
            rows = connection.execute(select(session_summaries)).mappings().all()
        sealed = Counter(row["snapshot_method"] for row in rows if row["snapshot_run"] == report.run)
        left_open = Counter(row["snapshot_gap"] for row in rows if row["gap_run"] == report.run)
        had_none = {f"s{n}" for n, each in enumerate(sessions) if each["source_ip"] in (None, *NO_ADDRESSES)}
        found = [
            row["session_id"]
            for row in rows
            if row["session_id"] in had_none and row["source_ip"] in ADDRESSES and row["source_ip_run"] == report.run
        ]
        assert numbers(report) == numbers(forecast)
        assert {method.value: n for method, n in report.sealed.items()} == sealed
        assert {gap.value: n for gap, n in report.left_open.items()} == left_open
        assert report.judged == len(sessions) == sealed.total() + left_open.total()
        assert (report.found, report.lost, report.quarantined) == (len(found), 0, {})
        assert_each_is_as_read_anew(container, rows)
        container.database().close()

    check()


def assert_each_is_as_read_anew(container: Container, rows: Sequence[RowMapping]) -> None:
    """Compare the verdicts that were applied by time span with an evaluation of each sighting."""
    reader, policy = container.reader(), container.policy()
    sessions = [summary_in(row) for row in rows]
    with container.database().view() as stores:
        calendar = BuildCalendar.of(stores.sources.registered())
        known = stores.inventory.history_of({each.source_ip for each in sessions if each.source_ip is not None})
        for each in sessions:
            if each.sighting is not None:
                at = each.sighting.seen_at
                reading = reader.read(calendar.nearest(known.get(each.sighting.address, ()), at), at=at)
                assert (each.snapshot or each.gap) == policy.verdict(each.sighting, reading)
