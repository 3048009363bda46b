"""The lines of files and streams."""

import bz2
import gzip
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.adapters.cowrie.files.line_reader import DEFAULT_LIMITS, LEAST_TOGETHER, ReadLimits
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.errors import SourceUnreadable
from snapshots.app.ports.log_source import BadLine, EventLines, Layout, LineOptions, LogEvent, Mark, Reason


def line(number: int, **fields: object) -> bytes:
    event = {
        "eventid": "cowrie.x",
        "session": f"s{number}",
        "timestamp": f"2026-03-01T12:00:{number % 60:02}Z",
        "number": number,
    }
    return json.dumps(event | fields).encode()


def ordinary(number: int) -> bytes:
    """Return a line as Cowrie writes it."""
    event = json.loads(line(number)) | {"timestamp": f"2026-03-01T12:00:{number % 60:02}.000000Z"}
    return json.dumps(event, separators=(",", ":")).encode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "cowrie.json"


def read(path: Path | None, limits: ReadLimits = DEFAULT_LIMITS) -> list[str | tuple[Reason, int]]:
    """Return the session of each event, and reason and offset of each bad line."""
    return [shown(found) for found in LogContent(path, LineDecoder(), limits=limits).lines()]


def shown(found: LogEvent | BadLine) -> str | tuple[Reason, int]:
    return (found.reason, found.offset) if isinstance(found, BadLine) else found.logged_id


def test_every_line_is_read_in_order(log: Path) -> None:
    """Unix and Windows ends of lines, and blank lines."""
    log.write_bytes(line(1) + b"\n\r\n  \n" + line(2) + b"\r\n" + line(3))

    assert read(log) == ["s1", "s2", "s3"]


pieces = st.one_of(
    st.integers(0, 99).map(lambda n: (line(n), 1, 0)),
    st.binary(max_size=12).map(lambda b: (b"x" + b.replace(b"\n", b"") + b"x", 0, 1)),
    st.sampled_from([b"{", b"[1]", b'{"session": "s", "timestamp": 7e99}', b'{"session": 1}', b'"']).map(
        lambda b: (b, 0, 1)
    ),
    st.sampled_from([b"", b" ", b"\r", b"\t"]).map(lambda b: (b, 0, 0)),
    st.tuples(st.integers(1, 9), st.integers(0, 99)).map(lambda t: (b"\x00" * t[0] + line(t[1]), 1, 1)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=12), st.booleans(), st.booleans(), st.integers(1, 40))
def test_every_line_is_an_event_or_a_dead_letter(
    log: Path, found: list[tuple[bytes, int, int]], is_ended: bool, is_compressed: bool, chunk: int
) -> None:
    """Whatever separates them, and wherever chunks end: no line is lost, and none is read twice."""
    # The first line decides that lines end with a newline: a log without any is split at other separators.
    content = b" \n" + b"\n".join(piece for piece, _, _ in found) + b"\n" * is_ended
    log.write_bytes(gzip.compress(content) if is_compressed else content)
    decoder = LineDecoder(LineOptions(layout=Layout.LINES))

    parts = list(LogContent(log, decoder, limits=ReadLimits(chunk=chunk)).lines())

    assert sum(isinstance(part, LogEvent) for part in parts) == sum(events for _, events, _ in found)
    assert sum(isinstance(part, BadLine) for part in parts) == sum(bad for _, _, bad in found)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(pieces.map(lambda piece: [piece[0]]) | st.integers(1, 40).map(lambda n: [*map(ordinary, range(n))])),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.booleans(),
    st.builds(ReadLimits, chunk=st.integers(1, 9999), together=st.integers(LEAST_TOGETHER, 25)),
)
def test_parts_are_the_lines_and_end_at_the_same_bookmarks(
    log: Path, found: list[list[bytes]], separator: bytes, is_ended: bool, limits: ReadLimits
) -> None:
    """Wherever ordinary lines begin and end among others."""
    log.write_bytes(separator.join(line for lines in found for line in lines) + separator * is_ended)
    content = LogContent(log, LineDecoder(), limits=limits)
    marks = [(part, content.mark()) for part in content.lines()]

    read: list[LogEvent | BadLine] = []
    for part in content.parts():
        read += part.one_by_one() if isinstance(part, EventLines) else [part]
        assert (read[-1], content.mark()) == marks[len(read) - 1]

    assert read == [part for part, _ in marks]


