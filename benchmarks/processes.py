"""Run a command and measure its peak memory, with that of its child processes."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

LOOKS_EVERY = 0.05
"""Seconds between two measurements."""


def watched(command: Sequence[str]) -> tuple[str, float]:
    """
    Run a command to its end.

    Returns:
        Its output, and the peak of the memory of all its processes together in MiB, in which pages that several
        processes share are counted once; 0 on systems without /proc.
    """
    peak = 0.0
    with tempfile.TemporaryFile("w+") as printed:
        child = subprocess.Popen(command, stdout=printed, text=True)
        while child.poll() is None:
            peak = max(peak, sum(_resident(process) for process in (child.pid, *_children_of(child.pid))))
            time.sleep(LOOKS_EVERY)
        if child.returncode:
            sys.exit(f"{' '.join(command)} failed")
        printed.seek(0)
        return printed.read(), peak


def _children_of(process: int) -> list[int]:
    found = []
    for listed in Path("/proc").glob(f"{process}/task/*/children"):  # by the thread that started them
        with suppress(OSError):
            found += [int(child) for child in listed.read_text().split()]
    return found


def _resident(process: int) -> float:
    """Return the proportional set size: of a page that n processes map, each counts an n-th."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
