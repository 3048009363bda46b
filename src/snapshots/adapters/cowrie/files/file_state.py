"""Recognize a file that has not changed since it was loaded, without opening it."""

import os
import stat
from dataclasses import dataclass
from hashlib import blake2b

from snapshots.app.ports.log_source import Layout

SECOND = 1_000_000_000

COARSEST_NS = 2 * SECOND
"""Time stamps in whole seconds: FAT stores every second one."""

FINEST_NS = SECOND // 10
"""Time stamps with a fraction: kernels advance them every 1 to 10 ms, and exFAT stores steps of 10 ms."""


@dataclass(frozen=True, slots=True)
class FileStates:
    """
    Hashes of the identity, the size and both times of files: if one is equal, the file was not changed.

    The system sets the status change time at each change of content, size, name or link, and no program can set it. So
    only a second change within the same step of the time stamps leaves the state equal. Therefore a file that changed
    less than such a step before the search has no state, and is compared by its content.

    Args:
        layout: How contents are read: in another layout, a file may hold other events.
        searched_at_ns: Time of the search in nanoseconds since 1970, before the first file is read.
    """

    layout: Layout
    searched_at_ns: int

    def of(self, status: os.stat_result) -> str:
        """Return the state of a file in hexadecimal; "" if a later one might be equal, or it is no file."""
        changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        step = FINEST_NS if status.st_mtime_ns % SECOND and status.st_ctime_ns % SECOND else COARSEST_NS
        if not stat.S_ISREG(status.st_mode) or changed_ns + step >= self.searched_at_ns:
            return ""
        parts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return blake2b(f"{self.layout.value} {parts}".encode(), digest_size=16).hexdigest()
