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


def kept(line: bytes, start: int = 7) -> list[bytes | None]:
    return [part.line for part in parts_of(DECODER, line, start) if isinstance(part, LogEvent)]


def letters(line: bytes, start: int = 7) -> list[tuple[bytes, int]]:
    found = parts_of(DECODER, line, start)
    return [(part.payload, part.offset) for part in found if isinstance(part, BadLine)]


A, B = event("a", username="x{y"), event("b", input='{"a')
SEPARATORS = [b"", b" ", b",", b", ", b"\r", b"\x1e", b"\x00", b"\r\n", b"],[", b"\x00\x00\x00"]


@pytest.mark.parametrize("between", SEPARATORS)
def test_glued_events_are_all_kept(between: bytes) -> None:
    """What separates them means nothing."""
    assert kept(between.join([A, B, A])) == [A, B, A]
    assert letters(between + between.join([A, B]) + between) == []


@pytest.mark.parametrize("cut", range(1, len(A)))
def test_an_event_behind_one_that_was_cut_is_kept(cut: int) -> None:
    """A process died, and the next one went on in the same line; what was cut is a dead letter in its place."""
    line = A[:cut] + B

    assert kept(line) == [B]
    assert letters(line) == [(A[:cut].strip(b" ,"), 7)]


@pytest.mark.parametrize("cut", range(1, len(B) - 1))
def test_an_event_behind_the_end_of_another_is_kept(cut: int) -> None:
    """A file whose beginning is lost; elsewhere no line begins so."""
    line = B[cut:] + b"," + A

    assert kept(line, start=0) == [A]
    assert kept(line, start=1) == ([] if line[:1] not in b'{,"' or cut > 1 else kept(line, start=1))


def test_a_shipper_may_stand_before_what_was_cut() -> None:
    """A container was restarted in the middle of a line."""
    assert kept(b"cowrie-1  | " + A[:30] + b"cowrie-1  | " + B) == [B]
    assert kept(b"cowrie-1  | " + A[:30] + B) == [B]


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
def test_what_is_whole_is_kept_wherever_events_are_cut(found: list[bytes], between: bytes, data: st.DataObject) -> None:
    """Each may lack its end, and the first its beginning; an event that somebody typed is none."""
    line, whole = b"", []
    for number, text in enumerate(found):
        cut = data.draw(st.integers(1, len(text)))
        start = data.draw(st.integers(0, len(text) - 1)) if number == 0 and cut == len(text) else 0
        line += text[start:cut] + between
        whole += [text] if (start, cut) == (0, len(text)) else []
    line = line.strip()
    assume(line)

    assert kept(line, start=0) == whole
    for _, one_more in pairwise([b"", *whole]):
        assert one_more in line


@given(st.lists(events, min_size=1, max_size=3), st.data())
def test_no_text_that_somebody_typed_becomes_an_event(found: list[bytes], data: st.DataObject) -> None:
    """However a line is cut at both of its ends, and whatever is lost in the middle."""
    line = b"".join(found)
    places = sorted(data.draw(st.lists(st.integers(0, len(line)), min_size=4, max_size=4)))
    line = line[places[0] : places[1]] + line[places[2] : places[3]]
    assume(line.strip())

    for start in (0, 1):
        assert not [text for text in kept(line.strip(), start) if text is not None and b'"forged"' in text[:99]]


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
def test_an_event_in_a_text_of_another_kind_is_not_believed(line: str, start: int) -> None:
    """Cowrie's log for people and other programs write what an attacker types as it is."""
    assert kept(line.format(FORGED).encode(), start) == []
    assert letters(line.format(FORGED).encode(), start) == [(line.format(FORGED).encode(), start)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":' * 100_000,
        b'{"a":[1,' * 100_000,
        b'{"' * 200_000,
        b'{"a":"x' + b'{"a":"' * 50_000,
    ],
)
def test_a_hostile_line_is_tried_a_bounded_number_of_times(line: bytes) -> None:
    """So an event behind it is lost; an honest line has nothing like it."""
    assert list(whole_objects(line + A)) == []


def test_lines_may_end_with_another_sign(tmp_path: Path) -> None:
    """Old Macs wrote carriage returns, RFC 7464 record separators; such a file may be longer than a line."""
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


def test_what_is_whole_in_an_unfinished_line_is_kept(tmp_path: Path) -> None:
    """Reading goes on behind it, when the rest was written."""
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
    """However long it is; some services write one event right behind the other."""
    events = [event(f"{number:x}", username="}{") for number in range(99)]
    path = tmp_path / "cowrie.json"
    path.write_bytes(b"".join(map(wrap, events)) + b"x" * 5000 + b"\n" + A)
    content = LogContent(path, DECODER, limits=ReadLimits(line=2000, glued=500, chunk=100))

    found = list(content.lines())

    assert [part.line for part in found if isinstance(part, LogEvent)] == [*events, A]
    assert [part.reason for part in found if isinstance(part, BadLine)] == [Reason.TOO_LONG]
    assert content.mark().offset == path.stat().st_size


def test_a_long_envelope_is_taken_as_a_whole(tmp_path: Path) -> None:
    """An object in it that is no event does not end it."""
    values = [[str(number), event(f"{number:x}").decode()] for number in range(9)]
    path = tmp_path / "loki.json"
    path.write_text(json.dumps({"stream": {"job": "c"}, "values": values}) + "\n")

    content = LogContent(path, DECODER, limits=ReadLimits(glued=50, chunk=100))

    assert len([part for part in content.lines() if isinstance(part, LogEvent)]) == 9


def test_the_objects_of_a_line_are_not_held_at_once() -> None:
    """An export of thousands of lines may stand in one text: each object is let go of before the next."""
    line = b'{"a": "b"}' * 50_000
    tracemalloc.start()
    try:
        found = sum(1 for _ in whole_objects(line))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found == 50_000
    assert peak < 10 * len(line)
