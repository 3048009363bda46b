"""Answer with JSON documents: the same as those of the commands."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from snapshots.adapters.feeds import inventory_documents, report_documents
from snapshots.adapters.feeds.json_text import plain
from snapshots.adapters.feeds.query_documents import (
    NETWORK_TIMES,
    document_of,
    grouped_sessions,
    keys_of,
    listed_sessions,
)
from snapshots.adapters.feeds.session_documents import explanation_document
from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.api.openapi import description
from snapshots.adapters.web.api.parameters import Asked
from snapshots.adapters.web.api.public import without_passwords
from snapshots.adapters.web.problems import NotFound
from snapshots.adapters.web.search import asn_of
from snapshots.adapters.web.selection import Selection
from snapshots.adapters.web.services import SiteData, SiteOptions
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.explained import anonymizer_lists, explained
from snapshots.app.queries.filters.filter_text import filter_text
from snapshots.app.queries.session_queries import Dimension, SessionFilter
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress

Document = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Documents:
    """
    Handlers of the API.

    Args:
        data: The queries.
        answers: Asks them in threads.
        options: Whether texts of passwords are shown.
        live: Opens a stream of new sessions of a selection.
    """

    def __init__(
        self, data: SiteData, answers: Answers, options: SiteOptions, live: Callable[[Selection], Response]
    ) -> None:
        self._data = data
        self._answers = answers
        self._shows_passwords = options.shows_passwords
        self._live = live
        self._description = _text(description(options.version))

    async def groups(self, asked: Asked) -> Response:
        """Answer with counts of sessions."""
        return await self._kept(asked, lambda: self._groups(asked))

    def _groups(self, asked: Asked) -> Document:
        keys = [key for word in asked.values["keys"] for key in keys_of(word)]
        if len(set(keys)) < len(keys):
            raise InvalidQuery(f"keys {','.join(asked.values['keys'])!r} name the same twice")
        session_filter, change = self._filter_at(asked), asked.values["change"]
        if change and session_filter.since is not None and session_filter.until is None:
            session_filter = replace(session_filter, until=self._data.now())
        found = grouped_sessions(
            self._data.session_queries,
            session_filter,
            keys,
            top=asked.values["top"],
            addresses=asked.values["addresses"],
            change=change,
        )
        if not found.groups:
            asked.check(self._data, session_filter)
        document = document_of(found)
        if Dimension.PASSWORD in keys:
            self._hide(document["rows"], hash_name="password", text_name="text")
        return document

    async def sessions(self, asked: Asked) -> Response:
        """Answer with a page of sessions."""

        def ask() -> Document:
            session_filter, after = self._filter_at(asked), asked.values["after"]
            found = listed_sessions(
                self._data.session_queries, session_filter, limit=asked.values["limit"], after=after
            )
            if not found.page.lines and not after:
                asked.check(self._data, session_filter)
            return document_of(found)

        return _json(_text(await self._answers.ask(ask)))

    async def session(self, asked: Asked) -> Response:
        """Answer with a session."""

        def ask() -> Document:
            found = explained(
                self._data.reports,
                self._data.session_queries,
                asked.values["session_id"],
                database=self._data.shown_database,
            )
            document = explanation_document(found, anonymizer_lists(self._data.fact_validity, found))
            self._hide(document["login_attempts"], hash_name="password_hash", text_name="password")
            self._hide([document["behaviour"]], hash_name="password_hash", text_name="password")
            return document

        return _json(_text(await self._answers.ask(ask)))

    async def address(self, asked: Asked) -> Response:
        """Answer with an address."""
        try:
            address = IpAddress.parse(asked.values["ip"]).text
        except InvalidAddress as exc:
            raise InvalidQuery(str(exc)) from exc

        def ask() -> Document:
            found = self._data.inventory.address(address)
            if found is None:
                raise NotFound(f"{self._data.shown_database} has no session from {address}")
            return inventory_documents.address_document(found)

        return _json(_text(await self._answers.ask(ask)))

    async def network(self, asked: Asked) -> Response:
        """Answer with the overview of a network."""
        return await self._kept(asked, lambda: self._overview(asked, ("asn", asn_in(asked))))

    async def overview(self, asked: Asked) -> Response:
        """Answer with an overview of sessions."""
        return await self._kept(asked, lambda: self._overview(asked))

    def _overview(self, asked: Asked, *more: tuple[str, str]) -> Document:
        session_filter = asked.filter(self._data, *more)
        found = self._data.overview.overview(top=asked.values["top"], session_filter=session_filter)
        if not found.report.coverage.sessions.total:
            asked.check(self._data, session_filter)
        document = report_documents.overview_document(found)
        self._hide(document["passwords"], hash_name="password_hash", text_name="text")
        return document

    async def drift(self, asked: Asked) -> Response:
        """Answer with the drift of facts."""

        def ask() -> Document:
            session_filter = asked.filter(self._data)
            found = self._data.inventory.drift(
                now=self._data.now(), top=asked.values["top"], session_filter=session_filter
            )
            if not found.sealed:
                asked.check(self._data, session_filter)
            return report_documents.drift_document(found)

        return await self._kept(asked, ask)

    async def sources(self, asked: Asked) -> Response:
        """Answer with the registered builds."""

        def ask() -> Document:
            states = self._data.inventory.status(now=self._data.now()).sources
            return [inventory_documents.source_document(state) for state in states]

        return await self._kept(asked, ask)

    async def news(self, asked: Asked) -> Response:
        """Answer with the news."""

        def ask() -> Document:
            session_filter, top = asked.filter(self._data), asked.values["top"]
            since, session_filter = session_filter.since, replace(session_filter, since=None)
            found = self._data.news.news(session_filter, since=since, top=top)
            if found.newest is None:
                asked.check(self._data, session_filter)
            return report_documents.news_document(found, filter_text(session_filter), top=top)

        return await self._kept(asked, ask)

    async def live(self, asked: Asked) -> Response:
        """Answer with new sessions as they are loaded."""

        def try_once() -> None:  # an error is an answer now, and would be silence later
            self._data.session_queries.lines(asked.filter(self._data), limit=1)

        await self._answers.ask(try_once)
        return self._live(asked.selection)

    async def openapi(self, _asked: Asked) -> Response:
        """Answer with the description of the API."""
        return _json(self._description)

    async def _kept(self, asked: Asked, ask: Callable[[], Document]) -> Response:
        return _json(await self._answers.kept(asked.key, lambda: _text(ask())))

    def _filter_at(self, asked: Asked) -> SessionFilter:
        return replace(asked.filter(self._data), network_time=NETWORK_TIMES[asked.values["network-at"]])

    def _hide(self, documents: list[dict[str, Any]], *, hash_name: str, text_name: str) -> None:
        if not self._shows_passwords:
            without_passwords(documents, hash_name=hash_name, text_name=text_name)


def asn_in(asked: Asked) -> str:
    """
    Return the number of the network in the path.

    Raises:
        InvalidQuery: It is none.
    """
    asn = asn_of(asked.values["asn"])
    if asn is None:
        raise InvalidQuery(f"{asked.values['asn'][:40]!r} is not an ASN (use a number such as 4134 or AS4134)")
    return asn


def _text(document: Document) -> str:
    return json.dumps(document, default=plain)


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
