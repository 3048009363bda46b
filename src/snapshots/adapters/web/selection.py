"""Which sessions a request selects, and links to other selections."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import NamedTuple
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams
from starlette.types import Scope

from snapshots.adapters.web.services import SiteData
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.filters.filter_reader import FILTER_NAMES, FilterReader
from snapshots.app.queries.session_queries import EVERYTHING, Dimension, SessionFilter

Pairs = tuple[tuple[str, str], ...]
"""Names and values of filters, in the order of the address line."""

MOST_PAIRS = 64
"""Maximum number of filters of a request."""

SPAN, ALL = "span", "all"
"""Selects sessions of all times on a page whose default is the newest week."""

NEWEST = timedelta(days=7)

NONE = "none"

NARROWED_ONCE = frozenset({"method", *(key.value for key in Dimension if key.is_repeated)})
"""Filters of which a session may have several values: two of them cannot be asked for together."""


class Selection(NamedTuple):
    """
    The sessions of a request.

    Attributes:
        path: Path of the page.
        pairs: The filters in the address line.
        options: Other parameters of the page, such as a cursor.
    """

    path: str
    pairs: Pairs
    options: Mapping[str, str]

    @property
    def key(self) -> tuple[str, Pairs]:
        """Return what is equal for equal selections."""
        return self.path, self.pairs

    def newest_week(self, data: SiteData) -> Pairs:
        """Return the filter for the newest week, if the address line names no period and not all times."""
        if {"since", "until"} & {name for name, _ in self.pairs} or self.asks_for_all:
            return ()
        since, until = _newest_week(data)
        return (("since", _stamp(since)), *((("until", _stamp(until)),) if until is not None else ()))

    def filter(self, data: SiteData, *more: tuple[str, str]) -> SessionFilter:
        """
        Return the filter.

        Args:
            data: The stored values that beginnings of hashes stand for.
            more: Filters that the page adds.

        Raises:
            InvalidQuery: A value is not valid.
        """
        given: dict[str, list[str]] = {}
        for name, value in (*self.pairs, *more):
            given.setdefault(name, []).append(value)
        return FilterReader(data.session_queries, data.now()).read(given)

    def check(self, data: SiteData, session_filter: SessionFilter) -> None:
        """
        Refuse values that no session has, if the filter selects none.

        Raises:
            InvalidQuery: A value is not stored.
        """
        if session_filter != EVERYTHING:
            FilterReader(data.session_queries, data.now()).check_values(session_filter)

    def with_filter(self, name: str, value: str, *, path: str | None = None) -> str:
        """Return the link to the same page with one more filter."""
        pairs = self.pairs if (name, value) in self.pairs else (*self.pairs, (name, value))
        return href(self.path if path is None else path, pairs, self._kept_options)

    def without_filter(self, name: str, value: str) -> str:
        """Return the link to the same page without a filter."""
        pairs = tuple(pair for pair in self.pairs if pair != (name, value))
        return href(self.path, pairs, self._kept_options)

    def of_period(self, since: str | None, until: str | None = None) -> str:
        """Return the link to the same page for another period; without any, of all times."""
        pairs = tuple(pair for pair in self.pairs if pair[0] not in {"since", "until"})
        limits = tuple((name, value) for name, value in (("since", since), ("until", until)) if value is not None)
        return href(self.path, (*pairs, *limits), {} if limits else {SPAN: ALL})

    @property
    def parameters(self) -> Sequence[tuple[str, str]]:
        """Return what a form of the page sends along to keep its selection."""
        return [*self.pairs, *self._kept_options.items()]

    @property
    def period(self) -> Mapping[str, str]:
        """Return the limits of the period in the address line, by name."""
        return {name: value for name, value in self.pairs if name in {"since", "until"}}

    @property
    def is_active(self) -> bool:
        """Whether sessions are selected by what they did."""
        return any(name in {"did", "not-did"} for name, _ in self.pairs)

    @property
    def asks_for_all(self) -> bool:
        """Whether sessions of all times are asked for."""
        return self.options.get(SPAN) == ALL

    @property
    def newest(self) -> str:
        """Return the link to the same page without a period: that of the newest week, where this is the default."""
        return href(self.path, tuple(pair for pair in self.pairs if pair[0] not in {"since", "until"}))

    @property
    def _kept_options(self) -> Mapping[str, str]:
        return {name: value for name, value in self.options.items() if name == SPAN}


def read_selection(path: str, query: QueryParams, options: Sequence[str] = (SPAN,)) -> Selection:
    """
    Read the address line.

    Args:
        path: Path of the page.
        query: The parameters.
        options: Names of the page's own parameters.

    Raises:
        InvalidQuery: A parameter is unknown, or given twice, or there are too many.
    """
    pairs: list[tuple[str, str]] = []
    own: dict[str, str] = {}
    for name, value in query.multi_items():
        if name in options:
            if name in own:
                raise InvalidQuery(f"give {name} once")
            own[name] = value
        elif name not in FILTER_NAMES:
            known = (*FILTER_NAMES, *options)
            nearest = get_close_matches(name, known, 1) or ["since"]
            raise InvalidQuery(f"there is no parameter {name[:40]!r} (nearest: {nearest[0]})")
        elif value:  # an empty field of a form selects nothing
            pairs.append((name, value))
    if len(pairs) > MOST_PAIRS:
        raise InvalidQuery(f"give at most {MOST_PAIRS} filters")
    return Selection(path, tuple(pairs), own)


def sent_path(scope: Scope) -> str:
    """Return the path of a request as it was sent, with its escapes; as a link it never names another host."""
    raw: bytes = scope["raw_path"]
    return "/" + raw.decode("latin-1").lstrip("/\\")


def href(path: str, pairs: Sequence[tuple[str, str]], options: Mapping[str, str] | None = None) -> str:
    """Return a link with parameters."""
    query = urlencode([*pairs, *(options or {}).items()])
    return f"{path}?{query}" if query else path


def network_path(asn: str) -> str:
    """Return the path of a network's page."""
    return f"/network/AS{quote(asn, safe='')}"


