"""Read contents for another process: requests come from standard input, blocks go to standard output."""

import gc
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, NamedTuple

from snapshots.adapters.cowrie.files.file_state import FileStates
from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.errors import LogUnreadable
from snapshots.app.load.batch import BatchSize
from snapshots.app.load.remote_source import BlockReader
from snapshots.app.ports.log_source import LineOptions, Mark

SIZE_BYTES = 8
"""Length of the size before each message."""

BLOCK, END, UNREADABLE = b"B", b"E", b"U"
"""The first byte of a message: a block, the end of a content, or why a content cannot be read."""


class ReaderSettings(NamedTuple):
    """
    How contents are read; the first message that the process receives.

    Attributes:
        options: How their lines are decoded.
        size: Limits of a block.
        states: Returns the states of files; None for no state.
    """

    options: LineOptions
    size: BatchSize
    states: FileStates | None = None


class ReadRequest(NamedTuple):
    """
    A content to read.

    Attributes:
        path: Its file.
        marks: Its bookmarks, by ascending offset.
    """

    path: Path
    marks: Sequence[Mark]


def main() -> None:
    """Read one content after the other, until the other process closes the pipe or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the other one ends this one
    gc.disable()  # events and blocks form no cycles
    requests, results = sys.stdin.buffer, sys.stdout.buffer
    settings: ReaderSettings = pickle.load(requests)  # noqa: S301 - from the process that started this one
    decoder = LineDecoder(settings.options)
    reader = BlockReader(settings.size)
    waiting = SimpleQueue[ReadRequest]()
    Thread(target=_receive, args=(requests, waiting), daemon=True).start()
    while True:
        request = waiting.get()
        content = LogContent(request.path, decoder, states=settings.states)
        try:
            content.resume(request.marks)
            for block in reader.blocks_of(content):
                _send(results, BLOCK, block.pack())
        except LogUnreadable as error:
            _send(results, UNREADABLE, str(error).encode("utf-8", "surrogateescape"))
        else:
            _send(results, END, b"")


def _receive(requests: IO[bytes], waiting: "SimpleQueue[ReadRequest]") -> None:
    """Queue requests, so that the other process never waits for this one; end this process with that one."""
    while True:
        try:
            waiting.put(pickle.load(requests))  # noqa: S301 - as above
        except EOFError:
            os._exit(0)


def _send(results: IO[bytes], kind: bytes, message: bytes) -> None:
    results.write(len(message).to_bytes(SIZE_BYTES, "big") + kind)
    results.write(message)
    results.flush()


if __name__ == "__main__":
    main()
