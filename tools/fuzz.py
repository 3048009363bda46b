"""
Search for bytes that the readers of logs stumble over, guided by which code they reach.

    sh run fuzz [-max_total_time=SECONDS] [FOLDER OF INPUTS]

Whatever the bytes are: no error but ours; every line that is not blank is an event or set aside, once (a line in a
block of NULs may be both); reading on from a mark gives what reading at once gives; and the sessions hold every event
once, in whatever batches they are read.
"""

import gzip
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["snapshots"]):
    from snapshots.adapters.cowrie.files import log_file as content_module
    from snapshots.adapters.cowrie.files.log_file import BLANK, LogContent
    from snapshots.adapters.cowrie.lines.decode import LineDecoder
    from snapshots.app.ports.log_source import BadLine, Layout, LineOptions, LogEvent, Mark, Reason
    from snapshots.domain.errors import SnapshotsError
    from snapshots.domain.session.session import SessionAggregate
    from snapshots.domain.session.session_id_reuse import tell_apart
    from snapshots.domain.session.summary import SessionSummary

LOG = Path(__file__).parent.parent / "src/snapshots/adapters/cli/data/cowrie.json.gz"
FILE = Path(tempfile.mkdtemp(prefix="snapshots-fuzz-")) / "cowrie.json"
KEEPING = LineDecoder(LineOptions(keeps_passwords=True, layout=Layout.LINES))


def check(data: bytes) -> None:
    """Read the bytes in every way; an assertion or an error that is not ours is a finding."""
    form, data = data[:1], data[1:]
    packed = gzip.compress(data, 1)[: len(data) + 18] if form == b"z" else data
    FILE.write_bytes(packed)
    content_module.CHUNK = 7 if form == b"c" else 65_536
    if form == b"j":
        _fold(LogContent(FILE, LineDecoder(LineOptions(layout=Layout.AUTO))))
        return
    said = _fold(LogContent(FILE, KEEPING))
    if (
        said is None
        or form == b"z"
        or any(isinstance(each, BadLine) and each.reason is Reason.DAMAGED_FILE for each in said)
    ):
        return  # what an archive would have held nobody knows, and some bytes begin like one
    _every_line_once(data, said)
    _goes_on(said)


def _fold(content: LogContent) -> list[LogEvent | BadLine] | None:
    """Return what is read, and add it up; None if the file is refused as a whole."""
    try:
        said = list(content.lines())
    except SnapshotsError:
        return None
    sessions: dict[str, SessionAggregate] = {}
    for each in said:
        if isinstance(each, LogEvent):
            sessions.setdefault(each.logged_id, SessionAggregate.of(each.logged_id)).add(each.event)
    for aggregate in sessions.values():
        summary = aggregate.summary()
        assert summary.event_count == len(aggregate.events)
        assert summary.behaviour.merge(summary.behaviour) == summary.behaviour
    for batch_size in (1, 2, len(said)):
        _every_event_in_one_session([each for each in said if isinstance(each, LogEvent)], batch_size, sessions)
    return said


def _every_event_in_one_session(
    said: list[LogEvent], batch_size: int, sessions: Mapping[str, SessionAggregate]
) -> None:
    stored: dict[str, dict[str, SessionSummary]] = {logged_id: {} for logged_id in sessions}
    for start in range(0, len(said), batch_size or 1):
        batch: dict[str, SessionAggregate] = {}
        for each in said[start : start + batch_size]:
            batch.setdefault(each.logged_id, SessionAggregate.of(each.logged_id)).add(each.event)
        for logged_id, logged in batch.items():
            held = stored[logged_id]
            found = [session.summary(logged_id) for session in tell_apart(logged, held.values())]
            assert len({new.session_id for new in found}) == len(found)
            for new in found:
                before = held.get(new.session_id)
                held[new.session_id] = new if before is None else before.merge(new)
    for logged_id, logged in sessions.items():
        held = stored[logged_id]
        assert {mark for kept in held.values() for mark in kept.fingerprints} == set(logged.events)
        assert sum(kept.event_count for kept in held.values()) == len(logged.events)
        assert tell_apart(logged, held.values()) == []


def _every_line_once(data: bytes, said: list[LogEvent | BadLine]) -> None:
    lines = sum(1 for line in data.split(b"\n") if line.strip(BLANK))
    events = sum(isinstance(each, LogEvent) for each in said)
    bad = len(said) - events
    assert lines <= events + bad, (lines, events, bad)  # a line may hold several events and parts of events


def _goes_on(said: list[LogEvent | BadLine]) -> None:
    content = LogContent(FILE, KEEPING)
    if not content.head:
        return
    before: list[LogEvent | BadLine] = []
    mark: Mark | None = None
    for each in content.lines():
        before.append(each)
        if len(before) == (len(said) + 1) // 2:
            mark = content.mark()
            break
    if mark is None:
        return
    again = LogContent(FILE, KEEPING)
    again.resume([mark])
    after = list(again.lines())
    both = [each for each in (*before, *after) if isinstance(each, LogEvent)]
    assert {each.event.fingerprint for each in both} == {
        each.event.fingerprint for each in said if isinstance(each, LogEvent)
    }


def seeds() -> list[bytes]:
    """Return some real lines, in every form."""
    lines = gzip.decompress(LOG.read_bytes()).splitlines()[:40]
    whole = b"\n".join(lines[:6]) + b"\n"
    return [b"l" + line for line in lines] + [b"c" + whole, b"z" + whole, b"j[" + b",".join(lines[:3]) + b"]"]


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="snapshots-seeds-"))
    for number, seed in enumerate(seeds()):
        (folder / f"{number:03}").write_bytes(seed)
    atheris.Setup([*sys.argv, str(folder)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
