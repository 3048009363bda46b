"""Which processes run."""

import subprocess
import sys
from pathlib import Path

from snapshots.adapters.process import CurrentProcess

TELL = "from snapshots.adapters.process import CurrentProcess; print(CurrentProcess().name)"


def test_an_ended_process_is_dead_and_this_one_is_not() -> None:
    """Also if another process has its number now."""
    this = CurrentProcess()
    ended = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True).stdout.strip()

    assert this.is_dead(ended)
    assert not this.is_dead(this.name)
    assert this.is_dead(this.name + "0")


def test_a_process_of_another_machine_is_never_reported_dead() -> None:
    """Nor one with an invalid name, nor where the operating system gives no information."""
    this = CurrentProcess()

    assert not any(this.is_dead(name) for name in ("", "elsewhere 1 2", this.name.partition(" ")[0], "a b c"))
    assert CurrentProcess(Path("/nothing")).name == ""
    assert not CurrentProcess(Path("/nothing")).is_dead(this.name)
