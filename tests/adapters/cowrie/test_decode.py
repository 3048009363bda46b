"""Decoding one line of a log."""

import gzip
import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshots.adapters.cowrie.lines import decode as decode_module
from snapshots.adapters.cowrie.lines.byte_streams import BLANK
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.timestamps import moment, recorded_time
from snapshots.app.ports.log_source import LineOptions, LogEvent, Reason
from snapshots.domain.session.event_record import text_of_time
from snapshots.domain.session.session import EventKind, SessionEvent
from tests.mangle import LOGS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEARLY_A_TIME = r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9][.,][0-9]{5,7}Z"


def line(**fields: object) -> bytes:
    event = {"eventid": "cowrie.session.connect", "session": "ac7f13b8c0af", "timestamp": "2026-03-01T12:00:00.000000Z"}
    return json.dumps(event | fields).encode()


def ordinary(**fields: object) -> bytes:
    """Return a line as Cowrie writes it, without white space between the tokens."""
    return json.dumps(json.loads(line(**fields)), separators=(",", ":")).encode()


ODD = [
    ordinary(eventid="cowrie.login.failed", username="root", password="a"),
    ordinary(eventid="cowrie.login.success", username=["root"], password={"a": 1}),
    ordinary(eventid="cowrie.client.version", version="b'SSH-2.0-Go'"),
    ordinary(eventid="cowrie.session.file_download", shasum="ab" * 32, url="http://192.0.2.1/" + "a" * 2000),
    ordinary(eventid="cowrie.session.closed", duration="1.5"),
    ordinary(eventid="cowrie.command.input", input='echo "a": {"b":\n\udc80}'),
    ordinary(eventid="sip.call"),
    ordinary(eventid="cowrie." + "x" * 99),
    ordinary(session="a b"),
    ordinary(session="x" * 41),
    ordinary(session=""),
    ordinary(session=7),
    ordinary(timestamp="2026-02-30T12:00:00.000000Z"),
    ordinary(timestamp="2026-03-01T12:00:00.000000Z\n2026-03-01T12:00:00.000000Z"),
    ordinary(timestamp="2026-03-01T12:00:00.00000Z"),
    ordinary(timestamp="2026-03-01T12:00:00.000000+00:00"),
    ordinary(timestamp=""),
    ordinary(src_ip="::ffff:8.8.8.8", src_port=70_000),
    ordinary(src_ip="unknown", src_port="22"),
    ordinary(src_ip=None, src_port=22, sensor="\x00", uuid="u" * 999),
    ordinary(sensor="", uuid=""),
    ordinary() + ordinary(),
    b" " + ordinary(),
    ordinary() + b"\r",
    b"{}",
    b"{",
    b"}",
    b"",
    b"[]",
    ordinary()[:-1] + b',"a":"\x01"}',
    ordinary()[:-1] + b',"a":\xff}',
    ordinary()[:-1] + b',"a":{}',
    b',"a":[{}',
]
"""Lines that differ from what Cowrie writes, or that are no events; some only when others follow."""


def event_of(text: bytes, sensor: str | None = None) -> SessionEvent:
    decoded = LineDecoder(LineOptions(sensor=sensor)).decode(text)
    assert isinstance(decoded, LogEvent), decoded
    return decoded.event


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00.000000Z",
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.000000+0000",
        "2026-03-01T08:00:00.000000-0400",
        "2026-03-01T17:30:00+05:30",
        "2026-03-01 12:00:00",
        " 2026-03-01T12:00:00Z ",
        "2026-03-01T12:00:00.0000000001Z",
        1772366400,
        1772366400.0,
        1772366400000,
        "1772366400",
        "1772366400.0",
    ],
)
def test_every_timestamp_format_is_read(text: object) -> None:
    """The formats of Cowrie, of its older versions and of common tools."""
    assert moment(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        None,
        True,
        "",
        "yesterday",
        "2026-03-01",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        1e300,
        float("nan"),
        "9" * 400,
        [],
        {},
    ],
)
def test_an_invalid_timestamp_is_rejected(text: object) -> None:
    """A date without a time, and times outside the range of the calendar."""
    assert moment(text) is None


