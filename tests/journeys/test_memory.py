"""How much memory a load takes, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

LARGEST_KILOBYTES = 150 * 1024

# Not ru_maxrss where it can be helped: Linux starts it at the size of the process that forked this one.
LOAD = """
import pathlib, re, resource, sys
from snapshots.__main__ import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        print(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1])
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(peak // 1024 if sys.platform == "darwin" else peak)
"""


def many_sessions() -> Iterator[tuple[str, str, str]]:
    """One connect per session, each from another address."""
    for n in range(60_000):
        yield f"{n:012x}", f"{1 + n % 223}.{n // 223 % 250}.{n * 7 % 250}.{n % 250}", "cowrie.session.connect"


def one_session() -> Iterator[tuple[str, str, str]]:
    """A proxy that was used for very long."""
    yield "a", "8.8.8.8", "cowrie.session.connect"
    for _ in range(1_000_000):
        yield "a", "8.8.8.8", "cowrie.direct-tcpip.request"


@pytest.mark.slow
@pytest.mark.parametrize("lines", [many_sessions, one_session])
def test_a_load_needs_at_most_150_megabytes(tmp_path: Path, lines: object) -> None:
    """However many sessions there are, and however long one is."""
    log, at = tmp_path / "cowrie.json", datetime(2026, 9, 10, tzinfo=UTC)
    with log.open("w") as file:
        for session, address, event in lines():  # type: ignore[operator]  # one of the two above
            at += timedelta(milliseconds=37)
            file.write(
                f'{{"eventid":"{event}","src_ip":"{address}","session":"{session}",'
                f'"timestamp":"{at:%Y-%m-%dT%H:%M:%S.%fZ}"}}\n'
            )

    loading = [sys.executable, "-c", LOAD, "load", "-q", "--db", f"sqlite:///{tmp_path}/test.db", str(log)]
    done = subprocess.run(loading, capture_output=True, text=True, check=True)

    assert int(done.stdout.split()[-1]) <= LARGEST_KILOBYTES
