"""Processes that serve the live page, for tests."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import IO, cast
from urllib.request import urlopen

DEADLINE = 60.0


class Served:
    """
    A process that serves the page.

    Args:
        process: The process; its standard error has the URL of the page.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.messages = ""
        for line in cast("IO[str]", process.stderr):
            self.messages += line
            found = re.search(r" at (http://\S+/) until Ctrl-C", line)
            if found:
                self.url = found[1]
                return
        raise AssertionError(f"exit code {process.wait()}: {self.messages}")

    def next_message(self) -> str:
        """Return the next line of standard error."""
        return cast("IO[str]", self.process.stderr).readline()

    def page(self, path: str = "") -> str:
        """Return the text of a page."""
        with urlopen(self.url + path, timeout=DEADLINE) as response:
            return str(response.read().decode())

    def answers(self, path: str) -> bool:
        """Whether there is a page, and the process answers."""
        try:
            self.page(path)
        except OSError:
            return False
        return True

    def stop(self, signal: int) -> int:
        """Send a signal, and return the exit code; `messages` then holds all of standard error."""
        self.process.send_signal(signal)
        self.messages += self.process.communicate(timeout=DEADLINE)[1]
        return self.process.returncode


@contextmanager
def served(*arguments: object) -> Iterator[Served]:
    """Run a command that serves the page on a free port, from the moment at which it does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snapshots", *map(str, arguments), "--listen", "127.0.0.1:0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = Timer(DEADLINE, process.kill)
    timer.start()
    try:
        yield Served(process)
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