@given(st.datetimes(timezones=st.timezones()))
def test_any_iso_8601_text_keeps_its_time(at: datetime) -> None:
    """To the microsecond, in any zone."""
    try:
        expected = at.astimezone(UTC)
    except OverflowError:
        return
    if at.utcoffset() is not None and at.utcoffset().total_seconds() % 60:  # type: ignore[union-attr]  # checked
        return
    assert moment(at.isoformat()) == expected


@given(st.datetimes(timezones=st.just(UTC)).map(text_of_time) | st.from_regex(NEARLY_A_TIME, fullmatch=True))
@example("2026-W01-1T00:00:00.000000Z")
@example("2026-03-01T24:00:00.000000Z")
@example("2026-03-01T12:00:00,000000Z")
@example("2026-02-30T12:00:00.000000Z")
@example("0000-01-01T00:00:00.000000Z")
@example("٢٠٢٦-03-01T12:00:00.000000Z")
@example("2026-03-01T12:00:00.000000Z\n")
def test_a_time_is_recorded_as_it_is_parsed(text: str) -> None:
    """A text in the form of records is taken as it is only if it is the text of that time."""
    at = moment(text)

    assert recorded_time(text) == (text_of_time(at) if at is not None else None)


@pytest.mark.parametrize(
    ("eventid", "kind"),
    [
        ("cowrie.session.connect", EventKind.CONNECT),
        ("cowrie.command.input", EventKind.COMMAND),
        ("cowrie.command.failed", EventKind.OTHER),
        ("cowrie.login.success", EventKind.LOGIN),
        ("cowrie.login.failed", EventKind.LOGIN),
        ("cowrie.session.file_download", EventKind.DOWNLOAD),
        ("cowrie.session.file_download.failed", EventKind.OTHER),
        ("cowrie.session.file_upload", EventKind.UPLOAD),
        ("cowrie.direct-tcpip.request", EventKind.FORWARD),
        ("cowrie.direct-tcpip.ja4h", EventKind.FORWARD),
        ("KIPP0001", EventKind.OTHER),
        ("COW0001", EventKind.OTHER),
        ("cowrie.of.a.later.version", EventKind.OTHER),
    ],
)
def test_an_event_has_the_kind_of_its_event_id(eventid: str, kind: EventKind) -> None:
    """An upload is not a download, and a failed command is not a command; unknown events are stored too."""
    assert event_of(line(eventid=eventid)).kind is kind


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b"plain text", Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b"[]", Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
        (b'"text"', Reason.NOT_AN_OBJECT),
        (b"{}", Reason.NOT_COWRIE),
        (line(session=None), Reason.NO_SESSION),
        (line(session=""), Reason.NO_SESSION),
        (line(session="  "), Reason.NO_SESSION),
        (line(session=17), Reason.NO_SESSION),
        (line(session=["a"]), Reason.NO_SESSION),
        (line(timestamp=None), Reason.NO_TIME),
        (line(timestamp="soon"), Reason.NO_TIME),
        (b'{"session": "a", "eventid": "cowrie.x"}', Reason.NO_TIME),
    ],
)
def test_a_line_that_is_not_an_event_is_rejected_with_a_reason(text: bytes, reason: Reason) -> None:
    """The dead letter stores the reason."""
    assert LineDecoder().decode(text) is reason


OTHERS = (
    {"eventid": "adbhoney.session.connect", "src_ip": "8.8.8.8", "src_port": 1, "sensor": "tpot"},
    {"eventid": "elasticpot.recon", "src_ip": "8.8.8.8", "dst_port": 9200},
    {"eventid": "dionaea.connection.tcp.accept", "connection": {"protocol": "smbd"}, "src_ip": "8.8.8.8"},
    {"eventid": "Cowrie.session.connect", "src_ip": "8.8.8.8"},
    {"eventid": "cowrie", "src_ip": "8.8.8.8"},
    {"eventid": "not.cowrie.session.connect", "src_ip": "8.8.8.8"},
    {"eventid": "COW1", "src_ip": "8.8.8.8"},
    {"eventid": "COW00012", "src_ip": "8.8.8.8"},
    {"eventid": "", "src_ip": "8.8.8.8"},
    {"eventid": None, "src_ip": "8.8.8.8"},
    {"eventid": 7, "src_ip": "8.8.8.8"},
    {"event_type": "alert", "src_ip": "8.8.8.8", "flow_id": 1},
    {"session_id": "aa", "protocol": "ftp", "source_ip": "8.8.8.8", "auth_attempts": []},
)


