"""Lines that a container runtime split are read as the container wrote them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.cowrie.files.line_reader import ReadLimits
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.files.watch import FolderWatch
from snapshots.adapters.cowrie.lines import split_lines
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.ports.log_source import BadLine, LogEvent, Reason
from tests.adapters.cowrie.test_log_file import line

SPLIT = 16 * 1024
AT = "2026-10-15T10:00:00.123456789Z"

EVENTS = [line(0), line(1, input="x y " * 12_000), line(2), line(3, input="\u00fc\U0001f600 " * 9_000)]


def pieces(event: bytes, size: int) -> list[bytes]:
    return [event[at : at + size] for at in range(0, len(event), size)]


def cri(event: bytes, size: int = SPLIT, stream: str = "stdout") -> list[bytes]:
    *parts, last = pieces(event, size)
    head = f"{AT} {stream} ".encode()
    return [*(head + b"P " + part for part in parts), head + b"F " + last]


def docker(event: bytes, size: int = SPLIT, stream: str = "stdout") -> list[bytes]:
    return [
        json.dumps({"log": part.decode(), "stream": stream, "time": AT}, separators=(",", ":")).encode()
        for part in pieces(event + b"\n", size)
    ]


RUNTIMES: dict[str, Callable[..., list[bytes]]] = {"CRI": cri, "docker": docker}


def read(path: Path) -> list[LogEvent | BadLine]:
    return list(LogContent(path, LineDecoder()).lines())


def fingerprints(found: Sequence[LogEvent | BadLine]) -> list[int]:
    return [each.event.fingerprint for each in found if isinstance(each, LogEvent)]


def raw(events: Sequence[bytes]) -> list[int]:
    parts = [LineDecoder().decode(event) for event in events]
    return fingerprints([each for each in parts if isinstance(each, LogEvent)])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_split_event_is_the_event_of_the_raw_log(tmp_path: Path, runtime: str) -> None:
    """It has the same fingerprint, so the same log loaded from the file of Cowrie adds nothing."""
    path = tmp_path / "0.log"
    path.write_bytes(b"".join(part + b"\n" for event in EVENTS for part in RUNTIMES[runtime](event)))

    found = read(path)

    assert fingerprints(found) == raw(EVENTS)
    assert len(raw(EVENTS)) == len(found) == len(EVENTS)


@given(st.sampled_from(sorted(RUNTIMES)), st.integers(1, 90), st.integers(1, 90), st.data())
def test_a_log_can_be_resumed_at_every_bookmark(
    tmp_path_factory: pytest.TempPathFactory, runtime: str, size: int, cut: int, data: st.DataObject
) -> None:
    """Wherever lines are split, and whatever another stream wrote in between."""
    path = tmp_path_factory.mktemp("logs") / "0.log"
    events = [line(n, input="abc " * n) for n in range(5)]
    text = bytearray()
    for event in events:
        for part in RUNTIMES[runtime](event, size):
            text += part + b"\n"
            if data.draw(st.booleans()):
                text += RUNTIMES[runtime](b"a message", 99, "stderr")[0] + b"\n"
    path.write_bytes(text[: len(text) * cut // 90])
    first = LogContent(path, LineDecoder())
    found = list(first.lines())
    mark = first.mark()
    path.write_bytes(text)

    again = LogContent(path, LineDecoder())
    assert again.resume([mark]) == mark.offset
    assert {*fingerprints(found), *fingerprints(list(again.lines()))} == {*raw(events)}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_split_line_without_its_end_is_unfinished(tmp_path: Path, runtime: str) -> None:
    """The next load reads it again from its beginning."""
    path = tmp_path / "0.log"
    first, *_ = RUNTIMES[runtime](EVENTS[1])
    path.write_bytes(first + b"\n")
    content = LogContent(path, LineDecoder())

    (bad,) = content.lines()

    assert isinstance(bad, BadLine)
    assert (bad.reason, content.mark().offset) == (Reason.UNFINISHED_LINE, 0)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_follower_waits_for_the_end_of_a_split_line(tmp_path: Path, runtime: str) -> None:
    """As for the newline of any line."""
    path = tmp_path / "0.log"
    parts = [part + b"\n" for event in EVENTS for part in RUNTIMES[runtime](event)]
    watch = FolderWatch([str(path)], LineDecoder(), pytest.fail)
    found: list[LogEvent | BadLine] = []
    for part in parts:
        with path.open("ab") as file:
            file.write(part)
        for content in watch.changed():
            content.resume([])
            found += content.lines()
    watch.close()

    assert fingerprints(found) == raw(EVENTS)
    assert len(found) == len(EVENTS)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_event_after_text_without_a_newline_is_read(tmp_path: Path, runtime: str) -> None:
    """A prompt of another program in the container does not hide the event that follows it."""
    path = tmp_path / "0.log"
    prompt = RUNTIMES[runtime](b"login: ...", 9)[0]
    path.write_bytes(b"\n".join([prompt, *RUNTIMES[runtime](EVENTS[0]), b""]))

    assert fingerprints(read(path)) == raw(EVENTS[:1])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_memory_for_a_split_line_without_an_end_is_bounded(tmp_path: Path, runtime: str) -> None:
    """Beyond the limit its parts are separate lines, and the events after it are read."""
    path = tmp_path / "0.log"
    begun = RUNTIMES[runtime](line(9, input="z" * 3000), 2000)[0]
    path.write_bytes(b"\n".join([begun, *(EVENTS[0] for _ in range(9)), b""]))

    found = list(LogContent(path, LineDecoder(), limits=ReadLimits(joined=1000)).lines())

    assert {*fingerprints(found)} == {*raw(EVENTS[:1])}
    assert len(found) == 10


def test_a_line_that_only_resembles_a_record_is_not_one() -> None:
    """Docker writes JSON; a truncated line is not a record."""
    assert split_lines.part_of(b'{"log":"x') is None
    assert split_lines.part_of(b'{"log":1}') is None
    assert split_lines.part_of(b"2026-10-15 stdout P x") is None
