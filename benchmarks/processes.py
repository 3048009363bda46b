"""Run a command and measure its peak memory."""

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
        Its output, and its peak memory in MiB; 0 on systems without /proc.
    """
    peak = 0.0
    with tempfile.TemporaryFile("w+") as printed:
        child = subprocess.Popen(command, stdout=printed, text=True)
        while child.poll() is None:
            peak = max(peak, _peak_of(child.pid))
            time.sleep(LOOKS_EVERY)
        if child.returncode:
            sys.exit(f"{' '.join(command)} failed")
        printed.seek(0)
        return printed.read(), peak


def _peak_of(process: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0
