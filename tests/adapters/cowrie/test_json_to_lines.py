"""Events in JSON arrays and exports are read like events on lines."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from io import BufferedReader, BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.cowrie.files.line_reader import ReadLimits
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.byte_streams import PeekableStream
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.json_to_lines import DEEPEST, LONGEST_JUNK, JsonLines, is_json_document
from snapshots.app.ports.log_source import BadLine, Layout, LineOptions, LogEvent, Reason

EVENTS = [
    {"eventid": f"cowrie.{name}", "session": f"{n:012x}", "timestamp": f"2026-03-01T12:00:0{n}Z", "input": text}
    for n, (name, text) in enumerate([("session.connect", "{["), ("command.input", '"]}\\'), ("x", "é\n\t")])
]


def compact(events: list[dict[str, str]]) -> bytes:
    return b"".join(json.dumps(e, separators=(",", ":")).encode() + b"\n" for e in events)


def hits(events: list[dict[str, str]]) -> bytes:
    return json.dumps({"took": 1, "hits": {"total": 3, "hits": [{"_id": "x", "_source": e} for e in events]}}).encode()


FORMS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    "array": lambda events: json.dumps(events).encode(),
    "pretty array": lambda events: json.dumps(events, indent=4).encode(),
    "pretty events": lambda events: "\n".join(json.dumps(e, indent=2) for e in events).encode(),
    "windows": lambda events: json.dumps(events, indent=2).replace("\n", "\r\n").encode("utf-8-sig"),
    "elasticdump": lambda events: b"\n".join(json.dumps({"_index": "c", "_source": e}).encode() for e in events),
    "search": hits,
    "pretty search": lambda events: json.dumps(json.loads(hits(events)), indent=2).encode(),
    "several searches": lambda events: json.dumps({"responses": [json.loads(hits(events))]}).encode(),
    "raw letters": lambda events: json.dumps(events, ensure_ascii=False).encode(),
    "from the brace on": lambda events: "\n".join(json.dumps(e).replace(", ", ",\n") for e in events).encode(),
    "array of hits": lambda events: json.dumps([{"_source": e} for e in events], indent=1).encode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_every_json_layout_yields_the_same_events_as_lines(
    form: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """So an event counts once, whether it is read from Cowrie's log or from an export of it."""
    log, export = tmp_path / "cowrie.json", tmp_path / "export.json"
    log.write_bytes(compact(EVENTS))
    export.write_bytes(compress(FORMS[form](EVENTS)))

    content = LogContent(export, LineDecoder())

    assert list(content.lines()) == list(LogContent(log, LineDecoder()).lines())
    assert len(list(content.lines())) == len(EVENTS)
    assert content.head
    assert content.is_plain == (form == "elasticdump" and compress is bytes)


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"\n",
        compact(EVENTS),
        b"garbage",
        b'{"a": "\\"_source\\""}\n',
        b'{"username":"_source","password":"hits"}\n',
        b'{"username":"x","_source":"filebeat"}\n',
        b"{}",
        b'{"a": ' * 1000,
        b'{"a": "' + b"\\" * 5000,
        b"{" + b'"a":{},' * 2000,
        b'[cowrie] CMD: {"eventid":"cowrie.x"}\n',
    ],
)
def test_a_log_of_cowrie_is_read_by_lines(beginning: bytes) -> None:
    """Even if an attacker types text that resembles an envelope."""
    assert not is_json_document(beginning)


def test_the_layout_can_be_set_by_an_option(tmp_path: Path) -> None:
    """For files whose beginning does not show it."""
    path = tmp_path / "odd.json"
    path.write_bytes(compact(EVENTS[:1]) + FORMS["pretty array"](EVENTS[1:]))

    as_json = LogContent(path, LineDecoder(LineOptions(layout=Layout.JSON)))
    as_lines = LogContent(path, LineDecoder(LineOptions(layout=Layout.LINES)))

    assert [type(line) for line in as_json.lines()] == [LogEvent] * 3
    assert BadLine in {type(line) for line in as_lines.lines()}


def unfolded(text: bytes, *, longest: int = 1000, size: int = 7) -> list[bytes]:
    stream = JsonLines(BufferedReader(BytesIO(text)), longest)
    assert stream.readable()
    found = b""
    while chunk := stream.read1(size):
        found += chunk
    return found.splitlines()


def test_text_between_events_is_not_lost() -> None:
    """It becomes a line of its own, which is not an event."""
    assert unfolded(b'[oops {"a": 1}, what\nelse {"b": 2} "x"] end') == [
        b"oops",
        b'{"a":1}',
        b"what else",
        b'{"b":2}',
        b'"x"] end',
    ]


WHOLE = '{"a":"x","b":{"c":1},"d":"yz"}'


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
@pytest.mark.parametrize("between", ["\n", ",\n", "\n,\n  "])
def test_a_truncated_event_does_not_lose_other_events(cut: int, between: str) -> None:
    """After a power failure the next event begins anywhere."""
    lines = unfolded(f'[{WHOLE[:cut]}{between}{{"b":2}}{between}{{"c":3}}]'.encode())

    takes_one = WHOLE[cut - 1] == ":" and between == "\n"  # there it may well belong to what was cut
    assert lines[1:] == [b'{"c":3}'] if takes_one else lines[1:] == [b'{"b":2}', b'{"c":3}']
    assert lines[0].startswith(WHOLE[:cut].rstrip(",").encode())


