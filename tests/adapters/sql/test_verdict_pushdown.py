"""The SQL path of a backfill writes the same rows as the Python path."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text

from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.intel.cowrieprocessor_documents import addresses_in_document
from snapshots.adapters.sql.database import SqlDatabase
from snapshots.adapters.sql.schema.tables import session_summaries
from snapshots.adapters.sql.transaction import SqlStores
from snapshots.app.ports.database import WriteLock
from snapshots.app.ports.key_range import WHOLE, KeyRange
from snapshots.app.ports.open_sessions import Judged, OpenCase, PushdownResult
from snapshots.composition.wiring import Container
from snapshots.domain.address.source_ip import IpAddress, Sighting
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import IpSnapshot
from snapshots.domain.snapshot.verdict_spans import MAX_TIME, MIN_TIME, VerdictSpan
from tests.cowrieprocessor import AdoptableSchema, put_address, put_session
from tests.strategies import HOME, NOON, OTHER, snapshot

pytestmark = pytest.mark.slow

SECOND = timedelta(seconds=1)
PRIVATE = IpAddress("10.0.0.1")
SPANS = [
    VerdictSpan(HOME.text, MIN_TIME, NOON, snapshot(asn=1, country=None)),
    VerdictSpan(HOME.text, NOON, NOON + SECOND, snapshot(asn=4_200_000_000, country="DE")),
    VerdictSpan(OTHER.text, NOON, MAX_TIME, Gap.NOTHING_KNOWN),
    VerdictSpan(PRIVATE.text, MIN_TIME, MAX_TIME, Gap.NOT_ROUTABLE),
    VerdictSpan("0.0.0.0", MIN_TIME, MAX_TIME, Gap.NOT_ROUTABLE),
]
NAMES = [HOME.text, OTHER.text, PRIVATE.text, "0.0.0.0", "9.9.9.9", f"::ffff:{HOME.text}", f" {HOME.text}", "", "12ab"]

names = st.sampled_from([HOME.text] * 6 + NAMES)
plain = names.map(lambda name: json.dumps({"session_metadata": {"source_ip": name}, "virustotal": {}}))
odd = st.sampled_from([None, 7, True, "x", [], {}, [HOME.text], {"a": 1}])
documents = st.fixed_dictionaries(
    {},
    optional={
        "session": st.dictionaries(names | st.just("started"), odd, max_size=2) | odd,
        "session_metadata": st.fixed_dictionaries({}, optional={"source_ip": names | odd}) | odd,
        "dshield": st.fixed_dictionaries({}, optional={"ip": st.fixed_dictionaries({"number": names | odd}) | odd})
        | odd,
        "virustotal": odd,
        HOME.text: odd,
        OTHER.text: odd,
        "a:b": odd,
        "\u0663.1.1.1": odd,
    },
).map(json.dumps)
TEXTS = [
    "[]",
    "null",
    '"8.8.8.8"',
    '{"session_metadata": {"source_ip": "8.8.8.8"}, "note": "\\u0000"}',
    '{"session_metadata": {"source_ip": "8.8.8.8"}, "note": "\\ud800"}',
    '{"session_metadata": {"source_ip": "8.8.8.8"}, "session_metadata": {"source_ip": "1.1.1.1"}}',
    '{"session_metadata": {"source_ip": "8.8.8.8", "source_ip": "1.1.1.1"}}',
    '{"dshield": {"ip": {"number": "8.8.8.8"}, "ip": {"number": "1.1.1.1"}}}',
    '{"dshield": {"ip": {"number": "8.8.8.8", "number": "1.1.1.1"}}}',
    '{"session_metadata": {"source_ip": "8.8.8.8"}, "session_metadata": null}',
    '{"session_metadata": {"source_ip": "8.8.8.8", "n": 1e999}}',
    '{"session_metadata": {"source_ip": "8.8.8.8"}, "n": ' + "9" * 5000 + "}",
]
NO_JSON = ["", "{", '{"session_metadata": {"source_ip": "8.8.8.8"}}x', "{'a': 1}", "{a: 1}"]
MOMENTS = ["2026-03-01 12:00:00.000000", "2026-03-01 11:59:59.999999", "2026-03-01 12:00:01.000000", None]
NO_MOMENTS = [
    "2026-03-01 12:00:00.000000\x00",
    "2026-03-01 12:00:00",
    "2026-02-30 12:00:00.000000",
    "2026-03-01T12:00:00.000000",
    "yesterday",
    "",
]

Row = Mapping[str, Any]


def rows(dialect: str) -> st.SearchStrategy[list[Row]]:
    """Sessions as another loader may leave them; SQLite stores any text in any column."""
    on_sqlite = dialect == "sqlite"
    texts = st.sampled_from([*TEXTS, *(NO_JSON if on_sqlite else [])])
    moments = st.sampled_from([*MOMENTS, *(NO_MOMENTS if on_sqlite else [])])
    row = st.fixed_dictionaries(
        {"source_ip": st.none() | names.filter(bool), "first_event_at": st.just(MOMENTS[0]) | moments},
        optional={
            "enrichment": plain | plain | st.none() | documents | texts,
            "last_event_at": moments,
            "snapshot_country": st.none() | st.none() | st.just("XX"),
            "snapshot_asn": st.none() | st.none() | st.just(0),
            "event": st.none() | st.none() | names,
        },
    )
    return st.lists(row, min_size=3, max_size=8)


@pytest.fixture
def container(unmigrated_url: str) -> Iterator[Container]:
    """An adopted database without sessions."""
    engine = create_engine(unmigrated_url)
    with engine.begin() as connection:
        AdoptableSchema(dialect=connection.dialect.name).make(connection)
        for name in (*NAMES, HOME.text):
            put_address(connection, name)
    engine.dispose()
    container = Container(settings=Settings.of(db=unmigrated_url))
    container.adoption().adopt(widen=True)
    yield container
    container.database().close()


def put(connection: Connection, found: Sequence[Row]) -> None:
    for n, values in enumerate(found):
        row = dict(values)
        event = row.pop("event", None)
        put_session(connection, f"s{n}", **{"last_event_at": None, "created_at": MOMENTS[0], **row})
        if event is not None:
            payload = {"eventid": "cowrie.session.connect", "session": f"s{n}", "src_ip": event}
            payload |= {"timestamp": "2026-03-01T12:00:00.000000Z"}
            connection.execute(
                text("INSERT INTO raw_events (id, payload, session_id) VALUES (:n, :p, :s)"),
                {"n": n, "p": json.dumps(payload), "s": f"s{n}"},
            )


def judged(found: Sighting | Gap) -> IpSnapshot | Gap | None:
    """Return the verdict of the span that contains the sighting."""
    if isinstance(found, Gap):
        return found
    return next(
        (
            span.verdict
            for span in SPANS
            if span.address == found.address.text and span.since <= found.seen_at < span.until
        ),
        None,
    )


def settle_in_program(
    container: Container, stores: SqlStores, case: OpenCase = OpenCase.NEVER_JUDGED
) -> Counter[object]:
    """Write the known verdicts session by session; return the counts of the run."""
    page = stores.open_sessions.page(case, run="r", stale_before=NOON, after="", limit=99)
    sessions = [(each, container.finder().find_sighting(each)) for each in page.sessions]
    known = [
        Judged(each, None if isinstance(found, Gap) else found, verdict)
        for each, found in sessions
        if (verdict := judged(found)) is not None
    ]
    assert not stores.open_sessions.write_verdicts(known, run="r", written_at=NOON)
    counts: Counter[object] = Counter(verdict_kind(each.verdict) for each in known)
    counts["found"] = sum(each.was_found for each in known)
    return counts


def verdict_kind(verdict: IpSnapshot | Gap) -> object:
    return verdict.method if isinstance(verdict, IpSnapshot) else verdict


def stored(connection: Connection) -> list[dict[str, Any]]:
    """Return all of our columns as stored."""
    names = ", ".join(session_summaries.columns.keys())
    found = connection.execute(text(f"SELECT {names} FROM session_summaries ORDER BY session_id")).mappings()
    return [dict(row) for row in found]


def test_the_sql_path_writes_what_the_python_path_writes(container: Container) -> None:
    """For any rows of another loader: the same rows and counts; unusual rows are left to the Python path."""
    database = container.database()
    dialect = database.engine.dialect.name
    by_itself: Counter[bool] = Counter()

    @settings(suppress_health_check=list(HealthCheck))
    @given(found=rows(dialect))
    @example(found=[{"source_ip": HOME.text, "first_event_at": MOMENTS[0]}])
    @example(found=[{"source_ip": None, "first_event_at": MOMENTS[0], "enrichment": text_} for text_ in TEXTS])
    def check(found: list[Row]) -> None:
        ways: list[tuple[object, Counter[object]]] = []
        for is_by_itself in (False, True):
            with database.transaction(dry_run=True) as stores:
                connection = stores._connection
                put(connection, found)
                size = len(found)
                counts: Counter[object] = Counter()
                if is_by_itself:
                    done = settled(stores)
                    by_itself.update([done.verdicts.total() > 0])
                    assert done.size == size
                    counts.update(done.verdicts)
                    counts["found"] += done.found
                counts.update(settle_in_program(container, stores))
                ways.append((stored(connection), counts))
        assert ways[0] == ways[1]

    def settled(stores: SqlStores) -> Any:
        stage(stores)
        times = stores.open_sessions.times_of_unjudged()
        assert times is None or times[0] <= times[1], "unreadable times do not matter"
        forecast, done = (
            stores.open_sessions.apply_staged(
                run="r", within=WHOLE, limit=99, learned_until=None, is_forecast=is_forecast
            )
            for is_forecast in (True, False)
        )
        assert done is not None
        assert forecast == done
        return done

    check()
    assert by_itself[True]


def stage(stores: SqlStores, run: str = "r") -> None:
    stores.verdict_spans.begin(run, keep=[])
    stores.verdict_spans.add(stores.verdict_spans.encode(run, SPANS))


def put_plain(database: SqlDatabase, count: int) -> None:
    with database.engine.begin() as connection:
        for n in range(count):
            document = json.dumps({"session_metadata": {"source_ip": HOME.text}})
            put_session(connection, f"s{n}", enrichment=document)


def apply(database: SqlDatabase, run: str, within: KeyRange, limit: int) -> PushdownResult | None:
    with database.transaction(lock=WriteLock.SHARED) as stores:
        return stores.open_sessions.apply_staged(run=run, within=within, limit=limit, learned_until=NOON)


def test_staged_verdicts_are_applied_page_by_page(container: Container) -> None:
    """On any connection; the verdicts that another run staged are not applied."""
    database = container.database()
    put_plain(database, 5)
    with database.transaction() as stores:
        stage(stores, run="r")
    other = SqlDatabase(database.engine.url.render_as_string(hide_password=False), addresses_in_document)

    first = apply(other, "r", WHOLE, 2)
    assert first is not None
    second = apply(other, "other", KeyRange(first.last, ""), 2)
    assert second is not None
    third = apply(database, "r", KeyRange(second.last, ""), 2)
    assert third is not None
    end = apply(database, "r", KeyRange(third.last, ""), 2)
    other.close()

    done = [(page.size, page.verdicts.total()) for page in (first, second, third)]
    assert done == [(2, 2), (2, 0), (1, 1)]
    assert end is None
