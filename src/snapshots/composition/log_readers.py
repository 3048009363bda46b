"""Read large logs in another process while this one stores, because Python computes on one core only."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, cast

from snapshots.adapters.cowrie.files.log_file import LogContent
from snapshots.app.errors import LogUnreadable
from snapshots.app.load.batch import BatchSize
from snapshots.app.load.read_block import ReadBlock
from snapshots.app.load.remote_source import ReaderEnded, RemoteSource
from snapshots.app.ports.log_source import LogSource, Mark
from snapshots.composition.log_reader_process import BLOCK, SIZE_BYTES, UNREADABLE, ReaderSettings, ReadRequest

WORTH_A_PROCESS = 8 * 1024 * 1024
"""Bytes of logs from which on another process reads them: it takes a quarter of a second to start."""


class LogReaderProcess:
    """
    A process that reads contents.

    Args:
        settings: How they are read.
        warn: Called once, with one sentence, if the process ends too early.
    """

    def __init__(self, settings: ReaderSettings, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._has_ended = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "snapshots.composition.log_reader_process"],  # -P: not from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an error there is met again in this process, which reports it
        )
        self._requests, self._results = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self._send(settings)

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    def request(self, source: LogSource, marks: Sequence[Mark]) -> None:
        """Let the process read a file after those that were requested before."""
        path = cast("LogContent", source).path
        if path is not None:
            self._send(ReadRequest(path, marks))

    def _send(self, message: object) -> None:
        with suppress(BrokenPipeError):  # the process has ended, and its blocks will be missing
            pickle.dump(message, self._requests)
            self._requests.flush()

    def blocks(self) -> Iterator[ReadBlock]:
        """Yield the blocks of the file that was requested first and not yet received."""
        while True:
            header = self._receive(SIZE_BYTES + 1)
            kind, message = header[SIZE_BYTES:], self._receive(int.from_bytes(header[:SIZE_BYTES], "big"))
            if kind == UNREADABLE:
                raise LogUnreadable(message.decode("utf-8", "surrogateescape"))
            if kind != BLOCK:
                return
            yield ReadBlock.unpack(message)

    def _receive(self, size: int) -> bytes:
        """
        Return the next bytes.

        Raises:
            ReaderEnded: The process has ended.
        """
        received = self._results.read(size) if not self._has_ended else b""
        if len(received) < size:
            if not self._has_ended:
                self._warn("the process that reads the logs ended; they are read without it, which takes longer")
            self._has_ended = True
            raise ReaderEnded
        return received

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class LogReaders:
    """
    Decides where contents are read.

    Args:
        size: Limits of a block.
        cores: Number of cores that this process may use.
        warn: Called with one sentence for a process that ended too early.
    """

    def __init__(self, size: BatchSize, cores: int, warn: Callable[[str], None]) -> None:
        self._size = size
        self._cores = cores
        self._warn = warn

    @contextmanager
    def reading(self, sources: Iterable[LogSource]) -> Iterator[Iterable[LogSource | RemoteSource]]:
        """
        Return contents such that another process reads the files among them, if that is faster.

        It is not on one core, for a small amount of data, and for events that are stored line by line.
        """
        sources = list(sources)
        contents = [source for source in sources if isinstance(source, LogContent)] if self._cores > 1 else []
        sizes = [content.size for content in contents]
        files = [content for content, size in zip(contents, sizes, strict=True) if size is not None]
        if sum(filter(None, sizes)) < WORTH_A_PROCESS or files[0].options.keeps_lines:
            yield sources
            return
        reader = LogReaderProcess(ReaderSettings(files[0].options, self._size, files[0].states), self._warn)
        remote = {id(file): RemoteSource(file, reader) for file in files}
        try:
            yield [remote.get(id(source), source) for source in sources]
        finally:
            reader.close()
