"""Export many sessions: streamed page by page, few at a time, with tags for conditional requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from snapshots.adapters.feeds.abuse_report import text_report
from snapshots.adapters.feeds.formats.blocklist import RESEARCH_SCANNERS, AllowList, BlockList, Style
from snapshots.adapters.feeds.formats.csv import csv_texts
from snapshots.adapters.feeds.formats.ndjson import ndjson_line
from snapshots.adapters.feeds.formats.stix import StixWriter
from snapshots.adapters.web.api.conditional import headers_of, is_kept, not_modified, tag_of
from snapshots.adapters.web.api.documents import asn_in
from snapshots.adapters.web.api.parameters import Asked
from snapshots.adapters.web.api.public import lines_without_passwords
from snapshots.adapters.web.problems import NotFound, problem
from snapshots.adapters.web.services import SiteData, SiteOptions
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.address_activity import by_address
from snapshots.app.queries.paging import ACTIVITY_PAGE, every_address, every_line
from snapshots.app.queries.session_queries import Dimension, SessionFilter, SessionRow
from snapshots.domain.errors import SnapshotsError

T = TypeVar("T")

MOST_FEEDS = 4
"""Maximum number of feeds that are sent at a time."""

THREADS = 2
"""Maximum number of queries of feeds at a time; pages have threads of their own."""

MOST_SESSIONS, MOST_STIX, MOST_ADDRESSES = 100_000, 20_000, 250_000
"""Maximum number of rows of a feed: a bundle takes most memory and time for each session."""

LONGEST = 900.0
"""Seconds after which a feed is ended, also because its reader is slow."""

CHUNK = 65_536
"""Characters that are sent at a time."""


class FeedTooLong(SnapshotsError):
    """More sessions than a feed may have were loaded while it was sent."""


class FeedResponse(StreamingResponse):
    """
    A feed. After an error the connection is closed without an end, so that no client takes a part for the whole.

    Args:
        content: The text.
        on_end: Called at its end.
    """

    def __init__(self, content: AsyncIterator[str], on_end: Callable[[], None], **options: Any) -> None:
        super().__init__(content, **options)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the feed."""
        try:
            async with asyncio.timeout(LONGEST):
                await super().__call__(scope, receive, send)
        except (SnapshotsError, TimeoutError):
            return  # the server closes a connection whose response is not complete
        finally:
            self._on_end()


