"""Answer about the site itself: metrics and health."""

import asyncio
from time import monotonic

from anyio import CapacityLimiter, to_thread
from starlette.responses import PlainTextResponse, Response

from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.api.operations import MONITORING
from snapshots.adapters.web.api.parameters import Asked
from snapshots.adapters.web.problems import problem
from snapshots.adapters.web.services import SiteData
from snapshots.domain.errors import SnapshotsError

HEALTH_SECONDS = 2.0
"""A database that takes longer for a trivial query is not healthy."""

HEALTH_KEPT = 1.0
"""Seconds between two such queries, at least: anyone may ask."""

METRICS_TYPE = next(each.media_type for each in MONITORING if each.name == "metrics")


class Monitoring:
    """
    Handlers of metrics and health.

    Args:
        data: The queries.
        answers: Asks them in threads.
        health_seconds: Time in which a healthy database answers.
    """

    def __init__(self, data: SiteData, answers: Answers, health_seconds: float = HEALTH_SECONDS) -> None:
        self._data = data
        self._answers = answers
        self._health_seconds = health_seconds
        self._limiter = CapacityLimiter(1)  # of its own: the threads of long queries may all be in use
        self._pending: asyncio.Task[bool] | None = None
        self._asked_at = -HEALTH_KEPT

    async def metrics(self, _asked: Asked) -> Response:
        """Answer with the metrics of the database."""
        text = await self._answers.kept("metrics", self._data.metrics_text)
        return Response(text, headers={"Content-Type": METRICS_TYPE})

    async def health(self, _asked: Asked) -> Response:
        """Answer whether the database answers, without details."""
        is_old = self._pending is None or (self._pending.done() and monotonic() >= self._asked_at + HEALTH_KEPT)
        if self._pending is None or is_old:
            self._asked_at = monotonic()
            self._pending = asyncio.create_task(self._answers_now())
        try:
            is_healthy = await asyncio.wait_for(asyncio.shield(self._pending), self._health_seconds)
        except TimeoutError:
            is_healthy = False
        return PlainTextResponse("ok\n") if is_healthy else problem(503, "the database does not answer")

    async def _answers_now(self) -> bool:
        try:
            await to_thread.run_sync(self._data.data_version, limiter=self._limiter)
        except SnapshotsError:
            return False
        return True
