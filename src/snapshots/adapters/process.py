"""Which process this is, and whether another one of this machine still runs."""

import os
from pathlib import Path

PROC = Path("/proc")


class CurrentProcess:
    """
    This process, by a name that no other has until the machine is started anew, as far as the system tells.

    Args:
        proc: Where the system tells of its processes; on systems without it no process has a name.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc

    @property
    def name(self) -> str:
        """Return the machine's start, the space of process numbers, the number, and when the process began."""
        machine, began = self._machine(), self._began(os.getpid())
        return f"{machine} {os.getpid()} {began}" if machine and began else ""

    def is_dead(self, name: str) -> bool:
        """Whether a process of this machine and space has ended; what runs elsewhere is not known to be gone."""
        machine, _, process = name.partition(" ")
        number, _, began = process.partition(" ")
        if not machine or machine != self._machine() or not began or not number.isdigit():
            return False
        try:
            os.kill(int(number), 0)  # it only asks
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass  # it is somebody else's
        return self._began(int(number)) not in {"", began}  # what may not be seen may be the same

    def _machine(self) -> str:
        try:
            boot = (self._proc / "sys/kernel/random/boot_id").read_text().strip()
            return f"{boot}/{(self._proc / 'self/ns/pid').readlink()}"
        except OSError:
            return ""

    def _began(self, number: int) -> str:
        """Return when a process began, by the system's count; "" if there is none, or it may not be seen."""
        try:
            told = (self._proc / str(number) / "stat").read_text()
        except OSError:
            return ""
        state, *rest = told.rpartition(")")[2].split()  # its name, in parentheses, may hold anything
        return "ended" if state in "ZX" else rest[18]
