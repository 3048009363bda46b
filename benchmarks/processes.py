"""Run a command and measure its peak memory, with that of its child processes."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

LOOKS_EVERY = 0.02
"""Seconds between two measurements."""


def watched(command: Sequence[str]) -> tuple[str, float]:
    """
    Run a command to its end.

    Returns:
        Its output, and the sum of the peaks of all its processes in MiB; 0 on systems without /proc.
    """
    peaks: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as printed:
        child = subprocess.Popen(command, stdout=printed, text=True)
        while child.poll() is None:
            for process in (child.pid, *_children_of(child.pid)):
                peaks[process] = max(peaks.get(process, 0.0), _peak_of(process))
            time.sleep(LOOKS_EVERY)
        if child.returncode:
            sys.exit(f"{' '.join(command)} failed")
        printed.seek(0)
        return printed.read(), sum(peaks.values())


def _children_of(process: int) -> list[int]:
    found = []
    for listed in Path("/proc").glob(f"{process}/task/*/children"):  # by the thread that started them
        with suppress(OSError):
            found += [int(child) for child in listed.read_text().split()]
    return found


def _peak_of(process: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0
