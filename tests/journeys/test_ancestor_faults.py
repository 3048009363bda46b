"""Faults of an older loader, each with a test that prevents its return. Both databases."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import DatabaseError

from snapshots.adapters.sql.rows.row_decoder import types_in
from snapshots.domain.facts.ip_type import IpType, IpTypePriority
from tests.journeys.conftest import NEW, Run
from tests.tables import mmdb

CONNECT, INPUT, FORWARD = "cowrie.session.connect", "cowrie.command.input", "cowrie.direct-tcpip.request"
GOOGLE, CLOUDFLARE, TOR = "8.8.8.8", "1.1.1.1", "185.220.101.1"

Load = Callable[..., str]


@pytest.fixture
def engine(sql_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A connection to a database of each kind, which every command of the test uses."""
    assert callable(run)
    monkeypatch.setenv("SNAPSHOTS_DB", sql_url)
    engine = create_engine(sql_url, poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def load(run: Run, engine: Engine, tmp_path: Path) -> Load:
    """Load lines as a separate file, and return the output."""
    assert engine is not None
    files = 0

    def _load(*lines: object, options: tuple[object, ...] = ()) -> str:
        nonlocal files
        files += 1
        path = tmp_path / f"cowrie.json.{files}"
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        code, out, err = run("load", path, *options)
        assert (code, err) == (0, "")
        return out

    return _load


def event(
    at: str, address: object = GOOGLE, kind: str = INPUT, session: str = "a", **more: object
) -> dict[str, object]:
    return {"session": session, "timestamp": f"2026-11-02T{at}", "src_ip": address, "eventid": kind, **more}


def rows(engine: Engine, query: str = "SELECT * FROM session_summaries ORDER BY session_id") -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


def test_the_address_was_the_first_read_and_not_the_earliest(load: Load, engine: Engine) -> None:
    """A file listed the 10:05 event of one address before the 10:00 event of another: the first line won."""
    load(event("10:05:00Z", CLOUDFLARE), event("10:00:00Z", GOOGLE))

    assert rows(engine)[0]["source_ip"] == GOOGLE


def test_a_snapshot_was_torn_between_two_addresses(load: Load, engine: Engine) -> None:
    """One batch gave the country of one address, the next the ASN of another: the row was true of neither."""
    load(event("10:00:00Z", GOOGLE))
    load(event("10:01:00Z", CLOUDFLARE), event("10:02:00Z", CLOUDFLARE, CONNECT))

    row = rows(engine)[0]
    assert (row["source_ip"], row["snapshot_asn"], row["event_count"]) == (GOOGLE, 15169, 3)


def test_an_unknown_first_address_gave_way_to_a_known_second(load: Load, engine: Engine) -> None:
    """The first address was not in the inventory, so a later one that was became the session's."""
    load(event("10:00:00Z", "192.0.2.1", CONNECT))
    load(event("10:01:00Z", GOOGLE))

    assert (rows(engine)[0]["source_ip"], rows(engine)[0]["snapshot_asn"]) == ("192.0.2.1", None)


def test_sessions_of_the_daily_loader_never_got_a_snapshot(load: Load, engine: Engine) -> None:
    """Two loaders built sessions in different ways, and only one wrote addresses and facts."""
    load(event("10:00:00Z", GOOGLE, CONNECT))
    load(event("10:00:00Z", GOOGLE, CONNECT), event("11:00:00Z", CLOUDFLARE, CONNECT, "b"))

    assert [row["snapshot_asn"] for row in rows(engine)] == [15169, 13335]


def test_a_load_crashed_once_an_address_was_known(load: Load, engine: Engine) -> None:
    """On SQLite the facts of an address in the inventory were read as JSON that they were not."""
    load(event("10:00:00Z", GOOGLE, CONNECT, "a"))
    load(event("10:00:00Z", GOOGLE, CONNECT, "b"))

    assert [row["snapshot_country"] for row in rows(engine)] == ["US", "US"]


def test_a_list_of_types_was_stored_as_its_text() -> None:
    """The priority of types was never applied to '["RESIDENTIAL", "VPN"]'."""
    assert IpTypePriority().highest_ranked(types_in('["RESIDENTIAL", "VPN"]')) is IpType.VPN
    assert types_in('[""]') == types_in(None) == frozenset()


@pytest.mark.parametrize(("country", "stored"), [("", "US"), ("cn", "CN"), ("CHINA", "US"), ("XX", "US"), ("ZZ", "US")])
def test_one_bad_country_ended_the_whole_load(
    load: Load, engine: Engine, tmp_path: Path, country: str, stored: str
) -> None:
    """An empty, lower-case or long code broke a constraint, and three retries later the load."""
    table = mmdb(tmp_path / "bad.mmdb", {"8.8.8.0/24": {"country": country}, "9.9.9.0/24": {"country": "DE"}})

    load(event("10:00:00Z", GOOGLE, CONNECT, timestamp="2027-01-01T00:00:00Z"), options=("--mmdb", table))

    assert rows(engine)[0]["snapshot_country"] == stored


def test_an_old_attack_got_the_facts_of_today_as_if_they_were_of_then(load: Load, engine: Engine) -> None:
    """The row did not distinguish facts as of the attack from later ones."""
    old = event("10:00:00Z", GOOGLE, CONNECT) | {"timestamp": "2019-01-01T00:00:00Z"}
    load(old, event("10:00:00Z", GOOGLE, CONNECT, "b"))

    assert [row["snapshot_method"] for row in rows(engine)] == ["inferred", "asof"]
    assert str(rows(engine)[0]["enrichment_at"]) > "2026-09"


def test_a_new_address_never_entered_the_inventory(load: Load, engine: Engine) -> None:
    """Addresses were looked up only if a session had them, and sessions had them only if they were looked up."""
    load(event("10:00:00Z", GOOGLE, CONNECT))

    (address,) = rows(engine, "SELECT * FROM known_addresses")
    assert (address["session_count"], address["current_asn"]) == (1, 15169)
    assert rows(engine)[0]["snapshot_asn"] == 15169


def test_the_ip_type_could_never_be_filled(load: Load, engine: Engine) -> None:
    """It was read from a field that nothing wrote: 0.00 % of 1.68 million sessions had one."""
    load(event("10:00:00Z", GOOGLE, CONNECT) | {"src_ip": TOR, "timestamp": "2026-10-06T00:00:00Z"})

    assert rows(engine)[0]["snapshot_ip_type"] == "TOR"


def test_a_snapshot_could_be_overwritten(load: Load, engine: Engine) -> None:
    """It was immutable in the documentation only."""
    load(event("10:00:00Z", GOOGLE, CONNECT))

    with engine.connect() as connection, pytest.raises(DatabaseError, match="sealed"):
        connection.execute(text("UPDATE session_summaries SET snapshot_country = 'DE'"))


def test_a_snapshot_without_a_country_was_replaced(load: Load, engine: Engine, tmp_path: Path) -> None:
    """A held AS64500, TOR became another network's because one column was NULL."""
    first = mmdb(tmp_path / "asn.mmdb", {"192.88.98.0/24": {"asn": 64500}})
    second = mmdb(tmp_path / "both.mmdb", {"192.88.98.0/24": {"asn": 64501, "country": "FR"}}, kind="Better")
    when = {"timestamp": "2027-01-01T00:00:00Z"}
    load(event("10:00:00Z", "192.88.98.1", CONNECT) | when, options=("--mmdb", first))
    held = rows(engine)[0]

    load(event("10:00:01Z", "192.88.98.1") | {"timestamp": "2027-01-02T00:00:00Z"}, options=("--mmdb", second))

    row = rows(engine)[0]
    assert {name: row[name] for name in row if name.startswith("snapshot")} == {
        name: held[name] for name in held if name.startswith("snapshot")
    }


def test_the_attacker_could_choose_the_address(load: Load, engine: Engine) -> None:
    """Older Cowries log the originator that a forwarding client claims as src_ip."""
    load(event("10:00:00Z", "127.0.0.1", FORWARD), event("10:00:05Z", GOOGLE))

    assert rows(engine)[0]["source_ip"] == GOOGLE


def test_five_places_had_five_definitions_of_the_address(load: Load, engine: Engine, run: Run) -> None:
    """Every command names the address that the row holds."""
    load(event("10:05:00Z", CLOUDFLARE), event("10:06:00Z", GOOGLE, CONNECT))

    assert json.loads(run("explain", "a", "--format", "json")[1])["source_ip"] == rows(engine)[0]["source_ip"] == GOOGLE


def test_a_large_network_number_did_not_fit(load: Load, engine: Engine, tmp_path: Path) -> None:
    """AS4200000000 in a 32-bit column aborted the batch."""
    table = mmdb(tmp_path / "large.mmdb", {"8.8.8.0/24": {"asn": 4_200_000_000}})
    load(event("10:00:00Z", GOOGLE, CONNECT) | {"timestamp": "2027-01-01T00:00:00Z"}, options=("--mmdb", table))

    assert rows(engine)[0]["snapshot_asn"] == 4_200_000_000


def test_every_part_of_the_program_had_its_own_names_for_types() -> None:
    """cloud, hosting, tor_proxy; an unknown name is not a type."""
    words = ("cloud", "Hosting", "tor_proxy", "cellular", "unknown", "scanner")
    assert [IpType.named(word) for word in words] == [
        IpType.DATACENTER,
        IpType.DATACENTER,
        IpType.TOR,
        IpType.MOBILE,
        None,
        None,
    ]


def test_loading_again_doubled_the_counters(load: Load, engine: Engine) -> None:
    """Raw rows were distinguished, but their sums were added again."""
    lines = [event("10:00:00Z", kind=CONNECT), event("10:00:01Z"), event("10:00:02Z", kind="cowrie.login.failed")]
    for _ in range(3):
        load(*lines)
    load(*reversed(lines), event("10:00:03Z"))

    row = rows(engine)[0]
    assert (row["event_count"], row["command_count"], row["login_attempts"]) == (4, 2, 1)


@pytest.mark.parametrize("way", ["rename", "truncate", "delete"])
def test_rotation_lost_events(run: Run, engine: Engine, tmp_path: Path, way: str) -> None:
    """A shorter file in the place of a longer one was read from the old place on, or not at all."""
    path = tmp_path / "cowrie.json"
    parts = [
        [event(f"1{part}:{n // 60:02}:{n % 60:02}Z") for n in range(size)] for part, size in enumerate((100, 60, 10))
    ]
    texts = ["".join(json.dumps(line) + "\n" for line in part) for part in parts]
    path.write_text(texts[0])
    run("load", path)
    if way == "rename":
        path.rename(tmp_path / "cowrie.json.1")
    elif way == "delete":
        path.unlink()
    path.write_text(texts[1])
    run("load", path)
    with path.open("a") as file:
        file.write(texts[2])
    run("load", path)

    assert rows(engine)[0]["event_count"] == 170


def test_a_line_that_was_being_written_was_lost(run: Run, engine: Engine, tmp_path: Path) -> None:
    """Its beginning became a dead letter, and the rest was never read."""
    path, whole = tmp_path / "cowrie.json", json.dumps(event("10:00:00Z")) + "\n"
    for end in (10, 40, len(whole)):
        path.write_text(whole[:end])
        run("load", path)

    assert rows(engine)[0]["event_count"] == 1
    assert rows(engine, "SELECT * FROM dead_letters") == []


def test_a_dead_letter_was_stored_again_at_every_read(load: Load, engine: Engine) -> None:
    """And twice the first time."""
    assert "1 invalid line" in load("no json\n", event("10:00:00Z"))
    load("no json\n", event("10:00:00Z"))

    assert len(rows(engine, "SELECT * FROM dead_letters")) == 1


@pytest.mark.parametrize(
    "line",
    [
        event("10:00:00Z", "2001:4860:4860::8888", CONNECT),
        *(
            event("10:00:00Z", kind=f"cowrie.{name}")
            for name in ("client.size", "session.params", "log.open", "new.one")
        ),
        event("10:00:00Z", kind="cowrie.session.file_download", url="tftp://198.51.100.7/a", shasum="0" * 64),
        event("10:00:00Z", kind=FORWARD, dst_ip="mail.example.org", dst_port=25),
        event("10:00:00Z", kind="COW0001"),
    ],
)
def test_events_unknown_to_the_loader_became_dead_letters(load: Load, engine: Engine, line: dict[str, object]) -> None:
    """IPv6, two thirds of Cowrie's events, some URLs and host names; so did whole sessions."""
    load(line)

    assert rows(engine)[0]["event_count"] == 1
    assert rows(engine, "SELECT * FROM dead_letters") == []


def test_compressed_logs_were_skipped(run: Run, engine: Engine, tmp_path: Path) -> None:
    """All files that logrotate creates."""
    (tmp_path / "cowrie.json.1.gz").write_bytes(gzip.compress(json.dumps(event("10:00:00Z")).encode() + b"\n"))

    assert run("load", tmp_path)[0] == 0
    assert rows(engine)[0]["event_count"] == 1


def test_one_byte_of_invalid_utf_8_ended_the_load(run: Run, engine: Engine, tmp_path: Path) -> None:
    """An attacker types it; the event counts, and so do the later ones."""
    lines = [json.dumps(event(f"10:00:0{n}Z", input="?")).encode() + b"\n" for n in range(3)]
    (tmp_path / "cowrie.json").write_bytes(b"".join(lines).replace(b"?", b"\xff", 1))

    assert run("load", tmp_path / "cowrie.json")[0] == 0
    assert (rows(engine)[0]["event_count"], rows(engine)[0]["command_count"]) == (3, 3)


def test_one_address_had_several_texts(load: Load, engine: Engine) -> None:
    """Upper-case IPv6 and IPv4 in IPv6 did not find their facts."""
    load(
        event("10:00:00Z", "2001:4860:4860:0:0:0:0:8888".upper(), CONNECT),
        event("10:00:00Z", "::ffff:8.8.8.8", CONNECT, "b"),
    )

    assert [row["source_ip"] for row in rows(engine)] == ["2001:4860:4860::8888", GOOGLE]
    assert [row["snapshot_asn"] for row in rows(engine)] == [15169, 15169]


def test_an_address_that_was_a_number_ended_the_load(load: Load, engine: Engine) -> None:
    """A TypeError; the event counts, its address does not."""
    load(event("10:00:00Z", 134744072))

    assert (rows(engine)[0]["event_count"], rows(engine)[0]["snapshot_gap"]) == (1, "no_source_ip")


def test_times_with_and_without_a_zone_could_not_be_compared(load: Load, engine: Engine) -> None:
    """Also a TypeError that ended the load."""
    load(event("10:00:00Z"), event("11:00:00"), event("12:00:00+00:00"))

    assert rows(engine)[0]["event_count"] == 3


def test_the_time_zone_was_dropped(load: Load, engine: Engine) -> None:
    """02:00+02:00 was stored as 02:00."""
    load(event("02:00:00+02:00"))

    assert str(rows(engine)[0]["first_event_at"]).startswith("2026-11-02 00:00:00")


def test_an_older_part_did_not_lower_the_first_time_on_one_of_the_databases(load: Load, engine: Engine) -> None:
    """And a missing time corrupted the last one: the two databases had different rows."""
    load(event("10:00:00Z"))
    load(event("09:00:00Z"), {"session": "a", "eventid": INPUT}, event("11:00:00Z"))

    row = rows(engine)[0]
    assert (str(row["first_event_at"])[11:16], str(row["last_event_at"])[11:16]) == ("09:00", "11:00")
    assert rows(engine, "SELECT reason FROM dead_letters") == [{"reason": "no_time"}]


def test_values_missing_in_a_later_part_were_lost(load: Load, engine: Engine) -> None:
    """Flags turned back to false, and lists were replaced by those of the last batch."""
    load(event("10:00:00Z", sensor="trap"))
    load(event("10:01:00Z"))

    assert rows(engine)[0]["matcher"] == "trap"


def test_the_counts_of_a_load_were_negative(load: Load) -> None:
    """A driver's row count of -1 was added up: -1 inserted, 11 duplicates of 10 rows."""
    lines = [event(f"10:00:{n:02}Z") for n in range(10)]

    assert "10 new events, 1 new session" in load(*lines)
    assert "Nothing new" in load(*lines)


def test_a_pattern_with_a_sensor_read_nothing(run: Run, engine: Engine, tmp_path: Path) -> None:
    """The pattern was passed on unexpanded."""
    (tmp_path / "cowrie.json").write_text(json.dumps(event("10:00:00Z")) + "\n")

    run("load", tmp_path / "cowrie.js*", "--sensor", "trap")

    assert rows(engine)[0]["matcher"] == "trap"


def test_uploads_counted_as_downloads_and_failed_commands_as_commands(load: Load, engine: Engine) -> None:
    """The kind of an event was derived from parts of its name."""
    load(event("10:00:00Z", kind="cowrie.session.file_upload"), event("10:00:01Z", kind="cowrie.command.failed"))

    row = rows(engine)[0]
    assert (row["event_count"], row["file_downloads"], row["command_count"]) == (2, 0, 0)


def test_a_duplicate_dead_letter_rolled_back_the_events_of_its_batch(load: Load, engine: Engine) -> None:
    """An insert that failed rolled back everything in its transaction."""
    load("no json\n", event("10:00:00Z"))
    load("no json\n", event("10:00:00Z"), "no json either\n", event("10:00:01Z"))

    assert rows(engine)[0]["event_count"] == 2
    assert len(rows(engine, "SELECT * FROM dead_letters")) == 2


def test_every_run_read_the_whole_file_again(run: Run, engine: Engine, tmp_path: Path) -> None:
    """The position was a line number, so each poll read the whole file."""
    path = tmp_path / "cowrie.json"
    path.write_text(json.dumps(event("10:00:00Z")) + "\n")
    run("load", path)
    with path.open("a") as file:
        file.write(json.dumps(event("10:00:01Z")) + "\n")

    assert "Read 1 line in 1 source: 1 new event" in run("load", path)[1]
    assert rows(engine)[0]["event_count"] == 2


def test_an_empty_file_became_a_dead_letter_each_time(run: Run, engine: Engine, tmp_path: Path) -> None:
    """It has no line."""
    (tmp_path / "cowrie.json").write_text("")

    assert run("load", tmp_path / "cowrie.json")[0] == 0
    assert rows(engine, "SELECT * FROM dead_letters") == []


def test_the_migrations_failed_on_a_new_server_and_from_the_previous_version(run: Run, engine: Engine) -> None:
    """And created no tables."""
    assert engine is not None
    assert run("migrate", "--to", "0001")[0] == 0
    assert run("migrate")[0] == 0
    assert run("load", NEW)[0] == 0


def test_reports_failed_on_one_of_the_databases(load: Load, run: Run) -> None:
    """They summed booleans, compared them to numbers, and read nothing of the snapshots."""
    load(event("10:00:00Z", GOOGLE, CONNECT))

    report = json.loads(run("report", "--format", "json")[1])
    assert report["networks"][0]["asn"] == 15169
    assert run("verify", "--target", "100")[0] == 0


def test_an_address_pointed_to_a_network_that_was_not_there(load: Load, engine: Engine, tmp_path: Path) -> None:
    """The foreign key was checked on one database and not on the other."""
    table = mmdb(tmp_path / "nameless.mmdb", {"192.88.98.0/24": {"asn": 64500}})
    load(event("10:00:00Z", "192.88.98.1", CONNECT) | {"timestamp": "2027-01-01T00:00:00Z"}, options=("--mmdb", table))

    assert rows(engine, "SELECT asn_number FROM known_networks WHERE asn_number = 64500") == [{"asn_number": 64500}]
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA foreign_keys = ON"))
        with pytest.raises(DatabaseError, match=r"(?i)foreign key"):
            connection.execute(text("DELETE FROM known_addresses"))