def address_path(address: str) -> str:
    """Return the path of an address's page."""
    return f"/address/{quote(address, safe='')}"


def session_path(session_id: str) -> str:
    """Return the path of a session's page."""
    return f"/session/{quote(session_id, safe='')}"


def behaviour_path(name: str, value: str) -> str:
    """Return the path of a behavior's page, by the name of its filter, with sessions of all times."""
    return href(f"/behaviour/{name}/{quote(value, safe='')}", (), {SPAN: ALL})


class PageLinks:
    """
    Links of the components of a page: see `Links`.

    Args:
        selection: The sessions of the page.
        more: Filters that the page adds to those of the address line.
    """

    def __init__(self, selection: Selection, *more: tuple[str, str]) -> None:
        self._selection = selection
        self._more = more

    def network(self, asn: str) -> str | None:
        """Return the page of a network, with the same filters."""
        pairs = [(name, value) for name, value in self._selection.pairs if name != "asn"]
        return href(network_path(asn), pairs, self._span)

    def filtered(self, name: str, value: str | None) -> str | None:
        """Return the same page with one more filter."""
        return self._selection.with_filter(name, NONE if value is None else value)

    def period(self, since: datetime, until: datetime) -> str | None:
        """Return the same page for another period."""
        return self._selection.of_period(_stamp(since), _stamp(until))

    def behaviour(self, key: str, value: str) -> str | None:
        """Return the page of a behavior."""
        return behaviour_path(key, value)

    def sessions(self, *filters: tuple[str, str | None]) -> str | None:
        """
        Return the list of the sessions of the page, or of those with more filters.

        Values of one filter are alternatives, so a filter replaces the page's own one of the same name. Where that
        would select other sessions than those of the page, there is no list.
        """
        own = [*(pair for pair in self._selection.pairs if pair not in self._more), *self._more]
        for name, value in filters:
            text = NONE if value is None else value
            same = [given for key, given in own if key == name]
            if same and name == "did":
                given = {word for each in same for word in each.split(",")}
                text = ",".join(word for word in text.split(",") if word in given)
            if same and name in NARROWED_ONCE and same != [text]:
                return None
            own = [*(pair for pair in own if pair[0] != name or name in NARROWED_ONCE), (name, text)]
        return href("/sessions", list(dict.fromkeys(own)), self._span)

    @property
    def _span(self) -> Mapping[str, str]:
        return {SPAN: ALL} if self._selection.asks_for_all else {}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def _newest_week(data: SiteData) -> tuple[datetime, datetime | None]:
    """Return the start of the week that ends with the newest session, and its end if that is not today."""
    now = data.now()
    recent = SessionFilter(until=now + timedelta(days=1))
    lines = data.session_queries.lines(recent, limit=1).lines
    newest = lines[0].first_event_at if lines else None
    if newest is None or now - newest < timedelta(days=1):
        return now - NEWEST, None
    end = newest.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return end - NEWEST, end
