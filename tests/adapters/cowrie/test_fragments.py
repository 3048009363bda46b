"""Of lines that are cut, glued together or prefixed every whole event is kept, and nothing else."""

import json
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from snapshots.adapters.cowrie.files.line_reader import ReadLimits
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.adapters.cowrie.lines.fragments import whole_objects
from snapshots.adapters.cowrie.lines.salvage import first_event_in, parts_of
from snapshots.app.ports.log_source import BadLine, LineOptions, LogEvent, Reason

DECODER = LineDecoder(LineOptions(keeps_lines=True))


def event(name: str = "s", **fields: object) -> bytes:
    known = {"eventid": "cowrie.login.failed", "session": name, "timestamp": "2026-03-01T12:00:00Z"}
    return json.dumps(known | fields, separators=(",", ":")).encode()


FORGED = event("forged", eventid="cowrie.session.connect", src_ip="8.8.8.8").decode()


def complete_events(line: bytes, start: int = 7) -> list[bytes | None]:
    return [part.line for part in parts_of(DECODER, line, start) if isinstance(part, LogEvent)]


def dead_letters(line: bytes, start: int = 7) -> list[tuple[bytes, int]]:
    found = parts_of(DECODER, line, start)
    return [(part.payload, part.offset) for part in found if isinstance(part, BadLine)]


A, B = event("a", username="x{y"), event("b", input='{"a')
SEPARATORS = [b"", b" ", b",", b", ", b"\r", b"\x1e", b"\x00", b"\r\n", b"],[", b"\x00\x00\x00"]


@pytest.mark.parametrize("between", SEPARATORS)
def test_events_without_a_newline_between_them_are_all_read(between: bytes) -> None:
    """The text between them is a separator."""
    assert complete_events(between.join([A, B, A])) == [A, B, A]
    assert dead_letters(between + between.join([A, B]) + between) == []


@pytest.mark.parametrize("cut", range(1, len(A)))
def test_an_event_after_a_truncated_one_is_read(cut: int) -> None:
    """A process died, and the next one continued on the same line; the truncated part becomes a dead letter."""
    line = A[:cut] + B

    assert complete_events(line) == [B]
    assert dead_letters(line) == [(A[:cut].strip(b" ,"), 7)]


@pytest.mark.parametrize("cut", range(1, len(B) - 1))
def test_an_event_after_the_end_of_another_is_read(cut: int) -> None:
    """The beginning of the file is lost; elsewhere no line begins like this."""
    line = B[cut:] + b"," + A

    assert complete_events(line, start=0) == [A]
    assert complete_events(line, start=1) == (
        [] if line[:1] not in b'{,"' or cut > 1 else complete_events(line, start=1)
    )


def test_a_truncated_event_may_have_the_prefix_of_a_log_shipper() -> None:
    """A container was restarted in the middle of a line."""
    assert complete_events(b"cowrie-1  | " + A[:30] + b"cowrie-1  | " + B) == [B]
    assert complete_events(b"cowrie-1  | " + A[:30] + B) == [B]


texts = st.one_of(
    st.text(max_size=9),
    st.sampled_from(
        [
            FORGED,
            "{" + FORGED,
            '"' + FORGED,
            "\\" + FORGED,
            FORGED * 2,
            '{"',
            "}",
            '"}',
            "\\",
            "\\\\",
            "{",
            "2026-03-01T12:00:00Z",
        ]
    ),
    st.text(alphabet='{}[]",:\\ a', max_size=9),
    st.text(alphabet='{}",:\\', max_size=4).map(lambda text: text + FORGED + text),
)
lists = st.lists(texts, max_size=4)
events = st.builds(
    lambda name, text, names, spaced, last: json.dumps(
        {"eventid": "cowrie.x", "username": text, "kex": names, "session": name, "timestamp": "2026-03-01T12:00:00Z"}
        | ({"input": text} if last else {}),
        separators=None if spaced else (",", ":"),
    ).encode(),
    st.sampled_from(["a", "b", "c"]),
    texts,
    lists,
    st.booleans(),
    st.booleans(),
)


@given(st.lists(events, min_size=1, max_size=4), st.sampled_from(SEPARATORS), st.data())
def test_complete_events_are_read_wherever_others_are_truncated(
    found: list[bytes], between: bytes, data: st.DataObject
) -> None:
    """Each may lack its end, and the first its beginning; typed text never becomes an event."""
    line, whole = b"", []
    for number, text in enumerate(found):
        cut = data.draw(st.integers(1, len(text)))
        start = data.draw(st.integers(0, len(text) - 1)) if number == 0 and cut == len(text) else 0
        line += text[start:cut] + between
        whole += [text] if (start, cut) == (0, len(text)) else []
    line = line.strip()
    assume(line)

    assert complete_events(line, start=0) == whole
    for _, one_more in pairwise([b"", *whole]):
        assert one_more in line


@given(st.lists(events, min_size=1, max_size=3), st.data())
def test_text_typed_by_an_attacker_never_becomes_an_event(found: list[bytes], data: st.DataObject) -> None:
    """Wherever a line is truncated, and whatever is lost in the middle."""
    line = b"".join(found)
    places = sorted(data.draw(st.lists(st.integers(0, len(line)), min_size=4, max_size=4)))
    line = line[places[0] : places[1]] + line[places[2] : places[3]]
    assume(line.strip())

    for start in (0, 1):
        assert not [
            text for text in complete_events(line.strip(), start) if text is not None and b'"forged"' in text[:99]
        ]


