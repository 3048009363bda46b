"""Run a command, and watch how much memory it takes."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

LOOKS_EVERY = 0.02
"""Seconds from one look to the next."""


def watched(command: Sequence[str]) -> tuple[str, float]:
    """
    Run a command to its end.

    Returns:
        What it printed, and the most memory that it had, in megabytes; 0 where the system does not tell.
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
