"""Ask the database in threads, few at a time, and keep answers that took long."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar, cast

from anyio import CapacityLimiter, to_thread

from snapshots.app.errors import StoreBusy

T = TypeVar("T")

AT_ONCE = min(4, max(2, os.cpu_count() or 2))
"""Maximum number of queries at a time: with their low priority, two take little of a single core."""

MOST_WAITING = 100
"""Maximum number of queries that wait for others."""

MOST_KEPT = 64
"""Maximum number of answers that are kept."""

SHARE = 20
"""An answer is kept this many times as long as it took, so that its query takes at most a twentieth of the time."""

LEAST_KEPT, LONGEST_KEPT = 2.0, 600.0
"""Seconds for which an answer is kept at least and at most."""

END_SECONDS = 1.0


class Answer(NamedTuple, Generic[T]):
    """
    An answer.

    Attributes:
        value: The answer.
        asked_at: Seconds of the monotonic clock at which the query began.
        kept_until: The same at which it is asked again.
    """

    value: T
    asked_at: float
    kept_until: float


class Answers:
    """Answers of the database; equal questions at the same time are asked once."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(AT_ONCE)
        self._asked = 0
        self._kept: OrderedDict[Hashable, Answer[Any]] = OrderedDict()
        self._pending: dict[Hashable, asyncio.Task[Answer[Any]]] = {}

    async def ask(self, query: Callable[[], T]) -> T:
        """
        Return the answer of a query that takes little time.

        Raises:
            StoreBusy: Too many queries wait.
        """
        if self._asked >= AT_ONCE + MOST_WAITING:
            raise StoreBusy("too many queries wait; try again in a minute")
        self._asked += 1
        try:
            return await to_thread.run_sync(query, limiter=self._limiter)
        finally:
            self._asked -= 1

    async def kept(self, key: Hashable, query: Callable[[], T]) -> T:
        """
        Return the answer of a query that may take long: a kept one, also if it is asked again meanwhile.

        Args:
            key: Equal for equal questions.
            query: Asks the database.
        """
        found = self._kept.get(key)
        if found is not None and monotonic() < found.kept_until:
            self._kept.move_to_end(key)
            return cast("T", found.value)
        task = self._pending.get(key)
        if task is None:
            task = self._pending[key] = asyncio.create_task(self._answer(key, query))
            task.add_done_callback(_retrieved)
        if found is not None and monotonic() < found.kept_until + LONGEST_KEPT:
            return cast("T", found.value)
        return cast("T", (await asyncio.shield(task)).value)

    async def _answer(self, key: Hashable, query: Callable[[], Any]) -> Answer[Any]:
        asked_at = monotonic()
        try:
            value = await self.ask(query)
            took = monotonic() - asked_at
            answer = Answer(value, asked_at, monotonic() + min(max(SHARE * took, LEAST_KEPT), LONGEST_KEPT))
            self._kept[key] = answer
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return answer
        finally:
            self._pending.pop(key, None)

    async def close(self) -> None:
        """Wait a second for pending queries, whose answers no request waits for any more."""
        if self._pending:
            await asyncio.wait(list(self._pending.values()), timeout=END_SECONDS)


def _retrieved(task: asyncio.Task[Answer[Any]]) -> None:
    """Take the error of a task for which no request waits any more; the next request asks again."""
    if not task.cancelled():
        task.exception()
