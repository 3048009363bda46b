"""Name the current process, check whether another process of this machine is dead, and count usable cores."""

import os
from pathlib import Path

PROC = Path("/proc")


class CurrentProcess:
    """
    The current process, with a name that is unique until the next boot of the machine.

    Args:
        proc: The proc file system; without it, processes have no name.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc

    @property
    def name(self) -> str:
        """Return the boot id, the PID namespace, the PID and the start time; "" without a proc file system."""
        machine, began = self._machine(), self._began(os.getpid())
        return f"{machine} {os.getpid()} {began}" if machine and began else ""

    def is_dead(self, name: str) -> bool:
        """Whether a process of this machine and PID namespace has ended; False for processes elsewhere."""
        machine, _, process = name.partition(" ")
        number, _, began = process.partition(" ")
        if not machine or machine != self._machine() or not began or not number.isdigit():
            return False
        try:
            os.kill(int(number), 0)  # signal 0 only checks existence
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass  # a process of another user
        return self._began(int(number)) not in {"", began}  # an invisible process may be the same one

    def _machine(self) -> str:
        try:
            boot = (self._proc / "sys/kernel/random/boot_id").read_text().strip()
            return f"{boot}/{(self._proc / 'self/ns/pid').readlink()}"
        except OSError:
            return ""

    def _began(self, number: int) -> str:
        """Return the start time of a process in clock ticks since boot; "" if it does not exist or is invisible."""
        try:
            status = (self._proc / str(number) / "stat").read_text()
        except OSError:
            return ""
        state, *rest = status.rpartition(")")[2].split()  # the name, in parentheses, can contain any character
        return "ended" if state in "ZX" else rest[18]


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