def test_an_empty_file_is_not_an_error(log: Path) -> None:
    """Rotation makes one every night."""
    log.write_bytes(b"")

    assert (read(log), LogContent(log, LineDecoder()).head) == ([], "")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_a_compressed_file_is_recognized_by_its_content(log: Path, compress: object) -> None:
    """Whatever its name is."""
    log.write_bytes(compress(line(1) + b"\n" + line(2) + b"\n"))  # type: ignore[operator]  # a function of bytes

    assert read(log) == ["s1", "s2"]


def test_several_compressed_parts_are_one_content(log: Path) -> None:
    """`cat a.gz b.gz` is a valid archive."""
    log.write_bytes(gzip.compress(line(1) + b"\n") + gzip.compress(line(2) + b"\n"))

    assert read(log) == ["s1", "s2"]


def test_the_offset_of_a_bad_line_is_its_position_in_the_content(log: Path) -> None:
    """It is counted in bytes of the decompressed content."""
    log.write_bytes(gzip.compress(line(1) + b"\nbad\n" + line(2)))

    assert read(log) == ["s1", (Reason.NOT_JSON, len(line(1)) + 1), "s2"]


def test_the_offset_of_a_bad_line_does_not_count_blanks_before_it(log: Path) -> None:
    """So it stays the same when an unfinished last line is completed, and its dead letter is replaced."""
    log.write_bytes(line(1) + b"\n  \tjunk" + line(2))
    unfinished = read(log)
    log.write_bytes(line(1) + b"\n  \tjunk" + line(2) + b"\n")

    assert unfinished == ["s1", (Reason.UNFINISHED_LINE, len(line(1)) + 4)]
    assert read(log) == ["s1", (Reason.NOT_JSON, len(line(1)) + 4)]


def test_an_event_after_a_block_of_nul_bytes_is_read(log: Path) -> None:
    """After a power failure: the block becomes a dead letter, the event after it does not."""
    log.write_bytes(line(1) + b"\n" + b"\x00" * 900 + line(2) + b"\n" + b"\x00" * 9 + b"\n" + b"\x00bad\n")

    assert [found for found in read(log) if isinstance(found, str)] == ["s1", "s2"]
    assert [found[0] for found in read(log) if isinstance(found, tuple)] == [Reason.NUL_BLOCK] * 3


def test_an_unfinished_last_line_is_read_again(log: Path) -> None:
    """The bookmark stays before it, so it is read again when it is complete."""
    log.write_bytes(line(1) + b"\n" + line(2)[:20])
    content = LogContent(log, LineDecoder())

    assert [shown(found) for found in content.lines()] == ["s1", (Reason.UNFINISHED_LINE, len(line(1)) + 1)]
    assert content.mark().offset == len(line(1)) + 1


@pytest.mark.parametrize("text", [b'{"rows": []}', b'["{}"]', b'"{}"', b'{"eventid": "cowrie.x", "session": "a"}'])
def test_a_complete_last_json_text_is_read_at_once(log: Path, text: bytes) -> None:
    """Exports end without a newline, and nothing can be added to them; a number may get more digits."""
    log.write_bytes(text)
    content = LogContent(log, LineDecoder(LineOptions(layout=Layout.LINES)))

    reasons = [found.reason for found in content.lines() if isinstance(found, BadLine)]

    assert len(reasons) == 1
    assert reasons[0] is not Reason.UNFINISHED_LINE
    assert content.mark().offset == len(text)
    log.write_bytes(b"2026")
    assert read(log) == [(Reason.UNFINISHED_LINE, 0)]


def test_a_complete_last_line_without_a_newline_counts(log: Path) -> None:
    """When its newline is written, the content is the same."""
    log.write_bytes(line(1))
    before = LogContent(log, LineDecoder())
    assert [shown(found) for found in before.lines()] == ["s1"]
    mark = before.mark()

    log.write_bytes(line(1) + b"\n" + line(2) + b"\n")
    after = LogContent(log, LineDecoder())

    assert after.head == before.head
    assert after.resume([mark]) == len(line(1))
    assert [shown(found) for found in after.lines()] == ["s2"]


