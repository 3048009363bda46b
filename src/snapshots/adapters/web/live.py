"""Send new sessions to browsers as they are loaded, by server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from time import monotonic

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.problems import problem
from snapshots.app.queries.session_queries import SessionRow
from snapshots.domain.errors import SnapshotsError

EVERY = 2.0
"""Seconds between two queries of a feed, at least."""

SHARE = 20
"""Feeds ask at most so often that the queries of all of them take a twentieth of the time."""

MOST_NEW = 20
"""Maximum number of sessions that one query finds: more are on the page of the list."""

REMEMBERED = 500
"""Sessions that a feed does not send again."""

HEARTBEAT = 15.0
"""Seconds after which a comment is sent, so that a lost connection is noticed."""

BACKLOG = 50
"""Messages that wait for a slow reader; beyond it, the reader is disconnected, and connects again."""

Rows = Callable[[], Sequence[SessionRow]]
TextOf = Callable[[SessionRow], str]
Reader = asyncio.Queue[Sequence[str] | None]
"""Texts of new sessions, the oldest first; None at the end."""


def pause(took: float, feeds: int) -> float:
    """Return the seconds until a feed asks again, after a query that took some seconds."""
    return max(EVERY, SHARE * feeds * took)


class Feed:
    """
    New sessions of one selection, for all of its readers.

    Args:
        answers: Asks in threads.
        query: Returns the newest sessions.
        text_of: Returns a session as text on one line.
        count: Returns the number of feeds.
    """

    def __init__(self, answers: Answers, query: Rows, text_of: TextOf, count: Callable[[], int]) -> None:
        self._answers = answers
        self._query = query
        self._text_of = text_of
        self._count = count
        self.remembered: dict[str, None] = {}
        """IDs of the sessions that were sent, the oldest first."""
        self.latest: Sequence[str] = ()
        """Texts of the newest sessions, the oldest first: a reader begins with them, so that it misses none."""
        self.readers: set[Reader] = set()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self.end())

    @property
    def has_ended(self) -> bool:
        """Whether it asks no more."""
        return self._task.done()

    def end(self) -> None:
        """End the feed and its readers."""
        self._task.cancel()
        for reader in list(self.readers):
            self._drop(reader)

    async def _run(self) -> None:
        """Ask again and again, and pass new sessions on."""
        while True:
            began = monotonic()
            with suppress(SnapshotsError):  # such as a busy database: the next query may succeed
                found = await self._answers.ask(self._query)
                new = [line for line in reversed(found) if line.session_id not in self.remembered]
                if new:
                    texts = await self._answers.ask(partial(self._texts, new))
                    self.latest = [*self.latest, *texts][-MOST_NEW:]
                    self._send(texts)
                self.remembered |= dict.fromkeys(line.session_id for line in new)
                for session_id in list(self.remembered)[:-REMEMBERED]:
                    del self.remembered[session_id]
            await asyncio.sleep(pause(monotonic() - began, self._count()))

    def _texts(self, lines: Sequence[SessionRow]) -> Sequence[str]:
        return [self._text_of(line) for line in lines]

    def _send(self, texts: Sequence[str]) -> None:
        for reader in list(self.readers):
            if reader.qsize() >= BACKLOG:
                self._drop(reader)
            else:
                reader.put_nowait(texts)

    def _drop(self, reader: Reader) -> None:
        self.readers.discard(reader)
        while not reader.empty():
            reader.get_nowait()
        reader.put_nowait(None)


class LiveFeeds:
    """
    The feeds that browsers read; one for each selection, as long as it has readers.

    Args:
        answers: Asks in threads.
        max_streams: Maximum number of readers.
    """

    def __init__(self, answers: Answers, max_streams: int) -> None:
        self._answers = answers
        self._max_streams = max_streams
        self._feeds: dict[Hashable, Feed] = {}
        self._is_closed = False
        self.open = 0
        """Number of readers, slow ones that were disconnected included until they are gone."""

    @contextmanager
    def reader(self, key: Hashable, query: Rows, text_of: TextOf) -> Iterator[Reader | None]:
        """
        Open a reader of the newest sessions of a selection, and of new ones; None if there are too many readers.

        Args:
            key: Equal for equal selections and texts.
            query: Returns the newest sessions.
            text_of: Returns a session as text on one line.
        """
        if self._is_closed or self.open >= self._max_streams:
            yield None
            return
        feed = self._feeds.get(key)
        if feed is None or feed.has_ended:
            feed = self._feeds[key] = Feed(self._answers, query, text_of, lambda: len(self._feeds))
        reader: Reader = asyncio.Queue()
        if feed.latest:
            reader.put_nowait(feed.latest)
        feed.readers.add(reader)
        self.open += 1
        try:
            yield reader
        finally:
            self.open -= 1
            feed.readers.discard(reader)
            if not feed.readers and self._feeds.get(key) is feed:
                del self._feeds[key]
                feed.end()

    @property
    def feeds(self) -> Sequence[Feed]:
        """The feeds that have readers."""
        return list(self._feeds.values())

    def close(self) -> None:
        """End all readers, and accept no further one."""
        self._is_closed = True
        for feed in list(self._feeds.values()):
            feed.end()


class EventStream(Response):
    """
    The response with new sessions: the reader is closed with it, however it ends.

    Args:
        live: The feeds.
        key: Equal for equal selections and texts.
        query: Returns the newest sessions.
        text_of: Returns a session as text on one line.
    """

    media_type = "text/event-stream"

    def __init__(self, live: LiveFeeds, key: Hashable, query: Rows, text_of: TextOf) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._reader = partial(live.reader, key, query, text_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client is gone, or the reader ends."""
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        with self._reader() as reader:
            if reader is None:
                headers = {"Retry-After": "30"}
                response = problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many live feeds are open", headers)
            else:
                response = StreamingResponse(_events(reader), headers=dict(self.headers))
            await response(scope, receive, send)


async def _events(reader: Reader) -> AsyncIterator[str]:
    found: Sequence[str] | None = ()
    while found is not None:
        if not found:
            yield ": still here\n\n"
        for text in found:
            yield f"event: session\ndata: {text}\n\n"
        try:
            found = await asyncio.wait_for(reader.get(), HEARTBEAT)
        except TimeoutError:
            found = ()
