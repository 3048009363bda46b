"""Send new sessions to browsers as they are loaded, by server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import suppress
from time import monotonic

from snapshots.adapters.web.answers import Answers
from snapshots.app.queries.session_queries import SessionRow
from snapshots.domain.errors import SnapshotsError

EVERY = 2.0
"""Seconds between two queries of a feed, at least."""

SHARE = 20
"""A feed asks at most so often that its queries take a twentieth of the time."""

MOST_NEW = 20
"""Maximum number of sessions that one query finds: more are on the page of the list."""

REMEMBERED = 500
"""Sessions that a feed does not send again."""

HEARTBEAT = 15.0
"""Seconds after which a comment is sent, so that a lost connection is noticed."""

BACKLOG = 50
"""Messages that wait for a slow reader; beyond it, the reader is disconnected, and connects again."""


class Feed:
    """
    New sessions of one selection, for all of its readers.

    Args:
        answers: Asks in threads.
        query: Returns the newest sessions.
    """

    def __init__(self, answers: Answers, query: Callable[[], Sequence[SessionRow]]) -> None:
        self._answers = answers
        self._query = query
        self._seen: dict[str, None] = {}
        self.readers: set[asyncio.Queue[Sequence[SessionRow] | None]] = set()
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Ask again and again, and pass new sessions on."""
        is_first = True
        while True:
            began = monotonic()
            with suppress(SnapshotsError):  # such as a busy database: the next query may succeed
                found = await self._answers.ask(self._query)
                new = [line for line in found if line.session_id not in self._seen]
                self._seen |= dict.fromkeys(line.session_id for line in reversed(new))
                for session_id in list(self._seen)[:-REMEMBERED]:
                    del self._seen[session_id]
                if new and not is_first:
                    self._send(new)
                is_first = False
            await asyncio.sleep(max(EVERY, SHARE * (monotonic() - began)))

    def _send(self, lines: Sequence[SessionRow]) -> None:
        for reader in list(self.readers):
            if reader.qsize() >= BACKLOG:
                self.readers.discard(reader)
                while not reader.empty():
                    reader.get_nowait()
                reader.put_nowait(None)
            else:
                reader.put_nowait(lines)


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

    @property
    def is_full(self) -> bool:
        """Whether no further reader is accepted."""
        return self._is_closed or sum(len(feed.readers) for feed in self._feeds.values()) >= self._max_streams

    async def read(
        self, key: Hashable, query: Callable[[], Sequence[SessionRow]]
    ) -> AsyncIterator[Sequence[SessionRow]]:
        """
        Yield new sessions of a selection, the newest first; nothing after each heartbeat without any.

        Args:
            key: Equal for equal selections.
            query: Returns the newest sessions.
        """
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(self._answers, query)
            feed.task = asyncio.create_task(feed.run())
        reader: asyncio.Queue[Sequence[SessionRow] | None] = asyncio.Queue()
        feed.readers.add(reader)
        try:
            yield ()
            while True:
                try:
                    found = await asyncio.wait_for(reader.get(), HEARTBEAT)
                except TimeoutError:
                    yield ()
                    continue
                if found is None:
                    return
                yield found
        finally:
            feed.readers.discard(reader)
            if not feed.readers and self._feeds.get(key) is feed:
                del self._feeds[key]
                if feed.task is not None:
                    feed.task.cancel()

    def close(self) -> None:
        """End all readers."""
        self._is_closed = True
        for feed in self._feeds.values():
            for reader in feed.readers:
                reader.put_nowait(None)
