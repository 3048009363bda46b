"""Standard streams that sanitize output and ignore write errors on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import IO, cast

from snapshots.app.safe_text import escaped_lines, without_passwords


def prepare_descriptors() -> None:
    """
    Make the standard streams blocking, and open /dev/null in place of those that were closed before the program began.

    Python drops what a non-blocking stream cannot take at once, without an error. The next file that is opened,
    such as the database, would get the descriptor of a closed stream, and messages would be written into it. Call it
    before any file is opened.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with suppress(OSError):
            os.fstat(number)
            with suppress(OSError):
                os.set_blocking(number, True)
            continue
        os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is this one
        os.set_inheritable(number, True)  # noqa: FBT003 - signature of os
        mode = "w" if number else "r"
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - stays open


class OutputFailed(OSError):
    """Standard output cannot be written, for example because the disk is full."""


@contextmanager
def writing_output() -> Iterator[None]:
    """
    Turn errors of writing to standard output, except a closed pipe, into `OutputFailed`.

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
        """Return UTF-8 for every stream: click bypasses this class and rewraps a stream with an ASCII encoding."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Write untrusted text, sanitized."""
        self.write_styled(self.clean(text))
        return len(text)

    def write_styled(self, text: str) -> None:
        """Write text with trusted escape sequences."""
        with writing_output():
            super().write(text)

    def flush(self) -> None:
        """Flush the buffer."""
        with writing_output():
            super().flush()


class SafeErrorStream(SafeStream):
    """A safe stream for stderr that hides passwords and drops text that cannot be written."""

    clean = staticmethod(lambda text: escaped_lines(without_passwords(text)))

    def write_styled(self, text: str) -> None:
        """Write; on an error, discard this and all later output."""
        try:
            super().write_styled(text)
        except OSError:
            self._drop()

    def flush(self) -> None:
        """Flush; on an error, discard this and all later output."""
        try:
            super().flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        discard_output_of(self)


def discard_output_of(stream: IO[str]) -> None:
    """Redirect a failed stream to /dev/null, or Python would flush it again at exit and print an error."""
    with suppress(OSError):  # the stream has no descriptor, such as in a test
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Replace stdout and stderr with safe streams within a block."""
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
                try:
                    stream.flush()
                except OSError:  # main has already reported the error
                    discard_output_of(stream)
                stream.detach()
