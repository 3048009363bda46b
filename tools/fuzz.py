"""
Coverage-guided fuzzing of the log readers with atheris.

    sh run fuzz [-max_total_time=SECONDS] [FOLDER OF INPUTS]

Checked for every input: only SnapshotsError is raised; the events and bad lines of a line are disjoint, in order and
cover the line, and every complete object in it is used once; resuming at a bookmark gives the same events as reading
at once; and sessions contain every event once, whatever the batch size.
"""

import gzip
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["snapshots"]):
    from snapshots.adapters.cowrie.files.layers import ENCODINGS
    from snapshots.adapters.cowrie.files.line_reader import ReadLimits
    from snapshots.adapters.cowrie.files.log_file import LogContent
    from snapshots.adapters.cowrie.lines.byte_streams import BLANK, separator_of
    from snapshots.adapters.cowrie.lines.decode import LineDecoder
    from snapshots.adapters.cowrie.lines.envelope import events_in_object, events_in_row
    from snapshots.adapters.cowrie.lines.fragments import SEPARATORS, whole_objects
    from snapshots.adapters.cowrie.lines.salvage import BULK_ACTION, parts_of
    from snapshots.adapters.cowrie.lines.split_lines import is_split
    from snapshots.app.ports.log_source import BadLine, Layout, LineOptions, LogEvent, Mark, Reason
    from snapshots.domain.errors import SnapshotsError
    from snapshots.domain.session.session import SessionAggregate
    from snapshots.domain.session.session_id_reuse import tell_apart
    from snapshots.domain.session.summary import SessionSummary

LOG = Path(__file__).parent.parent / "src/snapshots/adapters/cli/data/cowrie.json.gz"
FILE = Path(tempfile.mkdtemp(prefix="snapshots-fuzz-")) / "cowrie.json"
KEEPING = LineDecoder(LineOptions(keeps_passwords=True, keeps_lines=True, layout=Layout.LINES))
OBJECT = re.compile(rb'\{\s*"')
Span = tuple[int, int]


def check(data: bytes) -> None:
    """Read the bytes in every way; an assertion or an error that is not a SnapshotsError is a finding."""
    form, data = data[:1], data[1:]
    packed = gzip.compress(data, 1)[: len(data) + 18] if form == b"z" else data
    FILE.write_bytes(packed)
    limits = ReadLimits(chunk=7 if form == b"c" else 65_536)
    if form == b"j":
        _fold(LogContent(FILE, LineDecoder(LineOptions(layout=Layout.AUTO)), limits=limits))
        return
    parts = _fold(LogContent(FILE, KEEPING, limits=limits))
    if parts is None or form == b"z" or data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")) or _is_transcoded(data):
        return  # the decompressed content is not known here
    _check_content(data, parts)
    _check_resume(parts, limits)


def _is_transcoded(data: bytes) -> bool:
    return any(encoding.match(data) is not None for _, encoding in ENCODINGS)


def _fold(content: LogContent) -> list[LogEvent | BadLine] | None:
    """Return the parts of a content after checking their sessions; None if the file is refused as a whole."""
    try:
        parts = list(content.lines())
    except SnapshotsError:
        return None
    events = [part for part in parts if isinstance(part, LogEvent)]
    sessions: dict[str, SessionAggregate] = {}
    for part in events:
        sessions.setdefault(part.logged_id, SessionAggregate.of(part.logged_id)).add(part.event)
    for aggregate in sessions.values():
        summary = aggregate.summary()
        assert summary.event_count == len(aggregate.events)
        assert summary.behaviour.merge(summary.behaviour) == summary.behaviour
    for batch_size in (1, 2, len(events)):
        _check_sessions(events, batch_size, sessions)
    return parts


def _check_sessions(events: list[LogEvent], batch_size: int, sessions: Mapping[str, SessionAggregate]) -> None:
    """Check that every event is in one session when the events are stored in batches."""
    stored: dict[str, dict[str, SessionSummary]] = {logged_id: {} for logged_id in sessions}
    for start in range(0, len(events), batch_size or 1):
        batch: dict[str, SessionAggregate] = {}
        for part in events[start : start + batch_size]:
            batch.setdefault(part.logged_id, SessionAggregate.of(part.logged_id)).add(part.event)
        for logged_id, logged in batch.items():
            own = stored[logged_id]
            found = [session.summary(logged_id) for session in tell_apart(logged, own.values())]
            assert len({new.session_id for new in found}) == len(found)
            for new in found:
                before = own.get(new.session_id)
                own[new.session_id] = new if before is None else before.merge(new)
    for logged_id, logged in sessions.items():
        own = stored[logged_id]
        assert {fingerprint for summary in own.values() for fingerprint in summary.fingerprints} == set(logged.events)
        assert sum(summary.event_count for summary in own.values()) == len(logged.events)
        assert tell_apart(logged, own.values()) == []


def _check_content(data: bytes, parts: list[LogEvent | BadLine]) -> None:
    """Check that the parts of the content are exactly the parts of its lines, in order."""
    separator = separator_of(data)
    lines = data.split(separator)
    if any(is_split(line) for line in lines):
        return  # joined across lines: tests/adapters/cowrie/test_split_lines.py
    expected: list[LogEvent | BadLine] = []
    start = 0
    for line in lines:
        text = line.strip(BLANK)
        if text:
            expected += _check_line(text, start + line.index(text))
        start += len(line) + 1
    if parts and isinstance(found := parts[-1], BadLine) and found.reason is Reason.UNFINISHED_LINE:
        assert isinstance(expected[-1], BadLine)
        expected[-1] = replace(expected[-1], reason=found.reason)
    assert parts == expected, (parts, expected)


