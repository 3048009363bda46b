"""Listen on an address, and answer requests until a signal."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from snapshots.adapters.web.services import SiteData, SiteOptions
from snapshots.adapters.web.site import make_site
from snapshots.app.errors import SettingRefused

FIRST_BYTE_SECONDS = 10.0
"""A connection that has sent no complete request after so long is closed."""

MOST_CONNECTIONS = 400
MOST_HEADER_BYTES = 16_384
IDLE_SECONDS, END_SECONDS = 5, 2


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes connections whose request does not come: slow clients must not use up all connections."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.loop.call_later(FIRST_BYTE_SECONDS, self._close_unless_asked)

    def _close_unless_asked(self) -> None:
        transport: Any = self.transport
        if getattr(self, "cycle", None) is None and not transport.is_closing():
            transport.close()


def listen(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens.

    Raises:
        SettingRefused: The address is not of this machine, or the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as exc:
        raise SettingRefused(f"cannot listen on {host}: {exc.strerror or exc}") from exc
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(256)
    except OSError as exc:
        found.close()
        raise SettingRefused(f"cannot listen on {host} port {port}: {exc.strerror or exc}") from exc
    return found


def serve(data: SiteData, options: SiteOptions, on_listening: Callable[[str], None]) -> None:
    """
    Answer requests until SIGINT or SIGTERM, which is raised again afterwards.

    Args:
        data: The queries.
        options: How it is served.
        on_listening: Called with the URL of the site when requests are accepted.

    Raises:
        SettingRefused: It cannot listen on the address.
    """
    opened = listen(options.host, options.port)
    port = opened.getsockname()[1]
    name = f"[{options.host}]" if ":" in options.host else options.host
    config = uvicorn.Config(
        make_site(data, options),
        http=ImpatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=END_SECONDS,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )
    on_listening(f"http://{name}:{port}/")
    asyncio.run(uvicorn.Server(config).serve(sockets=[opened]))
