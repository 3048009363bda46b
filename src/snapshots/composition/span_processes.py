"""Compute verdict spans in several processes, because Python computes on one core only."""

import copyreg
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from types import MappingProxyType
from typing import IO, cast

from snapshots.app.backfill.span_computer import ComputedSpans, ComputeSpans, SpanRequest
from snapshots.composition.span_process import SpanProcessSettings, read_only

# Rules and tables hold read-only views of mappings, which pickle does not know.
_DISPATCH_TABLE = {**copyreg.dispatch_table, MappingProxyType: lambda view: (read_only, (dict(view),))}


class SpanProcess:
    """
    Computes in a process of its own, or in this process if that one has ended.

    Args:
        settings: What the process computes with.
        local: Computes in this process.
        warn: Called once, with one sentence, if the process has ended.
    """

    def __init__(self, settings: SpanProcessSettings, local: ComputeSpans, warn: Callable[[str], None]) -> None:
        self._local = local
        self._warn = warn
        self._has_failed = False
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "snapshots.composition.span_process"],  # -P: not from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an error there is met again in this process, which reports it
        )
        self._process = process
        self._requests, self._results = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        self._send(settings)

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    def __call__(self, request: SpanRequest) -> ComputedSpans:
        """Compute the verdicts on a page of addresses."""
        self._send(request)
        try:
            computed: ComputedSpans | None = pickle.load(self._results)  # noqa: S301 - from a process of our own
        except (EOFError, pickle.UnpicklingError):
            computed = None
            if not self._has_failed:
                self._has_failed = True
                self._warn("a process of the backfill ended; its work is done by another one, which takes longer")
        return computed if computed is not None else self._local(request)

    def _send(self, message: object) -> None:
        pickler = pickle.Pickler(self._requests)
        pickler.dispatch_table = _DISPATCH_TABLE
        with suppress(BrokenPipeError):  # the process has ended, and the answer will be missing
            pickler.dump(message)
            self._requests.flush()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class SpanProcesses:
    """
    Computes in this process and, for calls at the same time, in further ones.

    Args:
        settings: What the processes compute with.
        local: Computes in this process.
        warn: Called with one sentence for each process that ended too early.
    """

    def __init__(self, settings: SpanProcessSettings, local: ComputeSpans, warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._local = local
        self._warn = warn
        self._idle: list[ComputeSpans] = [local]
        self._processes: list[SpanProcess] = []
        self._lock = Lock()

    @contextmanager
    def borrowed(self) -> Iterator[ComputeSpans]:
        """Return an idle computer, or start another process."""
        with self._lock:
            computer = self._idle.pop() if self._idle else self._started()
        try:
            yield computer
        finally:
            with self._lock:
                self._idle.append(computer)

    def _started(self) -> SpanProcess:
        process = SpanProcess(self._settings, self._local, self._warn)
        self._processes.append(process)
        return process

    @property
    def pids(self) -> list[int]:
        """Return the numbers of the further processes."""
        return [process.pid for process in self._processes]

    def close(self) -> None:
        """End the further processes; later calls start new ones."""
        with self._lock:
            for process in self._processes:
                process.close()
            self._processes, self._idle = [], [self._local]
