"""Standard output and error of a command: no text can steer a terminal, and no trouble with stderr ends the work."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import IO, cast

from snapshots.app.safe_text import escaped_lines, without_passwords


def open_missing_descriptors() -> None:
    """
    Open /dev/null in place of standard streams that were closed before the program began.

    Otherwise the next file that is opened, such as the database, would get the number of a standard stream, and
    messages would be written into it. To be called before any file is opened.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
        os.set_inheritable(number, True)  # noqa: FBT003 - not ours
        mode = "w" if number else "r"
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


class OutputFailed(OSError):
    """Standard output cannot be written, such as because its disk is full."""


@contextmanager
def writing_output() -> Iterator[None]:
    """
    Call errors of writing to standard output by their name, but that its reader is gone.

    Raises:
        OutputFailed: It cannot be written.
    """
    try:
        yield
    except (BrokenPipeError, OutputFailed):
        raise
    except OSError as exc:
        raise OutputFailed(exc.errno, exc.strerror or str(exc)) from exc


class SafeStream(TextIOWrapper):
    """A text stream that writes harmful characters as escape sequences."""

    clean: Callable[[str], str] = staticmethod(escaped_lines)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return UTF-8 for every stream: click would write past this class to one that says it is ASCII."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Write text from anywhere."""
        self.write_styled(self.clean(text))
        return len(text)

    def write_styled(self, text: str) -> None:
        """Write text whose escape sequences are our own."""
        with writing_output():
            super().write(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with writing_output():
            super().flush()


class SafeErrorStream(SafeStream):
    """Likewise for stderr: it shows no password, and what cannot be written is dropped."""

    clean = staticmethod(lambda text: escaped_lines(without_passwords(text)))

    def write_styled(self, text: str) -> None:
        """Write as far as stderr can be written to."""
        try:
            super().write_styled(text)
        except OSError:
            self._drop()

    def flush(self) -> None:
        """Flush as far as stderr can be written to."""
        try:
            super().flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        discard_output_of(self)


def discard_output_of(stream: IO[str]) -> None:
    """Let nothing more be written to a stream that failed: Python would try again at the end and complain."""
    with suppress(OSError):  # a stream without a file, such as one of a test
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Replace the standard streams for output within a block."""
    before = sys.stdout, sys.stderr
    safe = [
        kind(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            newline="",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        if isinstance(stream, TextIOWrapper)
        else stream
        for stream, kind in zip(before, (SafeStream, SafeErrorStream), strict=True)
    ]
    for stream in before:
        stream.flush()
    sys.stdout, sys.stderr = cast("list[IO[str]]", safe)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in safe:
            if isinstance(stream, SafeStream):
                with suppress(OSError):  # main has said so
                    stream.flush()
                with suppress(OSError):
                    stream.detach()
