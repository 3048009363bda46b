"""Live feeds: each new session once to every reader, and nothing left of readers that are gone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from snapshots.adapters.cli.services import ServeOptions
from snapshots.adapters.web import live as module
from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.live import BACKLOG, REMEMBERED, SHARE, EventStream, LiveFeeds, Reader
from snapshots.adapters.web.pages import Pages
from snapshots.adapters.web.replay import Replays
from snapshots.app.errors import StoreBusy
from snapshots.app.queries.session_queries import SessionRow
from tests.adapters.web.served import FakeData

SECONDS = 20.0


class Stored:
    """The newest sessions of a database that changes."""

    def __init__(self) -> None:
        self.lines: list[SessionRow] = []
        self.errors: list[Exception] = []
        self.times = 0

    def add(self, *names: str) -> None:
        """Store sessions."""
        self.lines = [*(row(name) for name in reversed(names)), *self.lines]

    def __call__(self) -> Sequence[SessionRow]:
        """Return the newest sessions, or fail."""
        self.times += 1
        if self.errors:
            raise self.errors.pop()
        return self.lines[:20]


def row(name: str, **values: Any) -> SessionRow:
    """Return a session."""
    empty = dict.fromkeys(SessionRow._fields)
    counts = {"logins": 0, "commands": 0, "downloads": 0}
    found = {**empty, **counts, "session_id": name, "first_event_at": datetime(2026, 1, 1, tzinfo=UTC), **values}
    return SessionRow(**found)


def name_of(line: SessionRow) -> str:
    """Return the text of a session in these tests."""
    return line.session_id


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)
    monkeypatch.setattr(module, "SHARE", 0)


def run(scenario: Callable[[LiveFeeds], Awaitable[None]], most: int = 1_000) -> None:
    """Run a scenario; no task may be left of it."""

    async def scene() -> None:
        before = asyncio.all_tasks()
        live = LiveFeeds(Answers(), most)
        async with asyncio.timeout(SECONDS):
            await scenario(live)
            live.close()
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0)
        assert live.open == 0

    asyncio.run(scene())


async def asked(stored: Stored, times: int = 1) -> None:
    """Wait until the feed asked again, and used the answer."""
    end = stored.times + times + 1
    while stored.times < end:
        await asyncio.sleep(0)


async def next_of(reader: Reader | None) -> Sequence[str] | None:
    """Return what a reader receives next."""
    assert reader is not None
    return await reader.get()


def test_every_reader_receives_a_new_session() -> None:
    """The oldest first, after those that were stored before: no session is between a page and its feed."""

    async def scene(live: LiveFeeds) -> None:
        stored = Stored()
        stored.add("old", "older")
        with live.reader("key", stored, name_of) as one:
            assert await next_of(one) == ["old", "older"]
            with live.reader("key", stored, name_of) as two:
                assert await next_of(two) == ["old", "older"]
                stored.add("a", "b")
                assert [await next_of(one), await next_of(two)] == [["a", "b"]] * 2
                with live.reader("key", stored, name_of) as three:
                    assert await next_of(three) == ["old", "older", "a", "b"]

    run(scene)


def test_a_session_is_sent_once() -> None:
    """Also while the query finds it again, and after many others."""

    async def scene(live: LiveFeeds) -> None:
        stored = Stored()
        with live.reader("key", stored, name_of) as reader:
            await asked(stored)
            stored.add("a")
            assert await next_of(reader) == ["a"]
            stored.add("b")
            assert await next_of(reader) == ["b"]

    run(scene)


def test_equal_selections_share_a_query_and_a_text() -> None:
    """A hundred tabs of one page cost as much as one."""

    async def scene(live: LiveFeeds) -> None:
        stored, texts = Stored(), []

        def text(line: SessionRow) -> str:
            texts.append(line.session_id)
            return line.session_id

        with live.reader("key", stored, text) as one, live.reader("key", Stored(), text) as two:
            await asked(stored)
            stored.add("a")
            assert [await next_of(one), await next_of(two)] == [["a"]] * 2
        assert texts == ["a"]

    run(scene)


def test_all_feeds_together_take_a_twentieth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The more selections are followed, the less often each is asked: the loader must not wait for readers."""
    monkeypatch.setattr(module, "SHARE", SHARE)
    assert SHARE == 20
    assert module.pause(0.5, 1) == pytest.approx(10.0)
    assert module.pause(0.5, 30) == pytest.approx(300.0)


def test_a_busy_database_does_not_end_a_feed() -> None:
    """The next query may succeed."""

    async def scene(live: LiveFeeds) -> None:
        stored = Stored()
        with live.reader("key", stored, name_of) as reader:
            await asked(stored)
            stored.errors.append(StoreBusy("busy"))
            await asked(stored)
            stored.add("a")
            assert await next_of(reader) == ["a"]

    run(scene)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_internal_error_ends_the_readers() -> None:
    """A browser connects again, instead of waiting for a feed that asks no more."""

    async def scene(live: LiveFeeds) -> None:
        stored = Stored()
        stored.errors.append(RuntimeError("fault"))
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with live.reader("key", stored, name_of) as reader:
            assert await next_of(reader) is None

    run(scene)


def test_a_feed_that_ended_is_not_joined() -> None:
    """The browser that connects again gets a new feed."""

    async def scene(live: LiveFeeds) -> None:
        broken, stored = Stored(), Stored()
        broken.errors.append(RuntimeError("fault"))
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with live.reader("key", broken, name_of) as first:
            assert await next_of(first) is None
            with live.reader("key", stored, name_of) as second:
                await asked(stored)
                stored.add("a")
                assert await next_of(second) == ["a"]

    run(scene)