def _check_line(line: bytes, start: int) -> list[LogEvent | BadLine]:
    """Check that the parts of a line are disjoint, in order and cover it, and return them."""
    parts = list(parts_of(KEEPING, line, start))
    if not parts:
        assert BULK_ACTION.fullmatch(line)
        return parts
    bad = [
        (part.offset - start, part.offset - start + len(part.payload)) for part in parts if isinstance(part, BadLine)
    ]
    events = [part for part in parts if isinstance(part, LogEvent)]
    assert all(line[at:end] == part.payload for (at, end), part in zip(bad, _bad(parts), strict=True))
    if not events:
        assert bad == [(0, len(line))]
        return parts
    if len(parts) == 2 and isinstance(first := parts[0], BadLine) and first.reason is Reason.NUL_BLOCK:
        assert parts[1] == KEEPING.decode(line.strip(SEPARATORS)) or bad[0][1] < len(line)
        if bad == [(0, len(line))]:
            return parts  # the one exception: an event in a block of NULs is an event, and the line is a bad line too
    used = _check_events(line, events)
    _check_spans(line, used, bad)
    return parts


def _bad(parts: list[LogEvent | BadLine]) -> list[BadLine]:
    return [part for part in parts if isinstance(part, BadLine)]


def _check_events(line: bytes, events: list[LogEvent]) -> list[Span]:
    """Check that the events are those of the complete objects of the line, each once, and return the objects used."""
    if events == events_in_row(KEEPING, line):
        return [(0, len(line))]
    remaining = list(events)
    used: list[Span] = []
    for (start, end), value in _complete_objects(line):
        text = line[start:end]
        decoded = KEEPING.decode(text)
        own = [decoded] if isinstance(decoded, LogEvent) else events_in_object(KEEPING, value)
        if own and remaining[: len(own)] == own:
            assert len({event.event.fingerprint for event in own}) == len(own)
            del remaining[: len(own)]
            used.append((start, end))
        elif own:
            assert not remaining, "an event was left out before one that was not"
    if remaining and len(events) == 1 and not used:  # decoded leniently or without what is around it
        return [(0, len(line))]
    assert not remaining, remaining
    return used


def _complete_objects(line: bytes) -> Iterator[tuple[Span, dict[str, Any]]]:
    """Yield the outermost complete JSON objects, by a plain scan from every place where one may begin."""
    text, at = line.decode("latin-1"), 0
    while (opening := OBJECT.search(line, at)) is not None:
        try:
            _, end = json.JSONDecoder().raw_decode(text, opening.start())
        except RecursionError:
            return
        except ValueError:
            at = opening.start() + 1
            continue
        at = end
        value = json.loads(line[opening.start() : end].decode("utf-8", "replace"))
        if isinstance(value, dict):
            yield (opening.start(), end), value


def _check_spans(line: bytes, used: list[Span], bad: list[Span]) -> None:
    """Check that objects and bad lines are disjoint, and that only separators and known prefixes are in neither."""
    wrapped = {found.start for found in whole_objects(line, is_first=True) if found.is_wrapped}
    end = 0
    for start, stop in sorted([*used, *bad]):
        assert start >= end, "a byte is in two parts"
        assert start in wrapped or not line[end:start].strip(SEPARATORS), "a byte is in no part"
        end = stop
    assert not line[end:].strip(SEPARATORS)


def _check_resume(parts: list[LogEvent | BadLine], limits: ReadLimits) -> None:
    content = LogContent(FILE, KEEPING, limits=limits)
    if not content.head:
        return
    before: list[LogEvent | BadLine] = []
    mark: Mark | None = None
    for part in content.lines():
        before.append(part)
        if len(before) == (len(parts) + 1) // 2:
            mark = content.mark()
            break
    if mark is None:
        return
    again = LogContent(FILE, KEEPING, limits=limits)
    again.resume([mark])
    both = [part for part in (*before, *again.lines()) if isinstance(part, LogEvent)]
    assert {part.event.fingerprint for part in both} == {
        part.event.fingerprint for part in parts if isinstance(part, LogEvent)
    }


def seeds() -> list[bytes]:
    """Return some real lines, in every form."""
    lines = gzip.decompress(LOG.read_bytes()).splitlines()[:40]
    whole = b"\n".join(lines[:6]) + b"\n"
    glued = [b"".join(lines[:3]), b"x " + lines[0] + b"{" + lines[1] + b" y", lines[0] + lines[1][:-9] + lines[2]]
    wrapped = [b'{"log":' + json.dumps(lines[0].decode()).encode() + b"}", b"May  1 00:00:00 h c[1]: " + lines[1]]
    return [b"l" + line for line in [*lines, *glued, *wrapped, b"\0\0" + lines[0]]] + [
        b"c" + whole,
        b"z" + whole,
        b"j[" + b",".join(lines[:3]) + b"]",
    ]


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="snapshots-seeds-"))
    for number, seed in enumerate(seeds()):
        (folder / f"{number:03}").write_bytes(seed)
    atheris.Setup([*sys.argv, str(folder)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
