"""
Measure how long the live page takes to answer on a large database.

    .venv/bin/python benchmarks/live_page.py [--sessions 1680000] [--addresses 300000] [--only sqlite|postgresql]
        [--folder FOLDER] [--streams 50]

Serves two years of sealed sessions, and asks each page twice by a browser's request: the first answer is not kept yet.
It prints the seconds to the first byte, with open live feeds meanwhile, and the memory of the process. With --folder,
the SQLite database is kept there and used again.
"""

import argparse
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from history import build
from snapshots.adapters.sql.connection.temporary_server import trial_server

ROOT = Path(__file__).parent.parent
PAGES = (
    "/",
    "/?country=CN",
    "/network/AS4134",
    "/?since=30d",
    "/sessions",
    "/sessions?country=CN",
    "/sessions?country=CN&did=command",
    "/sessions?ip-type=TOR",
    "/sessions?ip-type=VPN",
    "/sessions?did=download",
    "/sessions?method=inferred",
    "/sessions?address=1.2.0.0/16",
    "/api/v1/groups/asn?since=30d",
)


def main() -> None:
    arguments = argparse.ArgumentParser(description="How long the live page takes to answer.")
    arguments.add_argument("--sessions", type=int, default=1_680_000)
    arguments.add_argument("--addresses", type=int, default=300_000)
    arguments.add_argument("--only", choices=["sqlite", "postgresql"])
    arguments.add_argument("--folder", type=Path, help="keep the SQLite database here")
    arguments.add_argument("--streams", type=int, default=50)
    chosen = arguments.parse_args()
    if chosen.only != "postgresql":
        with tempfile.TemporaryDirectory(prefix="snapshots-benchmark-") as folder:
            kept = (chosen.folder or Path(folder)).resolve() / f"{chosen.sessions}-{chosen.addresses}.db"
            if not kept.exists():
                build(f"sqlite:///{kept}", chosen.sessions, chosen.addresses)
            measure("SQLite", f"sqlite:///{kept}", chosen.streams)
    if chosen.only != "sqlite":
        with trial_server() as url:
            build(url, chosen.sessions, chosen.addresses)
            measure("PostgreSQL", url, chosen.streams)


def measure(title: str, url: str, streams: int) -> None:
    began = time.perf_counter()
    with served(url) as (process, port), ExitStack() as opened:
        first_byte(port, "/healthz")
        print(f"\n{title}: {time.perf_counter() - began:.2f} s from the start to the first answer")
        for _ in range(streams):
            opened.enter_context(stream(port))
        print(f"seconds to the first byte, with {streams} open feeds      first   again")
        for page in PAGES:
            print(f"{page:45} {first_byte(port, page):14.3f} {first_byte(port, page):7.3f}")
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        print(f"memory: {pages * os.sysconf('SC_PAGE_SIZE') / 1e6:.0f} MB")


@contextmanager
def served(url: str) -> Iterator[tuple[int, int]]:
    """Serve a database; the process ID and the port."""
    command = [sys.executable, "-m", "snapshots", "serve", "--listen", "127.0.0.1:0", "--db", url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        words = process.stderr.readline().split()
        found = next(word for word in words if word.startswith("http://"))
        yield process.pid, urlsplit(found).port or 0
        process.terminate()


@contextmanager
def stream(port: int) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        connection.recv(1)
        yield


def first_byte(port: int, page: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began = time.perf_counter()
    connection.request("GET", page)
    response = connection.getresponse()
    passed = time.perf_counter() - began
    response.read()
    connection.close()
    assert response.status in {200, 400, 404}, (page, response.status)
    return passed


if __name__ == "__main__":
    main()
