"""All routes of the site."""

import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from snapshots.adapters.feeds.json_text import plain
from snapshots.adapters.feeds.rows import session_columns
from snapshots.adapters.web.access import Access
from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.api.documents import Documents
from snapshots.adapters.web.api.feeds import Feeds
from snapshots.adapters.web.api.monitoring import Monitoring
from snapshots.adapters.web.api.operations import API, FEEDS, MONITORING
from snapshots.adapters.web.api.operations import routes as routes_of
from snapshots.adapters.web.live import MOST_NEW, EventStream, LiveFeeds
from snapshots.adapters.web.pages import Pages
from snapshots.adapters.web.problems import problem, sentence_of, status_of
from snapshots.adapters.web.rendering import static_files
from snapshots.adapters.web.replay import Replays
from snapshots.adapters.web.selection import Selection, read_selection, sent_path
from snapshots.adapters.web.services import SiteData, SiteOptions
from snapshots.app.errors import StoreUnavailable
from snapshots.app.queries.session_queries import SessionRow
from snapshots.app.safe_text import one_line
from snapshots.domain.errors import SnapshotsError

MACHINES, ABUSE_REPORT = ("/api/", "/feed/", "/metrics", "/healthz", "/live"), "/abuse-report.txt"
"""Beginnings and end of paths that programs read: their errors are problem documents."""


class TextConvertor(StringConvertor):
    """Any text of a path, with slashes and line ends: attackers choose it."""

    regex = r"[\s\S]*"


register_url_convertor("text", TextConvertor())


def make_site(data: SiteData, options: SiteOptions) -> Access:
    """
    Return the site as an ASGI application.

    Args:
        data: The queries.
        options: How it is served.
    """
    answers = Answers()
    live = LiveFeeds(answers, options.max_streams)
    replays = Replays(data, answers, options)
    pages = Pages(data, answers, options, replays)
    streams = Streams(data, live, pages.row)
    warn = Warnings()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        live.close()
        await answers.close()

    async def on_error(request: Request, error: Exception) -> Response:
        if isinstance(error, SnapshotsError):
            if isinstance(error, StoreUnavailable):
                warn(str(error))
            return _error(request, pages, status_of(error), sentence_of(error, data.shown_database))
        if isinstance(error, HTTPException):
            sentence = "there is no such page" if error.status_code == HTTPStatus.NOT_FOUND else error.detail
            return _error(request, pages, error.status_code, sentence)
        return _error(request, pages, HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; the log has the cause")

    routes = [
        Route("/", pages.overview),
        Route("/sessions", pages.sessions),
        Route("/network/{asn}", pages.network),
        Route("/address/{address}", pages.address),
        Route("/session/{session_id:text}/replay", replays.page),
        Route("/session/{session_id:text}/replay.cast", replays.asciicast),
        Route("/session/{session_id:text}", pages.session),
        Route("/behaviour/{key}/{value:text}", pages.behaviour),
        Route("/facts", pages.facts),
        Route("/search", pages.search),
        Route("/add-filter", pages.add_filter),
        Route("/live", streams.rows),
        Route("/static/{name}", StaticFiles().file),
        *routes_of(API, Documents(data, answers, options, streams.documents)),
        *routes_of(FEEDS, Feeds(data, options)),
        *routes_of(MONITORING, Monitoring(data, answers)),
    ]
    site = Starlette(
        routes=routes,
        middleware=[Middleware(GZipMiddleware, minimum_size=1000)],
        exception_handlers={SnapshotsError: on_error, HTTPException: on_error, Exception: on_error},
        lifespan=lifespan,
    )
    site.router.redirect_slashes = False  # it would redirect to the Host and scheme that the request names
    return Access(site, options, live.close)


class Warnings:
    """Prints to stderr why the database cannot be read: once, and not for each request."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, sentence: str) -> None:
        """Print a sentence, unless it is the last one again."""
        if sentence != self._last:
            self._last = sentence
            sys.stderr.write(f"Warning: {one_line(sentence)}\n")


class Streams:
    """
    Streams of new sessions.

    Args:
        data: The queries.
        live: The feeds.
        row: Returns a session as a row of a table, in HTML on one line.
    """

    def __init__(self, data: SiteData, live: LiveFeeds, row: Callable[[SessionRow], str]) -> None:
        self._data = data
        self._live = live
        self._row = row

    async def rows(self, request: Request) -> Response:
        """Answer with new sessions as rows of the table of newest sessions."""
        return self._stream(read_selection("/live", request.query_params), self._row)

    def documents(self, selection: Selection) -> Response:
        """Answer with new sessions as JSON documents."""
        return self._stream(selection, _document)

    def _stream(self, selection: Selection, text_of: Callable[[SessionRow], str]) -> Response:
        def ask() -> Sequence[SessionRow]:
            return self._data.session_queries.lines(selection.filter(self._data), limit=MOST_NEW).lines

        return EventStream(self._live, selection.key, ask, text_of)


class StaticFiles:
    """Style, scripts and icon: addresses change with the content, so that browsers keep them."""

    def __init__(self) -> None:
        self._files = static_files()

    async def file(self, request: Request) -> Response:
        """Answer with a file."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        media_type, content = found
        kept = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(content, media_type=media_type, headers=kept)


def _document(line: SessionRow) -> str:
    return json.dumps(session_columns(line), default=plain)


def _error(request: Request, pages: Pages, status: int, sentence: str) -> Response:
    if request.url.path.startswith(MACHINES) or request.url.path.endswith(ABUSE_REPORT):
        return problem(status, sentence)
    return pages.error(status, sentence, Selection(sent_path(request.scope), _pairs(request), {}))


def _pairs(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the filters in the address line that are valid names: the page of an error offers to remove them."""
    try:
        return read_selection("/", request.query_params, ("span", "after", "q")).pairs
    except SnapshotsError:
        return ()
