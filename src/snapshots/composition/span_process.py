"""Compute verdict spans for another process: requests come from standard input, results go to standard output."""

import gc
import pickle
import signal
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from snapshots.adapters.sql.database import SqlDatabase
from snapshots.app.backfill.span_computer import ComputedSpans, SpanComputer
from snapshots.app.load.batch import GC_THRESHOLDS
from snapshots.domain.errors import SnapshotsError
from snapshots.domain.snapshot.as_of import AsOfReader
from snapshots.domain.snapshot.policy import SnapshotPolicy

K = TypeVar("K")
V = TypeVar("V")


class SpanProcessSettings(NamedTuple):
    """What the process computes with; the first message that it reads."""

    url: str
    reader: AsOfReader
    policy: SnapshotPolicy


def read_only(values: Mapping[K, V]) -> Mapping[K, V]:
    """Return a read-only view of a mapping."""
    return MappingProxyType(values)


def main() -> None:
    """Answer one request after the other, until the other process closes the pipe or ends."""
    gc.set_threshold(*GC_THRESHOLDS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the other one stops after a batch
    requests, results = sys.stdin.buffer, sys.stdout.buffer
    settings: SpanProcessSettings = pickle.load(requests)  # noqa: S301 - from the process that started this one
    compute = SpanComputer(SqlDatabase(settings.url), settings.reader, settings.policy)
    while True:
        try:
            request = pickle.load(requests)  # noqa: S301 - as above
        except EOFError:
            return
        try:
            computed: ComputedSpans | None = compute(request)
        except SnapshotsError:
            computed = None  # the other process meets the error itself, and handles it
        pickle.dump(computed, results)
        results.flush()


if __name__ == "__main__":
    main()