def test_an_overlong_line_becomes_a_dead_letter(log: Path) -> None:
    """Memory is bounded, and the lines after it are read."""
    limits = ReadLimits(line=1000, chunk=300)
    long = b'{"x":"' + b"y" * 5000
    log.write_bytes(line(1) + b"\n" + long + b"\n" + line(2) + b"\n" + long)
    content = LogContent(log, LineDecoder(), limits=limits)

    found = [shown(part) for part in content.lines()]

    end = len(line(1)) + 1 + len(long) + 1
    assert found == ["s1", (Reason.TOO_LONG, len(line(1)) + 1), "s2", (Reason.TOO_LONG, end + len(line(2)) + 1)]
    assert content.mark().offset == log.stat().st_size
    again = LogContent(log, LineDecoder())
    assert (again.resume([content.mark()]), list(again.lines())) == (log.stat().st_size, [])


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_a_truncated_archive_is_read_up_to_the_damage(log: Path, compress: object) -> None:
    """And the damage is reported."""
    whole = compress(b"\n".join(line(n, noise=os.urandom(50).hex()) for n in range(9000)))  # type: ignore[operator]  # a function of bytes
    log.write_bytes(whole[: len(whole) * 9 // 10])

    found = read(log)

    assert found[:100] == [f"s{n}" for n in range(100)]
    assert isinstance(found[-1], tuple)
    assert found[-1][0] is Reason.UNFINISHED_FILE


def test_an_overlong_line_in_a_damaged_file_ends(log: Path) -> None:
    """Both faults at once."""
    whole = gzip.compress(b"{" + os.urandom(600_000).hex().encode())
    log.write_bytes(whole[: len(whole) // 2])

    assert (Reason.TOO_LONG, 0) in read(log, ReadLimits(line=1000))


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """With the reason, on one line."""
    with pytest.raises(SourceUnreadable, match=r"gone\.json cannot be read"):
        read(tmp_path / "gone.json")


def marks_after(path: Path, steps: Iterator[int]) -> list[Mark]:
    content = LogContent(path, LineDecoder())
    wanted = set(steps)
    return [content.mark() for number, _ in enumerate(content.lines(), 1) if number in wanted]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_reading_resumes_at_the_last_matching_bookmark(log: Path, compress: object) -> None:
    """Whether the content is plain or compressed."""
    content = b"".join(line(n) + b"\n" for n in range(10))
    log.write_bytes(content)
    marks = marks_after(log, iter([3, 6, 10]))
    log.write_bytes(compress(content[:-5] + b"OTHER" + line(11)))  # type: ignore[operator]  # a function of bytes
    changed = LogContent(log, LineDecoder())

    offset = changed.resume(marks)

    assert offset == marks[1].offset
    assert shown(next(iter(changed.lines()))) == "s6"


def test_an_older_copy_is_read_from_its_last_bookmark(log: Path) -> None:
    """It ends before the later bookmarks."""
    log.write_bytes(b"".join(line(n) + b"\n" for n in range(10)))
    marks = marks_after(log, iter([3, 10]))
    log.write_bytes(b"".join(line(n) + b"\n" for n in range(5)))
    older = LogContent(log, LineDecoder())

    assert older.resume(marks) == marks[0].offset
    assert [shown(found) for found in older.lines()] == ["s3", "s4"]


def test_a_damaged_archive_resumes_at_a_bookmark_before_the_damage(log: Path) -> None:
    """Later bookmarks cannot be reached."""
    content = b"".join(line(n, noise=os.urandom(50).hex()) + b"\n" for n in range(9000))
    log.write_bytes(content)
    marks = marks_after(log, iter([10, 9000]))
    log.write_bytes(gzip.compress(content)[:-200_000])

    damaged = LogContent(log, LineDecoder())

    assert damaged.resume(marks) == marks[0].offset
    assert shown(next(iter(list(damaged.lines())))) == "s10"


def test_contents_with_the_same_beginning_share_a_head(log: Path, tmp_path: Path) -> None:
    """The head is the content up to the first event."""
    other = tmp_path / "other.json"
    log.write_bytes(b"bad\n" + line(1) + b"\n" + line(2))
    other.write_bytes(b"bad\n" + line(1) + b"\n" + line(3))
    heads = {LogContent(path, LineDecoder()).head for path in (log, other)}
    other.write_bytes(b"worse\n" + line(1) + b"\n")

    assert len(heads) == 1
    assert LogContent(other, LineDecoder()).head not in heads | {""}


def test_a_content_without_an_event_has_no_head(log: Path) -> None:
    """So it is read from its beginning each time."""
    log.write_bytes(b"bad\n" * 50_000)

    assert LogContent(log, LineDecoder()).head == ""


def test_a_damaged_archive_has_a_head(log: Path) -> None:
    """Its beginning can be read."""
    log.write_bytes(gzip.compress(line(1) + b"\n" + os.urandom(9000).hex().encode())[:-4000])

    assert LogContent(log, LineDecoder()).head != ""


def test_standard_input_is_read_once_and_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream has no place to go back to."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(line(1) + b"\n"))))
    content = LogContent(None, LineDecoder())

    assert (content.name, content.head, content.size, content.first_event_at) == ("-", "", None, None)
    assert content.resume([]) == 0
    assert [shown(found) for found in content.lines()] == ["s1"]
    assert content.progress() == len(line(1)) + 1


def test_progress_is_in_bytes_of_the_file(log: Path) -> None:
    """A bar over compressed files is honest."""
    log.write_bytes(gzip.compress(b"".join(line(n) + b"\n" for n in range(10))))
    content = LogContent(log, LineDecoder())
    lines = content.lines()
    next(lines)

    assert content.size == log.stat().st_size
    assert 0 < content.progress() <= log.stat().st_size
    assert len(list(lines)) == 9
    assert content.progress() == log.stat().st_size


def test_lines_after_an_overlong_line_are_read(log: Path) -> None:
    """They once arrived in the same chunk, and were treated as one unfinished line."""
    log.write_bytes(b"x" * 1300 + b"\n" + line(1) + b"\n" + line(2) + b"\n")

    assert read(log, ReadLimits(line=1000, chunk=1200)) == [(Reason.TOO_LONG, 0), "s1", "s2"]


@pytest.mark.parametrize("size", [900, 1300, 5000])
def test_events_after_a_hole_of_nul_bytes_are_read(log: Path, size: int) -> None:
    """A file that was truncated while it was written begins with a hole of its former size."""
    limits = ReadLimits(line=1000, chunk=300)
    log.write_bytes(b"\x00" * size + line(1) + b"\n" + line(2) + b"\n")

    assert [found for found in read(log, limits) if isinstance(found, str)] == ["s1", "s2"]
    assert read(log, limits)[0] == (Reason.NUL_BLOCK, 0)


def test_a_bookmark_between_nul_bytes_and_an_event_does_not_skip_the_event(log: Path) -> None:
    """The process may die exactly there."""
    log.write_bytes(b"\x00" * 9 + line(1) + b"\n")
    content = LogContent(log, LineDecoder())
    lines = content.lines()

    assert isinstance(next(lines), BadLine)
    assert content.mark().offset == 0
    assert shown(next(lines)) == "s1"
    assert list(lines) == []
    assert content.mark().offset == log.stat().st_size


def test_a_last_event_after_nul_bytes_is_read_without_its_newline(log: Path) -> None:
    """A complete event does not need its newline."""
    log.write_bytes(b"\x00" * 9 + line(1))

    assert read(log) == [(Reason.NUL_BLOCK, 0), "s1"]


def test_a_byte_order_mark_is_not_part_of_the_first_line(log: Path) -> None:
    """Some editors write one."""
    log.write_bytes(b"\xef\xbb\xbf" + line(1) + b"\n")

    assert read(log) == ["s1"]


def test_blank_lines_cost_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty megabytes of newlines are twenty kilobytes of an archive."""
    log.write_bytes(b"\n" * 100_000)
    monkeypatch.setattr(LineDecoder, "decode", lambda *_: pytest.fail("a blank line was decoded"))

    assert list(LogContent(log, LineDecoder()).lines()) == []


def test_a_pipe_is_read_as_a_stream(tmp_path: Path) -> None:
    """It has a name, and no place to go back to."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = LogContent(pipe, LineDecoder())
    writer = Thread(target=pipe.write_bytes, args=(b"".join(line(n) + b"\n" for n in range(3)),))
    writer.start()
    lines = content.lines()

    assert shown(next(lines)) == "s0"
    assert content.progress() == len(line(0)) + 1
    assert (len(list(lines)), content.head, content.size) == (2, "", None)
    writer.join()


def test_a_file_has_a_modification_time(log: Path) -> None:
    """A stream and a folder have none."""
    log.write_bytes(line(1))
    os.utime(log, (0, 0))

    found = [LogContent(path, LineDecoder()).modified_at for path in (log, log.parent, log.with_name("gone"), None)]

    assert found == [datetime(1970, 1, 1, tzinfo=UTC), None, None, None]


def test_a_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`snapshots load - <&-`."""
    monkeypatch.setattr("sys.stdin", None)

    with pytest.raises(SourceUnreadable, match="standard input is closed"):
        read(None)


def test_a_file_name_with_invalid_utf_8_is_escaped() -> None:
    """A database accepts only valid text."""
    content = LogContent(Path(os.fsdecode(b"\xff.json")), LineDecoder())

    assert content.name == "\\xff.json"
    assert content.path is not None
