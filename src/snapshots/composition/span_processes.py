"""Compute verdict spans in several processes, because Python computes on one core only."""

import copyreg
import gc
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from types import MappingProxyType
from typing import IO, TypeVar, cast

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.backfill.span_computer import ComputedSpans, ComputeSpans, SpanComputer, SpanRequest
from snapshots.app.garbage import GC_THRESHOLDS
from snapshots.domain.errors import SnapshotsError
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.policy import SnapshotPolicy

K = TypeVar("K")
V = TypeVar("V")

ProcessSettings = tuple[str, AsOfReader, SnapshotPolicy]
"""What a process computes with: the URL of the database, and the rules. It is the first message to the process."""


class SpanProcess:
    """A process that computes for one thread at a time."""

    def __init__(self, settings: ProcessSettings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "snapshots.composition.span_processes"],  # -P: not from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an error there is met again in this process, which reports it
        )
        self.pid = self._process.pid
        self.has_answered, self.has_ended = False, False
        self._send(settings)

    def __call__(self, request: SpanRequest) -> ComputedSpans | None:
        """Compute the verdicts on a page of addresses; None if the process met an error or has ended."""
        self._send(request)
        try:
            computed: ComputedSpans | None = pickle.load(cast("IO[bytes]", self._process.stdout))  # noqa: S301 - our own
        except (EOFError, pickle.UnpicklingError):
            self.has_ended = True
            return None
        self.has_answered = True
        return computed

    def _send(self, message: object) -> None:
        requests = cast("IO[bytes]", self._process.stdin)
        pickler = pickle.Pickler(requests)
        pickler.dispatch_table = _DISPATCH_TABLE
        with suppress(BrokenPipeError):  # the process has ended, and the answer will be missing
            pickler.dump(message)
            requests.flush()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class SpanProcesses:
    """
    Computes in this process and, for calls at the same time, in further ones.

    A process that ended is replaced; its request is computed in this process.

    Args:
        settings: What the processes compute with.
        local: Computes in this process.
        warn: Called with one sentence for each process that ended too early.
    """

    def __init__(self, settings: ProcessSettings, local: ComputeSpans, warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._local = local
        self._warn = warn
        self._lock = Lock()
        self._idle: list[SpanProcess | None] = [None]  # None stands for this process
        self._processes: list[SpanProcess] = []
        self._can_start = True

    @property
    def pids(self) -> list[int]:
        """Return the numbers of the further processes."""
        return [process.pid for process in self._processes]

    def __call__(self, request: SpanRequest) -> ComputedSpans:
        """Compute the verdicts on a page of addresses."""
        with self._lock:
            process = self._idle.pop() if self._idle else self._started()
        computed = None
        try:
            computed = process(request) if process is not None else None
            return computed if computed is not None else self._local(request)
        finally:
            with self._lock:
                if process is None or not process.has_ended:
                    self._idle.append(process)
                else:
                    self._discard(process)

    def _started(self) -> SpanProcess | None:
        if not self._can_start:
            return None
        process = SpanProcess(self._settings)
        self._processes.append(process)
        return process

    def _discard(self, process: SpanProcess) -> None:
        self._processes.remove(process)
        process.close()
        self._can_start &= process.has_answered
        instead = "another one is started" if self._can_start else "its work is done by another one, which takes longer"
        self._warn(f"a process of the backfill ended; {instead}")

    def close(self) -> None:
        """End the further processes; later calls start new ones."""
        with self._lock:
            for process in self._processes:
                process.close()
            self._processes, self._idle, self._can_start = [], [None], True


def read_only(values: Mapping[K, V]) -> Mapping[K, V]:
    """Return a read-only view of a mapping."""
    return MappingProxyType(values)


# Rules and tables hold read-only views of mappings, which pickle does not know.
_DISPATCH_TABLE = {**copyreg.dispatch_table, MappingProxyType: lambda view: (read_only, (dict(view),))}


def main() -> None:
    """Answer requests on standard input one after the other, until the other process closes the pipe or ends."""
    gc.set_threshold(*GC_THRESHOLDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the other one stops after a batch
    requests, results = sys.stdin.buffer, sys.stdout.buffer
    url, reader, policy = pickle.load(requests)  # noqa: S301 - from the process that started this one
    compute = SpanComputer(SqlDatabase(url), reader, policy)
    with suppress(EOFError):
        while True:
            request = pickle.load(requests)  # noqa: S301 - as above
            try:
                computed: ComputedSpans | None = compute(request)
            except SnapshotsError:
                computed = None  # the other process meets the error itself, and handles it
            pickle.dump(computed, results)
            results.flush()


if __name__ == "__main__":
    main()