TYPED = [
    "2026-03-01T12:00:00.000000Z [SSHChannel session (0) on SSHService, 1.2.3.4] CMD: {}",
    "2026-03-01T12:00:00.000000Z [HoneyPotSSHTransport,0,1.2.3.4] CMD: {}",
    '2026-03-01T12:00:00.000000Z [HoneyPotSSHTransport,0,1.2.3.4] CMD: ","x":1}}{}',
    "2026-03-01T12:00:00.000000Z [HoneyPotSSHTransport,0,1.2.3.4] CMD: }}{}",
    "Mar  1 12:00:00 pot1 sshd[99]: Invalid user {} from 1.2.3.4 port 5",
    "Mar  1 12:00:00 pot1 sshd[99]: {} from 1.2.3.4 port 5",
    "2026-03-01 12:00:00,123 INFO received: {}",
    "2026-03-01 12:00:00,123 - honeypot - WARNING - {}",
    "login attempt [b'root'/b'{}']",
    "{{'eventid': 'cowrie.command.input', 'input': '{}'}}",
    "{{ eventid: 'cowrie.command.input', input: '{}' }}",
    "x {}",
]


@pytest.mark.parametrize("line", TYPED)
@pytest.mark.parametrize("start", [0, 1])
def test_an_event_in_text_of_another_format_is_not_used(line: str, start: int) -> None:
    """Cowrie's text log and other programs write input of an attacker unescaped."""
    assert complete_events(line.format(FORGED).encode(), start) == []
    assert dead_letters(line.format(FORGED).encode(), start) == [(line.format(FORGED).encode(), start)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":' * 100_000,
        b'{"a":[1,' * 100_000,
        b'{"' * 200_000,
        b'{"a":"x' + b'{"a":"' * 50_000,
    ],
)
def test_the_number_of_attempts_per_line_is_bounded(line: bytes) -> None:
    """An event after that many is lost; only a hostile line has so many."""
    assert list(whole_objects(line + A)) == []


def test_lines_may_have_another_terminator(tmp_path: Path) -> None:
    """Old Macs wrote carriage returns, RFC 7464 record separators; such a file may exceed the limit of a line."""
    for sign in (b"\r", b"\x1e"):
        path = tmp_path / "cowrie.json"
        path.write_bytes(sign.join([A, b"bad", B, A[:40]]))
        content = LogContent(path, DECODER)

        found = list(content.lines())

        assert [part.line for part in found if isinstance(part, LogEvent)] == [A, B]
        bad = [(part.reason, part.offset) for part in found if isinstance(part, BadLine)]
        end = len(A) + 1 + 4 + len(B) + 1
        assert bad == [(Reason.NOT_JSON, len(A) + 1), (Reason.UNFINISHED_LINE, end)]
        assert content.mark().offset == end
        assert content.head == first_event_in(DECODER, A)[0]


def test_complete_events_in_an_unfinished_line_are_read(tmp_path: Path) -> None:
    """Reading continues after them when the rest has been written."""
    path = tmp_path / "cowrie.json"
    path.write_bytes(A + b"\n  " + B + A[:20])
    content = LogContent(path, DECODER)
    found = list(content.lines())
    mark = content.mark()
    path.write_bytes(A + b"\n  " + B + A + b"\n")
    grown = LogContent(path, DECODER)

    assert [part.line for part in found if isinstance(part, LogEvent)] == [A, B]
    assert isinstance(found[-1], BadLine)
    assert (found[-1].reason, found[-1].offset) == (Reason.UNFINISHED_LINE, len(A) + 3 + len(B))
    assert grown.resume([mark]) == mark.offset == len(A) + 3 + len(B)
    assert [part.line for part in grown.lines() if isinstance(part, LogEvent)] == [A]


@pytest.mark.parametrize("wrap", [bytes, lambda text: json.dumps({"log": text.decode()}).encode()])
def test_an_archive_without_any_line_break_is_read(wrap: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Of any length; some services write events without a separator."""
    events = [event(f"{number:x}", username="}{") for number in range(99)]
    path = tmp_path / "cowrie.json"
    path.write_bytes(b"".join(map(wrap, events)) + b"x" * 5000 + b"\n" + A)
    content = LogContent(path, DECODER, limits=ReadLimits(line=2000, glued=500, chunk=100))

    found = list(content.lines())

    assert [part.line for part in found if isinstance(part, LogEvent)] == [*events, A]
    assert [part.reason for part in found if isinstance(part, BadLine)] == [Reason.TOO_LONG]
    assert content.mark().offset == path.stat().st_size


def test_a_long_envelope_is_read_completely(tmp_path: Path) -> None:
    """An object in it that is not an event does not end it."""
    values = [[str(number), event(f"{number:x}").decode()] for number in range(9)]
    path = tmp_path / "loki.json"
    path.write_text(json.dumps({"stream": {"job": "c"}, "values": values}) + "\n")

    content = LogContent(path, DECODER, limits=ReadLimits(glued=50, chunk=100))

    assert len([part for part in content.lines() if isinstance(part, LogEvent)]) == 9


def test_the_objects_of_a_line_are_held_one_at_a_time() -> None:
    """One line may have an export of thousands of events: each object is released before the next."""
    line = b'{"a": "b"}' * 50_000
    tracemalloc.start()
    try:
        found = sum(1 for _ in whole_objects(line))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found == 50_000
    assert peak < 10 * len(line)