class Feeds:
    """
    Handlers of feeds.

    Args:
        data: The queries.
        options: Whether texts of passwords are shown, and the version, which is part of tags.
    """

    def __init__(self, data: SiteData, options: SiteOptions) -> None:
        self._data = data
        self._options = options
        self._limiter = CapacityLimiter(THREADS)
        self._open = 0
        self._scanners: AllowList | None = None

    async def block_list(self, asked: Asked) -> Response:
        """Answer with a list for a firewall."""
        return await self._answer(asked, "text/plain", lambda session_filter: self._blocked(asked, session_filter))

    async def sessions_csv(self, asked: Asked) -> Response:
        """Answer with sessions as CSV."""
        return await self._answer(asked, "text/csv", self._exported(asked, csv_texts), name="sessions.csv")

    async def sessions_json(self, asked: Asked) -> Response:
        """Answer with sessions as an array of JSON."""
        return await self._answer(asked, "application/json", self._exported(asked, _json), name="sessions.json")

    async def stix(self, asked: Asked) -> Response:
        """Answer with sessions as a bundle of STIX."""
        texts = self._exported(asked, lambda lines: StixWriter().texts(lines), most=MOST_STIX)
        return await self._answer(asked, "application/stix+json;version=2.1", texts, name="stix21.json")

    async def abuse_report(self, asked: Asked) -> Response:
        """Answer with a report to the holder of a network."""
        asn = asn_in(asked)

        def texts(session_filter: SessionFilter) -> Iterator[str]:
            lines = self._lines(asked, session_filter, MOST_SESSIONS)
            found = [each for each in by_address(lines).values() if each.is_attack]
            if not found:
                raise NotFound("no attacks from routable addresses match")
            return (f"{line}\n" for line in text_report(int(asn), found))

        return await self._answer(asked, "text/plain", texts, ("asn", asn))

    async def _answer(
        self,
        asked: Asked,
        media_type: str,
        texts_of: Callable[[SessionFilter], Iterator[str]],
        *more: tuple[str, str],
        name: str | None = None,
    ) -> Response:
        if self._open >= MOST_FEEDS:
            return problem(503, "too many feeds are being sent", {"Retry-After": "30"})
        self._open += 1
        try:
            tag, session_filter = await self._ask(lambda: self._tagged(asked, *more))
            if is_kept(asked.accepted, tag):
                response = not_modified(tag)
            else:
                chunks = await self._ask(lambda: _begun(_chunks(texts_of(session_filter))))
                response = self._response(asked, chunks, headers_of(tag), media_type, name)
        except BaseException:
            self._open -= 1
            raise
        if not isinstance(response, FeedResponse):
            self._end()
        return response

    def _response(
        self, asked: Asked, chunks: Iterator[str], headers: dict[str, str], media_type: str, name: str | None
    ) -> Response:
        """Return the response with chunks, or with its headers alone."""
        if name is not None:
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        if asked.is_head:
            response = Response(None, headers=headers, media_type=media_type)
            del response.headers["Content-Length"]  # it is that of the feed, which is unknown
            return response

        async def content() -> AsyncIterator[str]:
            while chunk := await self._ask(lambda: next(chunks, "")):
                yield chunk

        return FeedResponse(content(), self._end, headers=headers, media_type=media_type)

    async def _ask(self, query: Callable[[], T]) -> T:
        return await to_thread.run_sync(query, limiter=self._limiter)

    def _end(self) -> None:
        self._open -= 1

    def _tagged(self, asked: Asked, *more: tuple[str, str]) -> tuple[str, SessionFilter]:
        """
        Return the tag of the data, and the filter.

        Times such as 7d move with each request. They select the same sessions as long as the newest session before them
        is the same, so that this session's time is in the tag.
        """
        version = (
            self._data.data_version()
        )  # before the sessions are read: it may be older than they are, and not newer
        session_filter = asked.filter(self._data, *more)
        limits = (session_filter.since, session_filter.until)
        tag = tag_of(
            (self._options.version, self._options.shows_passwords, version),
            (asked.name, sorted(asked.values.items())),
            replace(session_filter, since=None, until=None),
            [limit and (self._newest_before(limit),) for limit in limits],
        )
        return tag, session_filter

    def _newest_before(self, limit: datetime) -> datetime | None:
        lines = self._data.session_queries.lines(SessionFilter(until=limit), limit=1).lines
        return lines[0].first_event_at if lines else None

    def _blocked(self, asked: Asked, session_filter: SessionFilter) -> Iterator[str]:
        """
        Return the lines of a block list.

        Its addresses are read before the first line is sent: a list that is empty, too long, or cut by an error must
        not replace the one of a firewall.
        """
        values, queries = asked.values, self._data.session_queries
        every = every_address(queries, session_filter, at_least=values["min-sessions"])
        addresses = list(islice(every, MOST_ADDRESSES + 1))
        if len(addresses) > MOST_ADDRESSES:
            raise InvalidQuery(
                f"a block list has at most {MOST_ADDRESSES:,} addresses, and more match: add filters such as since=30d,"
                " or min-sessions=2"
            )
        if not addresses:
            asked.check(self._data, session_filter)
        found = BlockList(addresses, self._allowed(values["except-scanners"]))
        lines = list(found.lines(Style(values["style"])))
        if not found.count and not values["allow-empty"]:
            raise NotFound("no addresses match, so there is no list: use allow-empty=true for an empty one")
        return (f"{line}\n" for line in lines)

    def _allowed(self, is_used: bool) -> AllowList:  # noqa: FBT001 - the value of a parameter
        if not is_used:
            return AllowList()
        if self._scanners is None:
            self._scanners = AllowList.read(RESEARCH_SCANNERS)
        return self._scanners

    def _exported(
        self, asked: Asked, write: Callable[[Iterable[SessionRow]], Iterator[str]], *, most: int = MOST_SESSIONS
    ) -> Callable[[SessionFilter], Iterator[str]]:
        """Return what returns the text of sessions."""

        def texts(session_filter: SessionFilter) -> Iterator[str]:
            lines = self._lines(asked, session_filter, most)
            return write(lines if self._options.shows_passwords else lines_without_passwords(lines))

        return texts

    def _lines(self, asked: Asked, session_filter: SessionFilter, most: int) -> Iterator[SessionRow]:
        """Return sessions with what was done, the newest first; refuse too many, or a misspelled filter."""
        queries = self._data.session_queries
        count = queries.concentration(session_filter, Dimension.PROTOCOL).total
        if count > most:
            raise InvalidQuery(
                f"{count:,} sessions match, and this feed has at most {most:,}: add filters such as since=30d, or use"
                " `snapshots export`"
            )
        if not count:
            asked.check(self._data, session_filter)
        return _at_most(most, every_line(queries, session_filter, page=ACTIVITY_PAGE, with_activity=True))


def _at_most(most: int, lines: Iterator[T]) -> Iterator[T]:
    yield from islice(lines, most)
    if next(lines, None) is not None:
        raise FeedTooLong("more sessions were loaded meanwhile")


def _json(lines: Iterable[SessionRow]) -> Iterator[str]:
    before = "[\n"
    for line in lines:
        yield before + ndjson_line(line)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def _chunks(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts joined to chunks."""
    parts: list[str] = []
    size = 0
    for text in texts:
        parts.append(text)
        size += len(text)
        if size >= CHUNK:
            yield "".join(parts)
            parts, size = [], 0
    if parts:
        yield "".join(parts)


def _begun(chunks: Iterator[str]) -> Iterator[str]:
    """Return chunks of which the first was read: an error is an answer then, and not the end of a connection."""
    first = next(chunks, "")

    def every() -> Iterator[str]:
        if first:
            yield first
        yield from chunks

    return every()