def test_a_reader_that_does_not_read_is_disconnected() -> None:
    """Its messages are not collected in memory; the others receive theirs."""

    async def scene(live: LiveFeeds) -> None:
        stored = Stored()
        with live.reader("key", stored, name_of) as slow, live.reader("key", stored, name_of) as quick:
            await asked(stored)
            for number in range(BACKLOG + 1):
                stored.add(str(number))
                assert await next_of(quick) == [str(number)]
            assert await next_of(slow) is None

    run(scene)


def test_a_disconnected_reader_counts_until_it_is_gone() -> None:
    """Slow clients cannot open more streams than are allowed."""

    async def scene(live: LiveFeeds) -> None:
        with live.reader("key", Stored(), name_of), live.reader("key", Stored(), name_of):
            live.close()
            assert live.open == 2

    run(scene)


def test_sessions_that_were_sent_are_remembered_up_to_a_number() -> None:
    """Memory does not grow with the time that a page is open."""

    async def scene(live: LiveFeeds) -> None:
        stored = Stored()
        with live.reader("key", stored, name_of) as reader:
            await asked(stored)
            for number in range(REMEMBERED // 10):
                stored.add(*(f"{number}-{each}" for each in range(15)))
                await next_of(reader)
            await asked(stored)
            (feed,) = live.feeds
            assert len(feed.remembered) == REMEMBERED

    run(scene)


def test_closing_ends_readers_and_accepts_no_other() -> None:
    """The server ends although browsers have streams open."""

    async def scene(live: LiveFeeds) -> None:
        with live.reader("key", Stored(), name_of) as reader:
            live.close()
            assert await next_of(reader) is None
            with live.reader("key", Stored(), name_of) as late:
                assert late is None

    run(scene)


class Client:
    """A client of a stream, as the server sees it."""

    def __init__(self, method: str = "GET") -> None:
        self.scope = {"type": "http", "method": method, "asgi": {"spec_version": "2.3"}, "headers": []}
        self.sent: list[Any] = []
        self.is_gone = asyncio.Event()
        self.has_headers = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """Return when the client is gone."""
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Take a part of the response."""
        self.sent.append(message)
        self.has_headers.set()

    @property
    def status(self) -> int:
        """Return the status of the response."""
        return int(self.sent[0]["status"])


def opened(live: LiveFeeds, client: Client, key: str = "key") -> asyncio.Task[None]:
    """Open a stream for a client."""
    stream = EventStream(live, key, Stored(), name_of)
    return asyncio.create_task(stream(client.scope, client.receive, client.send))


def test_streams_above_the_maximum_are_refused_also_at_the_same_time() -> None:
    """A hundred requests that arrive at once get three streams."""

    async def scene(live: LiveFeeds) -> None:
        clients = [Client() for _ in range(100)]
        tasks = [opened(live, client) for client in clients]
        for client in clients:
            await client.has_headers.wait()
        assert sorted(client.status for client in clients) == [200] * 3 + [503] * 97
        for client in clients:
            client.is_gone.set()
        await asyncio.gather(*tasks)

    run(scene, most=3)


def test_nothing_is_left_of_streams_that_were_dropped() -> None:
    """Neither readers nor tasks, whenever the client left: before its response, or later."""

    async def scene(live: LiveFeeds) -> None:
        for number in range(400):
            client = Client()
            task = opened(live, client, key=str(number % 7))
            if number % 3:
                await asyncio.sleep(0)
            if number % 3 == 2:
                await client.has_headers.wait()
            if number % 2:
                task.cancel()
            client.is_gone.set()
            await asyncio.wait([task])
        assert (live.open, live.feeds) == (0, [])

    run(scene)


def test_a_stream_has_the_form_of_server_sent_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment at the beginning and after each silence; no proxy keeps it back."""
    monkeypatch.setattr(module, "HEARTBEAT", 0.0)

    async def scene(live: LiveFeeds) -> None:
        client = Client()
        task = opened(live, client)
        while len(client.sent) < 4:
            await asyncio.sleep(0)
        client.is_gone.set()
        await task
        headers = dict(client.sent[0]["headers"])
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert headers[b"x-accel-buffering"] == b"no"
        assert [part["body"] for part in client.sent[1:4]] == [b": still here\n\n"] * 3

    run(scene)


def test_head_opens_no_stream() -> None:
    """It would never end, and its client would never see why."""

    async def scene(live: LiveFeeds) -> None:
        client = Client("HEAD")
        await opened(live, client)
        assert (client.status, live.feeds) == (200, [])

    run(scene)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "a\n\ndata: <b>x</b>\n\n",
        "a\rdata: x\r\r",
        "\u2028\u2029\x85\x0b\x0c",
        "\u202e\x00",
    ],
)
def test_a_row_is_one_line_in_which_nothing_runs(hostile: str) -> None:
    """No text of an attacker begins a message of its own, an element or an attribute."""
    data: Any = FakeData()
    answers, options = Answers(), ServeOptions(version="1")
    pages = Pages(data, answers, options, Replays(data, answers, options))
    values = {"source_ip": "192.0.2.1", "asn": 1, "organization": hostile, "country": "DE", "sensor": hostile}
    text = pages.row(row(hostile, **values))
    assert "\n" not in text
    assert "\r" not in text
    assert "<script" not in text
    assert "<img" not in text
    assert text.count("<tr data-session=") == 1