def test_a_large_search_response_is_read_hit_by_hit() -> None:
    """However long it is; text between the hits that is not an event is not lost."""
    found = [{"_source": {"n": n, "t": "x" * 50}} for n in range(100)]
    broken = [*found, {"fields": 1}, None, {"_source": "text"}, {"_source": {"n": "\ud800"}}, found[0]]
    text = json.dumps({"took": 1, "hits": {"max": 2, "hits": broken}, "aggregations": {"a": {"b": 1}}}).encode()

    lines = unfolded(text, longest=200)

    assert [json.loads(line)["_source"]["n"] for line in lines[:100]] == list(range(100))
    assert lines[100:] == [
        b'{"fields":1}',
        b"null",
        b'{"_source":"text"}',
        b'{"_source":{"n":"\\ud800"}}',
        lines[0],
        b'"aggregations":',
        b'{"a":{"b":1}}',
    ]
    assert unfolded(text[:3000], longest=200)[:-1] == lines[: len(unfolded(text[:3000], longest=200)) - 1]


def test_a_pipe_that_is_written_byte_by_byte_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write may be a single brace."""
    text = FORMS["pretty events"](EVENTS)
    stdin = repeated((text[:1], 1), (text[1:], 1))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))

    found = list(LogContent(None, LineDecoder()).lines())

    assert [type(line) for line in found] == [LogEvent] * 3


def repeated(*parts: tuple[bytes, int]) -> BufferedReader:
    """Return a stream of parts, each repeated, which is never in memory as a whole."""
    return cast(BufferedReader, PeekableStream(part for part, count in parts for _ in range(count)))


@pytest.mark.parametrize(
    "filler", [b"x" * 1000, b'","' + b"x" * 1000, b"\\n" + b"x" * 1000], ids=["one string", "strings", "escapes"]
)
def test_the_memory_for_a_long_element_is_bounded(filler: bytes) -> None:
    """Whatever it contains: ten megabytes of it take less than three, and the next event is read."""
    stream = repeated((b'[{"a": "', 1), (filler * (50_000 // len(filler)), 200), (b'"},\n{"b": 2}]', 1))
    lines = JsonLines(stream, 500_000)
    tracemalloc.start()
    try:
        end = b""
        while chunk := lines.read1(100_000):
            end = (end + chunk)[-100:]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert end.endswith(b'\n{"b":2}\n')
    assert peak < 3_000_000


def test_a_long_element_becomes_a_dead_letter_with_its_size(tmp_path: Path) -> None:
    """It is one bad line, and the events before and after it are read."""
    path = tmp_path / "export.json"
    long = b'{"input": "' + b"x" * 30_000 + b'", "list": [1, {"a": 2}]}'
    first, second = (json.dumps(event).encode() for event in EVENTS[:2])
    path.write_bytes(b"[" + first + b", " + long + b", " + second + b"]")

    found = list(LogContent(path, LineDecoder(), limits=ReadLimits(chunk=1000, line=20_000)).lines())

    assert [type(part) for part in found] == [LogEvent, BadLine, LogEvent]
    assert isinstance(found[1], BadLine)
    assert found[1].reason is Reason.TOO_LONG
    assert found[1].payload.startswith(b'{"input": "xxx')
    assert found[1].payload.endswith(b"x ... (%d bytes)" % len(long))


def test_an_element_nested_too_deeply_is_rejected() -> None:
    """The stack of its brackets is bounded too."""
    lines = unfolded(b'[{"a":' + b"[" * (DEEPEST + 5) + b'\n{"b": 2}]', longest=10**6, size=100_000)

    assert lines[-1] == b'{"b":2}'


def test_text_between_events_is_read_in_chunks() -> None:
    """However long it is."""
    junk = unfolded(b"[" + b"y" * (LONGEST_JUNK + 1) + b'\n{"b": 2}]', size=100_000)

    assert junk == [b"y" * (LONGEST_JUNK + 1), b'{"b":2}']


@pytest.mark.parametrize("end", ['", "b": [1, {"c": 2}]}', "\n", '", }{', '", "hits": [{"_source": 1}, '])
def test_a_long_element_may_end_in_every_way(end: str) -> None:
    """The next event is read, and the size is that of the element."""
    text = '{"a": "' + "x" * 2_000_000
    lines = unfolded(f'[{text}{end},{{"d": 1}}]'.encode(), longest=10_000, size=100_000)

    shown, _, size = lines[0].rpartition(b" ... ")
    assert text.encode().startswith(shown)
    assert len(text) <= int(size.strip(b"( bytes)")) <= len(text + end)
    assert b'{"d":1}' in lines[-1]


json_texts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=4)
    | st.sampled_from(['"', "\\", "{", "}]", "\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=5), json_texts, max_size=4), max_size=5), st.integers(0, 4), st.data())
def test_every_array_yields_its_events(events: list[dict[str, object]], indent: int, data: st.DataObject) -> None:
    """However it is indented, and wherever it is split into chunks."""
    text = json.dumps(events, indent=indent or None, ensure_ascii=data.draw(st.booleans())).encode()

    assert [json.loads(line) for line in unfolded(text, longest=10**6, size=data.draw(st.integers(1, 9)))] == events


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\\n a', max_size=40).map(str.encode))
def test_any_bytes_are_read_to_the_end(text: bytes) -> None:
    """Without an exception, and only separators of events are omitted."""
    kept = b"".join(unfolded(text))
    strip = bytes(set(b" \t\r\n\x0b\x0c\x00,[]{}"))

    assert kept.translate(None, strip) == text.translate(None, strip)


def test_the_end_of_an_incomplete_array_is_read_later(tmp_path: Path) -> None:
    """The file may still be copied; the complete events in it count."""
    path = tmp_path / "export.json"
    path.write_bytes(FORMS["pretty array"](EVENTS)[:-40])

    found = list(LogContent(path, LineDecoder()).lines())

    assert [type(line) for line in found] == [LogEvent, LogEvent, BadLine]
    assert isinstance(found[-1], BadLine)
    assert found[-1].reason is Reason.UNFINISHED_LINE
