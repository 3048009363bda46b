"""The pages: what they ask, and the values of their templates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from snapshots.adapters.html.page import context_of, coverage_rows
from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.problems import NotFound
from snapshots.adapters.web.rendering import Templates
from snapshots.adapters.web.replay import Replays
from snapshots.adapters.web.search import BEHAVIOURS, asn_of, page_of
from snapshots.adapters.web.selection import (
    SPAN,
    PageLinks,
    Pairs,
    Selection,
    address_path,
    href,
    network_path,
    read_selection,
    sent_path,
    session_path,
)
from snapshots.adapters.web.services import SiteData, SiteOptions
from snapshots.adapters.web.view import stated
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.common_passwords import common_passwords, public_text
from snapshots.app.queries.comparisons.figures import figures_of
from snapshots.app.queries.explained import anonymizer_lists, anonymizers_ruled_out, explained
from snapshots.app.queries.filters.filter_reader import FILTER_NAMES
from snapshots.app.queries.filters.filter_text import filter_text
from snapshots.app.queries.overview import Overview
from snapshots.app.queries.reports import Explanation
from snapshots.app.queries.session_queries import (
    Dimension,
    Group,
    NetworkTime,
    SessionFilter,
    SessionPage,
    SessionRow,
)
from snapshots.domain.address.source_ip import IpAddress
from snapshots.domain.errors import InvalidAddress
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.logins import StoredLogin
from snapshots.domain.snapshot.fact_methods import fact_methods

LISTED = 12
"""Networks, names, commands and so on in each table of an overview."""

NEWEST, PER_PAGE = 14, 50
"""Sessions on an overview, and on a page of the list."""

COVERED = (("asn", "country", "ip_type"), ("asn", "country", "type"))
"""The facts of the page of coverage, and their names in the filter by method."""

ALIKE = 10
"""Sessions with the same commands or client that the page of a session lists."""


class Pages:
    """
    Handlers of the pages.

    Args:
        data: The queries.
        answers: Asks them in threads.
        options: How the page is served.
        replays: Finds recordings of terminals.
    """

    def __init__(self, data: SiteData, answers: Answers, options: SiteOptions, replays: Replays) -> None:
        self._data = data
        self._answers = answers
        self._options = options
        self._replays = replays
        self._templates = Templates(options.version)

    async def overview(self, request: Request) -> Response:
        """Answer with the overview of the newest week, or of the selected sessions."""
        selection = read_selection("/", request.query_params)
        return await self._overview(selection, "index.html", newest=True)

    async def network(self, request: Request) -> Response:
        """Answer with the overview of a network as of the attacks."""
        asn = asn_of(request.path_params["asn"])
        if asn is None:
            raise NotFound(f"{request.path_params['asn'][:40]!r} is not an ASN, such as AS4134")
        selection = read_selection(network_path(asn), request.query_params)
        return await self._overview(selection, "network.html", ("asn", asn), own_asn=asn)

    async def behaviour(self, request: Request) -> Response:
        """Answer with the overview of the sessions that show a behavior."""
        name, value = request.path_params["key"], request.path_params["value"]
        if name not in BEHAVIOURS:
            raise NotFound(f"there is no behavior {name[:40]!r} (use one of {', '.join(BEHAVIOURS)})")
        selection = read_selection(sent_path(request.scope), request.query_params)
        return await self._overview(
            selection, "behaviour.html", (name, value), title=BEHAVIOURS[name][1], own_name=name, value=value
        )

    async def _overview(
        self, selection: Selection, template: str, *own: tuple[str, str], newest: bool = False, **context: Any
    ) -> Response:
        """Answer with an overview of the sessions that the address line and the path select."""

        def ask() -> Mapping[str, Any]:
            more = (*own, *(selection.newest_week(self._data) if newest else ()))
            session_filter = selection.filter(self._data, *more)
            found = self._data.overview.overview(top=LISTED, session_filter=session_filter)
            if not found.report.coverage.sessions.total:
                selection.check(self._data, session_filter)
            lines = self._data.session_queries.lines(session_filter, limit=NEWEST).lines
            addresses = self._data.session_queries.groups(session_filter, [Dimension.ADDRESS], top=LISTED)
            return {
                "found": self._public(found),
                "figures": figures_of(self._data.session_queries, found),
                "lines": lines,
                "more": more,
                "addresses": addresses,
                "typed": self._typed(lines) if ("commands", context.get("value")) in own else (),
            }

        key = (template, selection.path, selection.pairs, selection.options.get(SPAN))
        asked = await self._answers.kept(key, ask)
        found: Overview = asked["found"]
        more: Pairs = asked["more"]
        return self._page(
            template,
            selection,
            lines=asked["lines"],
            seen_addresses=asked["addresses"],
            typed=asked["typed"],
            now=found.made_at,
            live=href("/live", (*selection.pairs, *own)),
            feeds=dict(_feeds((*selection.pairs, *more))),
            **context_of(found, PageLinks(selection, *more), asked["figures"], self._templates.files["world.svg"]),
            **context,
        )

    def _typed(self, lines: Sequence[SessionRow]) -> Sequence[str]:
        """Return the commands of the newest session, in order."""
        found = self._data.reports.explain(lines[0].session_id) if lines else None
        values = found.session.behaviour.values if found is not None else {}
        return [text for _, text in values.get(Trait.COMMAND, ())]

    async def sessions(self, request: Request) -> Response:
        """Answer with a list of sessions, the newest first."""
        selection = read_selection("/sessions", request.query_params, (SPAN, "after"))
        after = selection.options.get("after", "")

        def ask() -> tuple[SessionPage, SessionFilter]:
            session_filter = selection.filter(self._data)
            page = self._data.session_queries.lines(session_filter, limit=PER_PAGE, after=after)
            if not page.lines and not after:
                selection.check(self._data, session_filter)
            return page, session_filter

        page, session_filter = await self._answers.ask(ask)
        return self._page(
            "sessions.html",
            selection,
            lines=page.lines,
            text=filter_text(session_filter),
            next=href("/sessions", selection.pairs, {"after": page.last}) if page.last else None,
            now=self._data.now(),
            links=PageLinks(selection),
            live=None,
            feeds=dict(_feeds(selection.pairs)),
        )

    async def session(self, request: Request) -> Response:
        """Answer with a session: what it did, and where its facts come from."""
        wanted = request.path_params["session_id"]
        found, current, alike, ruled_out = await self._answers.ask(lambda: self._session(wanted))
        if found.session.session_id != wanted:
            return RedirectResponse(session_path(found.session.session_id), status_code=303)
        session, snapshot = found.session, found.session.snapshot
        sighting = session.sighting
        selection = Selection(sent_path(request.scope), (), {})
        return self._page(
            "session.html",
            selection,
            explanation=found,
            session=session,
            sighting=sighting,
            snapshot=snapshot,
            methods=fact_methods(snapshot, sighting.seen_at) if snapshot and sighting else {},
            current=current,
            ruled_out=ruled_out,
            timed=_timed(found),
            recordings=self._replays.names(session),
            logins=[self._public_login(login) for login in found.logins],
            hassh=session.behaviour.first(Trait.HASSH),
            alike=alike,
            now=self._data.now(),
            links=PageLinks(selection),
        )

    def _session(self, wanted: str) -> tuple[Explanation, SessionRow | None, Sequence[SessionRow], Sequence[str]]:
        """Return a session by its ID or its beginning, its current facts, sessions alike, and what lists rule out."""
        data = self._data
        found = explained(data.reports, data.session_queries, wanted, database=data.shown_database)
        ruled_out = anonymizers_ruled_out(found, anonymizer_lists(data.fact_validity, found))
        return found, self._current(found), self._alike(found), ruled_out

    def _alike(self, found: Explanation) -> Sequence[SessionRow]:
        """Return other sessions with the same commands, else those with the same client."""
        behaviour = found.session.behaviour
        for key, value in (
            (Dimension.COMMANDS, behaviour.command_signature),
            (Dimension.HASSH, behaviour.first(Trait.HASSH)),
        ):
            if value is not None:
                same = SessionFilter(values={key: [value]})
                lines = self._data.session_queries.lines(same, limit=ALIKE + 1).lines
                others = [line for line in lines if line.session_id != found.session.session_id]
                if others:
                    return others[:ALIKE]
        return ()

    def _current(self, found: Explanation) -> SessionRow | None:
        """Return the row of a session with the facts of today's tables; None if none is newer than the attack."""
        sighting, at = found.session.sighting, found.session.first_event_at
        if sighting is None or at is None:
            return None
        lines = self._with_current_facts(sighting.address.text, since=at, until=at + timedelta(microseconds=1))
        return next((line for line in lines if line.session_id == found.session.session_id), None)

    def _with_current_facts(
        self, address: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Sequence[SessionRow]:
        """Return the newest sessions of an address with the facts of today's tables, if these are newer."""
        own = SessionFilter(
            since=since, until=until, values={Dimension.ADDRESS: [address]}, network_time=NetworkTime.NOW
        )
        return self._data.session_queries.lines(own, limit=PER_PAGE).lines

    async def address(self, request: Request) -> Response:
        """Answer with an address: its facts at its attacks and now, what each table states, and its sessions."""
        try:
            address = IpAddress.parse(request.path_params["address"]).text
        except InvalidAddress as exc:
            raise NotFound(f"{request.path_params['address'][:80]!r} is not an IP address") from exc
        if address != request.path_params["address"]:
            return RedirectResponse(address_path(address), status_code=303)
        selection = read_selection(address_path(address), request.query_params, (SPAN, "after"))

        def ask() -> Mapping[str, Any]:
            session_filter = selection.filter(self._data, ("address", address))
            page = self._data.session_queries.lines(
                session_filter, limit=PER_PAGE, after=selection.options.get("after", "")
            )
            known = self._data.inventory.address(address)
            if known is None and not page.lines:
                raise NotFound(f"there is no session from {address}")
            networks = self._data.session_queries.groups(session_filter, [Dimension.ASN], top=PER_PAGE)
            return {
                "known": known,
                "page": page,
                "networks": networks,
                "current": next(iter(self._with_current_facts(address)), None),
            }

        found = await self._answers.ask(ask)
        page: SessionPage = found["page"]
        return self._page(
            "address.html",
            selection,
            address=address,
            lines=page.lines,
            then=page.lines[0] if page.lines else None,
            next=href(selection.path, selection.pairs, {"after": page.last}) if page.last else None,
            now=self._data.now(),
            links=PageLinks(selection, ("address", address)),
            feeds=dict(_feeds((*selection.pairs, ("address", address)))),
            **{name: value for name, value in found.items() if name != "page"},
        )

    async def facts(self, request: Request) -> Response:
        """Answer with the tables that state facts, their age, and the coverage of the sessions."""
        selection = read_selection("/facts", request.query_params)

        def ask() -> Mapping[str, Any]:
            now, coverage = self._data.now(), self._data.reports.coverage()
            return {
                "status": self._data.inventory.status(now=now),
                "validity": self._data.fact_validity.validity(),
                "coverage": coverage,
                "headline": stated(coverage.sessions),
                "covered": list(zip(coverage_rows(coverage.sessions), *COVERED, strict=True)),
                "drift": self._data.inventory.drift(now=now, top=LISTED),
                "now": now,
            }

        found = await self._answers.kept("facts", ask)
        return self._page("facts.html", selection, links=PageLinks(selection), **found)

    async def search(self, request: Request) -> Response:
        """Redirect to the page of what was searched for."""
        text = request.query_params.get("q", "").strip()
        return RedirectResponse(
            await self._answers.ask(lambda: page_of(self._data.session_queries, text)), status_code=303
        )

    async def add_filter(self, request: Request) -> Response:
        """Redirect to the page with one more filter: the target of a form that needs no script."""
        query = request.query_params
        path, name, value = (query.get(key, "") for key in ("path", "name", "value"))
        if name not in FILTER_NAMES or not path.startswith("/") or path.startswith(("//", "/\\")):
            raise InvalidQuery(f"there is no filter {name[:40]!r}")
        rest = [(key, text) for key, text in query.multi_items() if key not in {"path", "name", "value"}]
        return RedirectResponse(href(path, [*rest, (name, value)] if value.strip() else rest), status_code=303)

    def _page(self, template: str, selection: Selection, **context: Any) -> Response:
        return HTMLResponse(self._templates.render(template, selection, **context))

    def row(self, line: SessionRow) -> str:
        """Return a session as a row of the table of newest sessions, on one line."""
        selection = Selection("/", (), {})
        text = self._templates.render(
            "row.html", selection, line=line, now=self._data.now(), links=PageLinks(selection)
        )
        return " ".join(text.split())

    def error(self, status: int, sentence: str, selection: Selection) -> Response:
        """Return a page with an error."""
        text = self._templates.render(
            "error.html", selection, status=status, sentence=sentence, links=PageLinks(selection)
        )
        return HTMLResponse(text, status_code=status)

    def _public(self, found: Overview) -> Overview:
        """Return an overview without stored texts of passwords, unless the operator asked for them."""
        if self._options.shows_passwords:
            return found
        return replace(found, passwords=[_hidden(group) for group in found.passwords])

    def _public_login(self, login: StoredLogin) -> StoredLogin:
        """Return login attempts with the text of the password, if it may be shown or is very common."""
        is_shown = self._options.shows_passwords
        text = login.password if is_shown else public_text(login.password_hash, login.password)
        return login._replace(password=common_passwords().get(login.password_hash or "") if text is None else text)


def _hidden(group: Group) -> Group:
    return replace(group, password=public_text(group.values[0], group.password))


def _feeds(pairs: Pairs) -> Sequence[tuple[str, str]]:
    """Return links to the files of the selected sessions."""
    return [
        (name, href(f"/feed/{name}", pairs))
        for name in ("blocklist.txt", "sessions.csv", "sessions.json", "stix21.json")
    ]


def _timed(found: Explanation) -> Sequence[tuple[float | None, str, str]]:
    """Return what happened in a session: seconds from its start, the kind, and the text."""
    begins = found.session.first_event_at
    kinds = {Trait.COMMAND: "command", Trait.DOWNLOAD: "file", Trait.URL: "url", Trait.KEY: "ssh-key"}
    events = [
        (at, kinds[trait], text)
        for trait, values in found.session.behaviour.values.items()
        if trait in kinds
        for at, text in values
    ]
    return [
        ((at - begins).total_seconds() if begins is not None else None, kind, text) for at, kind, text in sorted(events)
    ]
