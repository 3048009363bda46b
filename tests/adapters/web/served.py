"""A served site for tests with raw sockets: in a thread on fake data, or as a process on a database."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple, Self, cast

from snapshots.adapters.cli.services import ServeOptions
from snapshots.adapters.web.server import serve
from snapshots.adapters.web.services import SiteData
from snapshots.app.queries.session_queries import SessionPage, SessionRow

SECONDS = 60.0
"""A test fails when nothing arrives for so long."""


class FakeData:
    """
    Data of a site that has no database.

    Args:
        lines: Returns the newest sessions.
    """

    shown_database = "sqlite:////srv/private/sessions.db"

    def __init__(self, lines: Callable[[], Sequence[SessionRow]] = list) -> None:
        self._lines = lines

    @property
    def session_queries(self) -> Any:
        """Queries that return the lines."""
        return self

    def data_version(self) -> str:
        """Return the same version always: nothing changes."""
        return "1"

    def now(self) -> datetime:
        """Return the current time, always the same."""
        return datetime(2026, 1, 2, tzinfo=UTC)

    def lines(self, *_: object, **__: object) -> SessionPage:
        """Return the newest sessions."""
        return SessionPage(tuple(self._lines()), "")


class Connection:
    """A connection to a site on this machine."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(SECONDS)
        self.socket.connect(("127.0.0.1", port))

    def send(self, data: bytes) -> "Connection":
        """Send bytes."""
        self.socket.sendall(data)
        return self

    def get(self, target: str, *headers: str) -> "Connection":
        """Send a request."""
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
        return self.send("\r\n".join(lines).encode())

    def until(self, end: bytes) -> bytes:
        """Receive until some bytes, or the end of the connection."""
        found = b""
        while end not in found and (more := self._received()):
            found += more
        return found

    def rest(self) -> bytes:
        """Receive until the end of the connection."""
        return b"".join(iter(self._received, b""))

    def _received(self) -> bytes:
        try:
            return self.socket.recv(65_536)
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    __del__ = close


@contextmanager
def served(data: FakeData | None = None, **options: Any) -> Iterator[int]:
    """Serve a site in a thread, and yield its port."""
    announced: list[str] = []
    is_listening, stopped = Event(), Event()

    def announce(url: str) -> None:
        announced.append(url)
        is_listening.set()

    site = ServeOptions(version="1", port=0, **options)
    thread = Thread(target=serve, args=(cast("SiteData", data or FakeData()), site, announce, stopped.is_set))
    thread.start()
    try:
        assert is_listening.wait(SECONDS)
        yield int(announced[0].rstrip("/").rpartition(":")[2])
    finally:
        stopped.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    stderr: str


class ServeProcess:
    """`snapshots serve` on a database, on any free port."""

    def __init__(self, database: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "snapshots", "serve", "--db", str(database), "--listen", "127.0.0.1:0"]
        self._process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True, env=os.environ)
        assert self._process.stderr is not None
        self.pid = self._process.pid
        self.announced = self._process.stderr.readline()
        self.port = int(self.announced.split("http://127.0.0.1:")[1].split("/")[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self, number: signal.Signals = signal.SIGTERM) -> Ended:
        """Send a signal, and return how the process ended; the text is that after the announcement."""
        self._process.send_signal(number)
        _, text = self._process.communicate(timeout=SECONDS)
        return Ended(self._process.returncode, text)
