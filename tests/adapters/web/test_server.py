"""The real server: slow, hostile and many clients on raw sockets, and how the command begins and ends."""

import logging
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from snapshots.__main__ import main
from snapshots.adapters.web import server
from snapshots.adapters.web.server import listen
from snapshots.app.errors import SettingRefused
from snapshots.app.queries.session_queries import SessionRow
from tests.adapters.web.served import SECONDS, Connection, FakeData, ServeProcess, served

STREAM_BEGINS = b": still here\n\n\r\n"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with two sessions."""
    folder = tmp_path_factory.mktemp("served")
    log = folder / "cowrie.json"
    begins = '{"eventid":"cowrie.session.connect","session":"%s","src_ip":"198.51.100.7","timestamp":"%s"}\n'
    log.write_text(begins % ("a1", "2026-03-01T10:00:00Z") + begins % ("a2", "2026-03-02T10:00:00Z"))
    path = folder / "sessions.db"
    assert main(["load", "-q", str(log), "--db", str(path)]) == 0
    return path


@pytest.fixture
def copy(database: Path, tmp_path: Path) -> Path:
    """Return a copy of the database, to damage it."""
    path = tmp_path / "copy.db"
    with sqlite3.connect(database) as source, sqlite3.connect(path) as target:
        source.backup(target)
    source.close()
    target.close()
    return path


class TestSlowClients:
    """A client that sends or reads slowly loses its connection."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "REQUEST_SECONDS", 0.3)
        monkeypatch.setattr(server, "READ_SECONDS", 0.3)

    @pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX"])
    def test_an_incomplete_request_ends_the_connection(self, sent: bytes) -> None:
        """Before its first byte, or in the middle of its headers."""
        with served() as port:
            assert Connection(port).send(sent).rest() == b""

    def test_an_incomplete_second_request_does_so_too(self) -> None:
        """Although the first one was answered."""
        with served() as port:
            opened = Connection(port).get("/healthz")
            assert opened.until(b"ok\n").startswith(b"HTTP/1.1 200")
            assert opened.send(b"GET /").rest() == b""

    def test_drops_of_a_request_do_not_keep_the_connection(self) -> None:
        """The time is that of the whole request."""
        with served() as port:
            opened = Connection(port).send(b"GET / HTTP/1.1\r\nX: ")
            while _is_connected(opened):
                pass

    def test_a_client_that_does_not_read_is_disconnected(self) -> None:
        """What it does not read is not kept in memory."""
        asked, size = 400, 20_000
        with served() as port:
            opened = Connection(port, receive_buffer=4_096)
            for _ in range(asked):
                opened.get("/static/page.js")
            while _is_connected(opened):
                pass
            assert len(opened.rest()) < asked * size

    def test_a_stream_is_not_a_slow_client(self) -> None:
        """An open stream stays open for longer than a request may take, and its reader receives what is sent."""
        with served() as port:
            stream, slow = Connection(port).get("/live"), Connection(port)
            assert STREAM_BEGINS in stream.until(STREAM_BEGINS)
            assert slow.rest() == b""
            stream.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                stream.socket.recv(1)


def _is_connected(opened: Connection) -> bool:
    """Whether the server still has its end of a connection, by a byte to it."""
    opened.socket.settimeout(0.01)
    try:
        opened.socket.send(b"a")
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        opened.socket.settimeout(SECONDS)
    return True