@pytest.mark.parametrize("event", OTHERS, ids=str)
@pytest.mark.parametrize("more", [{}, {"src_port": "1"}, {"note": "\ud800"}], ids=str)
def test_an_event_of_another_honeypot_is_not_an_event(event: dict[str, object], more: dict[str, object]) -> None:
    """Its log is in the same folder and also has session and timestamp; it must not count as attacks on Cowrie."""
    shared = {"session": "a1b2c3d4e5f6", "timestamp": "2026-03-01T12:00:00Z"}

    assert LineDecoder().decode(json.dumps(shared | event | more).encode()) is Reason.NOT_COWRIE


def test_a_connect_event_has_address_port_and_sensor() -> None:
    """Including the UUID of the sensor."""
    event = event_of(line(src_ip="::ffff:8.8.8.8", src_port=4711, sensor="pot", uuid="u-1"))

    assert event.address is not None
    assert (event.at, event.address.text, event.port) == (NOON, "8.8.8.8", 4711)
    assert (event.sensor, event.sensor_id) == ("pot", "u-1")


def test_the_port_is_taken_from_a_connect_only() -> None:
    """A forwarding client claims its own."""
    assert event_of(line(eventid="cowrie.direct-tcpip.request", src_port=1)).port is None


@pytest.mark.parametrize("port", [-1, 65536, "x", None, 1.5, True])
def test_an_invalid_port_is_ignored(port: object) -> None:
    """The event is stored without it."""
    assert event_of(line(src_port=port)).port is None


def test_a_port_in_quotes_is_a_port() -> None:
    """Some tools quote every value."""
    assert event_of(line(src_port="22")).port == 22


@pytest.mark.parametrize("address", ["", "localhost", 17, None, ["8.8.8.8"], "1.2.3.4, 5.6.7.8"])
def test_an_invalid_address_is_ignored(address: object) -> None:
    """The event is stored without it."""
    assert event_of(line(src_ip=address)).address is None


def test_oversized_values_are_not_cached() -> None:
    """A megabyte in the address field of every line would fill the memory."""
    decode_module._canonical.cache_clear()

    for n in range(9):
        assert event_of(line(src_ip=f"{n}" * 1_000_000)).address is None

    assert decode_module._canonical.cache_info().currsize == 0
    assert event_of(line(sensor="x" * 1_000_000)).sensor == "x" * 255


@pytest.mark.parametrize("sensor", ["", None, 17, {"a": 1}])
def test_an_invalid_sensor_name_is_ignored(sensor: object) -> None:
    """Real logs contain empty names."""
    assert event_of(line(sensor=sensor)).sensor is None


def test_the_operator_may_name_the_sensor() -> None:
    """In a container, the log has the name of the container."""
    assert event_of(line(sensor="920497a79896"), sensor="pot").sensor == "pot"


def test_equal_lines_have_equal_fingerprints() -> None:
    """In any file and under any sensor name; other lines have other fingerprints."""
    assert event_of(line()).fingerprint == event_of(line(), sensor="pot").fingerprint
    assert event_of(line()).fingerprint != event_of(line(message="")).fingerprint


@pytest.mark.parametrize(
    "text",
    [
        b'{"eventid":"cowrie.x","session":"a","timestamp":"2026-03-01T12:00:00Z","input":"\xff\xfe"}',
        b'{"eventid":"cowrie.x","session":"a","timestamp":"2026-03-01T12:00:00Z","input":"\\ud800"}',
        b'{"eventid":"cowrie.x","session":"a","timestamp":"2026-03-01T12:00:00Z","x":NaN}',
        b'{"eventid":"cowrie.x","session":"a","timestamp":"2026-03-01T12:00:00Z","src_port":' + b"9" * 30 + b"}",
        b'{"eventid":"cowrie.x","session":"a","session":"b","timestamp":"2026-03-01T12:00:00Z"}',
    ],
)
def test_odd_input_of_an_attacker_does_not_lose_the_event(text: bytes) -> None:
    """Invalid UTF-8, lone surrogates, and numbers out of range."""
    assert event_of(text).at == NOON


