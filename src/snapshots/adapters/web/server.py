"""Listen on an address, and answer requests until it is stopped."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from snapshots.adapters.web.access import HEADERS, Access
from snapshots.adapters.web.services import SiteData, SiteOptions
from snapshots.adapters.web.site import make_site
from snapshots.app.errors import SettingRefused

REQUEST_SECONDS = 10.0
"""A connection is closed when its next request has not arrived after so long."""

READ_SECONDS, LEAST_READ = 30.0, 16_384
"""A connection is closed when its client reads fewer bytes in so many seconds."""

MOST_CONNECTIONS = 400
"""Beyond it, the connection that waits longest for a request is closed for each new one."""

MOST_HEADER_BYTES = 16_384
IDLE_SECONDS, END_SECONDS = 5, 1


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 for which slow clients cannot use up connections and memory."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # each byte that the client does not read yet pauses writing
        self._reading: asyncio.TimerHandle | None = None
        self._wait_for_request()
        if len(self.connections) > MOST_CONNECTIONS:
            waiting = [each for each in self.connections if isinstance(each, ImpatientProtocol) and each.is_waiting]
            min(waiting, key=lambda each: each.waits_since).transport.abort()

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered."""
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing()

    def _wait_for_request(self) -> None:
        self.waits_since = monotonic()
        self._request = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def handle_events(self) -> None:
        """Read what arrived, and stop waiting if it is a request."""
        super().handle_events()
        if not self.is_waiting:
            self._request.cancel()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless the client sent it already."""
        super().on_response_complete()
        if self.is_waiting:
            self._request.cancel()
            self._wait_for_request()

    def pause_writing(self) -> None:
        """Begin to watch whether the client reads."""
        super().pause_writing()
        self._watch_reader()

    def _watch_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(READ_SECONDS, self._expect_less_than, max(left - LEAST_READ, 0))

    def _expect_less_than(self, most: int) -> None:
        if self.transport.get_write_buffer_size() > most:
            self.transport.abort()
        else:
            self._watch_reader()

    def resume_writing(self) -> None:
        """Stop watching: the client read everything."""
        super().resume_writing()
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers, which would keep the connection in memory."""
        super().connection_lost(exc)
        self._request.cancel()
        self._stop_watching()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request, with the headers of every other response."""
        body = f"{msg}\n".encode()
        lines = ["HTTP/1.1 400 Bad Request", "Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in HEADERS.items()]
        self.transport.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        self.transport.close()


class Server(uvicorn.Server):
    """
    A server that ends when it is stopped, and leaves signals to its caller.

    Args:
        config: Of the server.
        site: What it serves.
        is_stopped: Asked ten times a second.
    """

    def __init__(self, config: uvicorn.Config, site: Access, is_stopped: Callable[[], bool]) -> None:
        super().__init__(config)
        self._site = site
        self._is_stopped = is_stopped

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a generator there
        """Leave signals to the caller."""
        return nullcontext()

    async def on_tick(self, counter: int) -> bool:
        """Whether to end."""
        return await super().on_tick(counter) or self._is_stopped()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open streams, which would wait for their clients, and then the other connections."""
        self._site.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens.

    Raises:
        SettingRefused: The address is not of this machine, or the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a host name"
        raise SettingRefused(f"cannot listen on {host[:80]}: {reason}") from exc
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(256)
    except OSError as exc:
        found.close()
        advice = {
            errno.EADDRINUSE: "another program listens there: name another port with --listen",
            errno.EADDRNOTAVAIL: "this machine has no such address",
            errno.EACCES: "only root may listen on ports below 1024",
        }
        reason = advice.get(exc.errno or 0, exc.strerror)
        raise SettingRefused(f"cannot listen on {host} port {port}: {reason}") from exc
    return found


def serve(
    data: SiteData, options: SiteOptions, on_listening: Callable[[str], None], is_stopped: Callable[[], bool]
) -> None:
    """
    Answer requests until it is stopped, and then for about a second at most.

    Args:
        data: The queries.
        options: How it is served.
        on_listening: Called with the URL of the site when requests are accepted.
        is_stopped: Asked ten times a second.

    Raises:
        SettingRefused: It cannot listen on the address.
    """
    opened = listen(options.host, options.port)
    port = opened.getsockname()[1]
    name = f"[{options.host}]" if ":" in options.host else options.host
    site = make_site(data, options)
    config = uvicorn.Config(
        site,
        http=ImpatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=2 * MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=END_SECONDS,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_fault)
    on_listening(f"http://{name}:{port}/")
    asyncio.run(Server(config, site, is_stopped).serve(sockets=[opened]))


def _is_fault(record: logging.LogRecord) -> bool:
    """Whether a message is a fault of this program: all others are about requests, which any program can send."""
    error = record.exc_info[1] if record.exc_info else None
    return error is not None and not isinstance(error, asyncio.CancelledError)