def test_idle_connections_keep_no_reader_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand connections that ask nothing are closed for the one that asks; open streams stay."""
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 20)
    with served() as port:
        stream = Connection(port).get("/live")
        stream.until(STREAM_BEGINS)
        idle = [Connection(port) for _ in range(100)]
        assert Connection(port).get("/healthz", "Connection: close").rest().endswith(b"ok\n")
        assert idle[0].rest() == b""
        stream.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            stream.socket.recv(1)


def test_streams_have_a_maximum() -> None:
    """The one too many gets a sentence, and may come again."""
    with served(max_streams=2) as port:
        streams = [Connection(port).get("/live") for _ in range(2)]
        for stream in streams:
            stream.until(STREAM_BEGINS)
        refused = Connection(port).get("/live", "Connection: close").rest()
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"too many live feeds are open" in refused
        assert b"retry-after: 30" in refused.lower()


def test_dropped_streams_make_room() -> None:
    """A browser that reloads its page again and again is never refused."""
    with served(max_streams=1) as port:
        for _ in range(30):
            stream = Connection(port).get("/live", "Connection: close")
            while STREAM_BEGINS not in stream.until(STREAM_BEGINS):  # the server has not noticed the last one's end
                stream = Connection(port).get("/live", "Connection: close")
            stream.close()


class TestBytes:
    """What is no request of a browser."""

    @pytest.mark.parametrize(
        "sent",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"a" * 300_000,
        ],
    )
    def test_they_get_a_protected_refusal(self, sent: bytes) -> None:
        """The same headers as any other response, and the connection is closed."""
        with served() as port:
            found = Connection(port).send(sent).rest()
        assert found.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"Content-Security-Policy: default-src 'none'" in found
        assert found.endswith(b"\r\n\r\nInvalid HTTP request received.\n")

    @pytest.mark.parametrize(
        "headers",
        [
            b"Content-Length: 38\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    )
    def test_a_request_hidden_in_a_body_is_not_answered(self, headers: bytes) -> None:
        """A proxy and this server cannot disagree about where a request ends: nothing after it is read."""
        with served() as port:
            hidden = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            found = Connection(port).send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + hidden).rest()
        assert found.startswith(b"HTTP/1.1 400")
        assert found.count(b"HTTP/1.1") == 1

    def test_a_request_without_host_is_refused(self) -> None:
        """HTTP/1.0 needs no Host, but this site does."""
        with served() as port:
            assert Connection(port).send(b"GET / HTTP/1.0\r\n\r\n").rest().startswith(b"HTTP/1.1 421")

    @pytest.mark.parametrize("target", ["http://evil/facts", "http://127.0.0.1/facts", "*", "//evil/facts"])
    def test_a_whole_url_names_no_page(self, target: str) -> None:
        """Only proxies are asked with whole URLs; this site is none."""
        with served() as port:
            assert Connection(port).get(target, "Connection: close").rest().startswith(b"HTTP/1.1 404")

    def test_the_page_of_an_error_links_to_no_other_host(self) -> None:
        """Its links repeat the path, which may begin like the address of another site."""
        with served() as port:
            found = Connection(port).get("//evil.example/?asn=4134", "Connection: close").rest()
        assert b'href="/evil.example/' in found
        assert b'"//evil' not in found

    @pytest.mark.parametrize(
        "path",
        [
            "/%2e%2e/%2e%2e/etc/passwd",
            "/static/..%2f..%2fserver.py",
            "/static/%2e%2e%2fserver.py",
            "/static/../server.py",
            "/static/page.js%00",
            "/static/%ff",
            "/static//etc/passwd",
            "/network/%00",
            "/network/AS%FF",
            "/address/%ff",
            "/behaviour/__class__/x",
        ],
    )
    def test_a_path_names_no_file(self, path: str) -> None:
        """Neither parents, nor encoded slashes, nor zeros, nor bytes that are no text."""
        with served() as port:
            found = Connection(port).get(path, "Connection: close").rest()
        assert found.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
        assert (b"NUL character" in found) is ("%00" in path)
        assert b"Traceback" not in found

    def test_a_text_with_line_ends_names_a_page(self) -> None:
        """Attackers choose user names and commands with any characters, and their pages can be opened."""
        with served() as port:
            found = Connection(port).get("/behaviour/user/a%0Ab%2Fc?x=1", "Connection: close").rest()
        assert b"there is no parameter" in found

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        """Each of them, on one connection."""
        with served() as port:
            opened = Connection(port)
            for _ in range(50):
                opened.get("/healthz")
            found = opened.get("/none", "Connection: close").rest()
        assert (found.count(b"ok\n"), found.count(b"HTTP/1.1 404")) == (50, 1)


def test_an_internal_error_is_a_page_and_one_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The page has a sentence and nothing of the program; the operator finds the cause once."""

    def fail() -> Any:
        raise RuntimeError("fault in /srv/private")

    with served(FakeData(fail)) as port:
        found = Connection(port).get("/sessions", "Connection: close").rest()
    assert found.startswith(b"HTTP/1.1 500")
    assert b"<h1>internal error; the log has the cause</h1>" in found
    assert b"/srv/private" not in found
    assert b"Content-Security-Policy".lower() in found.lower()
    assert [record.exc_info is not None for record in caplog.records if record.name == "uvicorn.error"] == [True]


@pytest.fixture
def _logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG, logger="uvicorn.error"):
        yield


@pytest.mark.usefixtures("_logged")
def test_requests_write_nothing_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """No client can fill the log, or write into it."""
    with served() as port:
        Connection(port).send(b"\x00\r\n\r\n").rest()
        upgrade = ("Connection: Upgrade, close", "Upgrade: websocket")
        Connection(port).get("/healthz", *upgrade).rest()
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


class TestEnd:
    """How the command ends."""

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
    def test_a_signal_ends_it_with_open_streams_and_prints_nothing(
        self, number: signal.Signals, code: int, database: Path
    ) -> None:
        """Ctrl-C and service managers; readers see the end of their streams."""
        with ServeProcess(database) as process:
            streams = [Connection(process.port).get("/live") for _ in range(3)]
            for stream in streams:
                stream.until(STREAM_BEGINS)
            idle = Connection(process.port)
            ended = process.end(number)
            assert [stream.rest()[-5:] for stream in streams] == [b"0\r\n\r\n"] * 3
            assert idle.rest() == b""
        assert ended == (code, "")

    def test_a_long_query_does_not_delay_it(self) -> None:
        """Its answer comes too late, but the server has ended."""
        is_asked, is_free = Event(), Event()

        def wait() -> list[SessionRow]:
            is_asked.set()
            is_free.wait(2 * SECONDS)
            return []

        with served(FakeData(wait)) as port:
            opened = Connection(port).get("/sessions")
            assert is_asked.wait(SECONDS)
        is_free.set()
        assert opened.rest().startswith(b"HTTP/1.1 500")