@pytest.mark.parametrize(
    ("session", "stored"),
    [
        ("ac7f13b8c0af", "ac7f13b8c0af"),
        ("a\x00b", "a\ufffdb"),
        ("a\ud800", "a\ufffd"),
        (" a ", "a"),
        ("x" * 40, "x" * 40),
    ],
)
def test_a_session_id_is_cleaned_for_both_databases(session: str, stored: str) -> None:
    """Once, when the line is decoded."""
    decoded = LineDecoder().decode(line(session=session))
    assert isinstance(decoded, LogEvent)
    assert decoded.logged_id == stored


@pytest.mark.parametrize("session", ["x" * 41, "y" * 100_000, "a~b", "a~0123456789ab"])
def test_an_ambiguous_session_id_gets_a_hash_of_its_own(session: str) -> None:
    """It is too long for the column, or contains the character that qualifies reused IDs."""
    decoded = LineDecoder().decode(line(session=session))
    again = LineDecoder().decode(line(session=session + "z"))

    assert isinstance(decoded, LogEvent)
    assert isinstance(again, LogEvent)
    assert len(decoded.logged_id) <= 40
    assert decoded.logged_id.rpartition("~")[2].isalnum()
    assert len(decoded.logged_id.rpartition("~")[2]) == 16
    assert decoded.logged_id != again.logged_id


@given(st.binary(max_size=60))
def test_no_bytes_raise_an_error(text: bytes) -> None:
    """Every byte of a log was chosen by an attacker."""
    assert isinstance(LineDecoder().decode(text), Reason)


FIELDS = ("session", "timestamp", "eventid", "src_ip", "src_port", "sensor", "uuid", "message")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(FIELDS, json_values),
    )
)
def test_values_of_any_type_raise_no_error(fields: dict[str, object]) -> None:
    """Every field may have any JSON type."""
    assert isinstance(LineDecoder().decode(line(**fields)), LogEvent | Reason)


def test_white_space_does_not_change_the_fingerprint_of_a_line() -> None:
    """Some versions of Cowrie wrote it, others did not; an export of such a log has none."""
    fields = {
        "eventid": "cowrie.x",
        "session": "a",
        "timestamp": "2026-03-01T12:00:00Z",
        "input": 'x": 1',
        "list": [1, 2],
    }
    loose, tight = json.dumps(fields).encode(), json.dumps(fields, separators=(",", ":")).encode()

    assert event_of(loose).fingerprint == event_of(tight).fingerprint
    assert event_of(loose).fingerprint != event_of(loose.replace(b"x", b"y")).fingerprint
    assert event_of(line().replace(b"{", b'{"n": NaN, ')).fingerprint


@pytest.mark.parametrize("address", ["0.0.0.0", "::ffff:0.0.0.0"])
def test_the_unspecified_address_is_ignored(address: str) -> None:
    """Some writers use it for an unknown address; counting it would break the totals per address."""
    assert event_of(line(src_ip=address)).address is None


@pytest.mark.parametrize("number", range(len(ODD)))
@pytest.mark.parametrize("options", [LineOptions(), LineOptions(sensor="trap", keeps_passwords=True, keeps_lines=True)])
def test_lines_decoded_together_are_the_events_of_each(number: int, options: LineOptions) -> None:
    """The same values, however odd; and none at all if a line among them is not an event as it stands."""
    decoder = LineDecoder(options)
    for odd in ([ODD[number]], [ODD[number], ODD[number - 1]], [line(), ODD[number]]):
        lines = [ordinary(), *odd, ordinary(session="b")]

        together = decoder.decode_together(lines)

        if together is not None:
            assert [*together.one_by_one()] == [decoder.decode(each.strip(BLANK)) for each in lines]


def test_the_lines_of_a_real_log_are_decoded_together() -> None:
    """Otherwise a load takes longer, and nothing else shows it."""
    for log in LOGS:
        lines = gzip.decompress(log.read_bytes()).splitlines()
        together = LineDecoder().decode_together(lines)
        assert together is not None
        assert [*together.one_by_one()] == [*map(LineDecoder().decode, lines)]