def test_a_loader_has_priority(database: Path) -> None:
    """A busy site takes little of a processor that a loader needs."""
    with ServeProcess(database) as process:
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 15


class TestBegin:
    """What prevents the command from serving."""

    def test_a_port_in_use(self, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The sentence names the way out."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            place = f"127.0.0.1:{other.getsockname()[1]}"
            assert main(["serve", "--db", str(database), "--listen", place]) == 2
        assert "another program listens there: name another port with --listen" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("host", "reason"), [("203.0.113.5", "this machine has no such address"), ("a" * 70, "not a host name")]
    )
    def test_an_address_that_is_not_of_this_machine(self, host: str, reason: str) -> None:
        """Neither as a number nor as a name."""
        with pytest.raises(SettingRefused, match=reason):
            listen(host, 0)

    def test_a_missing_database_is_not_created(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It is an error of the command, and not of each page."""
        path = tmp_path / "none.db"
        assert main(["serve", "--db", str(path), "--listen", "127.0.0.1:0"]) == 1
        assert "there is no database" in capsys.readouterr().err
        assert not path.exists()

    def test_a_database_of_an_older_version(self, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The sentence names the command that renews it."""
        with sqlite3.connect(copy) as opened:
            opened.execute("UPDATE alembic_version SET version_num = '0001'")
        opened.close()
        assert main(["serve", "--db", str(copy), "--listen", "127.0.0.1:0"]) == 1
        assert "run `snapshots migrate`" in capsys.readouterr().err


class TestDatabase:
    """What happens to the database while it is served."""

    def test_a_deleted_one_is_a_sentence_without_its_path(self, copy: Path) -> None:
        """Readers learn what happened, and the operator where; it is printed once, and no file is made."""
        with ServeProcess(copy) as process:
            for path in copy.parent.glob("copy.db*"):
                path.unlink()
            pages = [Connection(process.port).get("/sessions", "Connection: close").rest() for _ in range(2)]
            ended = process.end()
        for page in pages:
            assert page.startswith(b"HTTP/1.1 503")
            assert b"there is no database; `snapshots load` creates it" in page
            assert copy.name.encode() not in page
        assert ended.stderr.count("there is no database") == 1
        assert str(copy) in ended.stderr
        assert not copy.exists()

    def test_a_restored_one_is_served_again(self, copy: Path) -> None:
        """Without a restart."""
        content = copy.read_bytes()
        with ServeProcess(copy) as process:
            copy.unlink()
            assert Connection(process.port).get("/sessions", "Connection: close").rest().startswith(b"HTTP/1.1 503")
            copy.write_bytes(content)
            found = Connection(process.port).get("/sessions", "Connection: close").rest()
        assert found.startswith(b"HTTP/1.1 200")
        assert b"198.51.100.7" in found

    def test_a_writer_that_locks_it_keeps_no_reader_out(self, copy: Path) -> None:
        """Such as a loader in the middle of a batch."""
        with ServeProcess(copy) as process:
            writer = sqlite3.connect(copy, isolation_level=None)
            writer.execute("BEGIN EXCLUSIVE")
            found = Connection(process.port).get("/sessions", "Connection: close").rest()
            writer.close()
        assert found.startswith(b"HTTP/1.1 200")

    def test_it_is_not_changed(self, database: Path) -> None:
        """Its content is the same after every page was asked."""
        before = _content(database)
        with ServeProcess(database) as process:
            for page in ("/", "/sessions", "/facts", "/session/a1", "/address/198.51.100.7", "/search?q=a1"):
                assert not Connection(process.port).get(page, "Connection: close").rest().startswith(b"HTTP/1.1 5")
        assert _content(database) == before


def _content(path: Path) -> list[str]:
    with sqlite3.connect(path) as opened:
        found = list(opened.iterdump())
    opened.close()
    return found


def test_the_token_is_in_no_output(database: Path, tmp_path: Path) -> None:
    """Neither in what the command prints, nor in any response, redirects and refusals included."""
    token = "secret-token-0123456789"
    file = tmp_path / "token"
    file.write_text(token)
    with ServeProcess(database, "--token-file", str(file)) as process:
        for target in (f"/?token={token}", f"/no?token={token}", f"/?token={token}x", "/facts"):
            assert token.encode() not in Connection(process.port).get(target, "Connection: close").rest()
        found = Connection(process.port).get("/facts", f"Authorization: Bearer {token}", "Connection: close").rest()
        assert found.startswith(b"HTTP/1.1 200")
        assert token.encode() not in found
        Connection(process.port).send(f"GET /?token={token} HTTP/1.1\r\n\r\n".encode()).rest()
        ended = process.end()
    assert token not in process.announced
    assert ended == (0, "")
