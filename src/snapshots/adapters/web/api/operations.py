"""Everything that programs can ask: one table, from which routes and their description are made."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from snapshots.adapters.feeds.formats.blocklist import Style
from snapshots.adapters.feeds.query_documents import GROUP_KEYS, NETWORK_TIMES
from snapshots.adapters.web.api.parameters import Asked, Parameter
from snapshots.adapters.web.selection import read_selection
from snapshots.app.errors import InvalidQuery
from snapshots.app.queries.filters.filter_reader import FILTER_NAMES

Handler = Callable[[Asked], Awaitable[Response]]

JSON, TEXT, EVENTS = "application/json", "text/plain", "text/event-stream"

WITHOUT_ASN = {"asn": "asn cannot be combined with the network of the path"}
WITHOUT_UNTIL = {"until": "--until cannot be used with news: the period always ends now"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    An operation: a path that is read.

    Attributes:
        name: Name of its handler.
        path: Its path.
        summary: What it answers, in a sentence.
        path_parameters: The parameters in the path.
        parameters: The others, besides the filters.
        has_filters: Whether sessions are selected by filters.
        refused: Filters that it refuses, each with the reason.
        media_type: The media type of its answer.
        schema: Name of the schema of its answer.
        is_conditional: Whether its answer has a tag, for conditional requests.
    """

    name: str
    path: str
    summary: str
    path_parameters: Sequence[Parameter] = ()
    parameters: Sequence[Parameter] = ()
    has_filters: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON
    schema: str = "Document"
    is_conditional: bool = False

    @property
    def filters(self) -> Sequence[str]:
        """Return the names of the filters that it takes."""
        return [name for name in FILTER_NAMES if name not in self.refused] if self.has_filters else ()

    @property
    def route_path(self) -> str:
        """Return the path as a route: the last parameter takes slashes, which IDs and networks contain."""
        return f"{self.path[:-1]}:path}}" if self.path.endswith("}") else self.path

    def read(self, request: Request) -> Asked:
        """
        Read a request.

        Raises:
            InvalidQuery: A parameter is unknown, or its value is not valid.
        """
        names = [each.name for each in self.parameters]
        selection = read_selection(request.url.path, request.query_params, names)
        for name, _ in selection.pairs:
            if name not in self.filters:
                raise InvalidQuery(self.refused.get(name, f"there is no parameter {name!r} here"))
        values: dict[str, Any] = {each.name: each.read(selection.options.get(each.name)) for each in self.parameters}
        values |= {each.name: each.read(request.path_params[each.name]) for each in self.path_parameters}
        return Asked(
            self.name,
            selection,
            values,
            request.headers.get("if-none-match", ""),
            is_head=request.method == "HEAD",
        )

    def route(self, handler: Handler) -> Route:
        """Return the route that reads requests for a handler."""

        async def endpoint(request: Request) -> Response:
            return await handler(self.read(request))

        return Route(self.route_path, endpoint)


TOP = Parameter(name="top", description="Maximum number of rows of each list.", default=10)
NETWORK_AT = Parameter(
    name="network-at",
    description="Show the network in the snapshot (attack), or in a newer table that is still current (today).",
    default="attack",
    choices=tuple(NETWORK_TIMES),
)
ASN = Parameter(
    name="asn",
    description="ASN of the network, such as AS4134 or 4134.",
    example="AS4134",
    pattern="^([Aa][Ss])?[1-9][0-9]{0,9}$",
)

API = (
    Operation(
        name="groups",
        path="/api/v1/groups/{keys}",
        summary="Count sessions by keys, as `snapshots query --by` does.",
        path_parameters=(
            Parameter(
                name="keys",
                description="What sessions are counted by: one or more keys, separated by commas.",
                choices=GROUP_KEYS,
                is_list=True,
                example="asn",
            ),
        ),
        parameters=(
            NETWORK_AT,
            Parameter(name="top", description="Maximum number of groups.", default=20),
            Parameter(name="addresses", description="Also count the addresses.", default=False),
            Parameter(
                name="change",
                description="With since: compare with the period of the same length before; the largest change first.",
                default=False,
            ),
        ),
        has_filters=True,
        schema="Groups",
    ),
    Operation(
        name="sessions",
        path="/api/v1/sessions",
        summary="List sessions, the newest first, as `snapshots query` does.",
        parameters=(
            NETWORK_AT,
            Parameter(name="limit", description="Maximum number of sessions.", default=20),
            Parameter(name="after", description="Continue after this cursor: `next` of the previous page.", default=""),
        ),
        has_filters=True,
        schema="Sessions",
    ),
    Operation(
        name="session",
        path="/api/v1/session/{session_id}",
        summary="Explain one session, as `snapshots explain` does.",
        path_parameters=(
            Parameter(name="session_id", description="ID of the session, or how it begins.", example="0a1b2c3d4e5f"),
        ),
    ),
    Operation(
        name="address",
        path="/api/v1/address/{ip}",
        summary="Show the history of one address, as `snapshots facts show` does.",
        path_parameters=(Parameter(name="ip", description="The address.", example="198.51.100.7"),),
    ),
    Operation(
        name="network",
        path="/api/v1/network/{asn}",
        summary="Report on one network as of the attacks, as `snapshots report --asn` does.",
        path_parameters=(ASN,),
        parameters=(TOP,),
        has_filters=True,
        refused=WITHOUT_ASN,
    ),
    Operation(
        name="overview",
        path="/api/v1/overview",
        summary="Report on sessions, as `snapshots report` does.",
        parameters=(TOP,),
        has_filters=True,
    ),
    Operation(
        name="drift",
        path="/api/v1/drift",
        summary="Compare snapshots with the newest tables, as `snapshots facts drift` does.",
        parameters=(TOP,),
        has_filters=True,
    ),
    Operation(
        name="sources",
        path="/api/v1/sources",
        summary="List the registered builds of all sources, as `snapshots facts sources` does.",
        schema="Documents",
    ),
    Operation(
        name="news",
        path="/api/v1/news",
        summary="Show what is new since a time, as `snapshots news` does.",
        parameters=(TOP,),
        has_filters=True,
        refused=WITHOUT_UNTIL,
    ),
    Operation(
        name="live",
        path="/api/v1/live",
        summary="Send new sessions as they are loaded: server-sent events whose data is a session in JSON.",
        has_filters=True,
        media_type=EVENTS,
        schema="Text",
    ),
    Operation(
        name="openapi", path="/api/v1/openapi.json", summary="Describe all of this: OpenAPI 3.1.", schema="Document"
    ),
)
"""The operations of the API."""

FEEDS = (
    Operation(
        name="block_list",
        path="/feed/blocklist.txt",
        summary="List the source addresses for a firewall, as `snapshots export --format blocklist` does.",
        parameters=(
            Parameter(
                name="style",
                description="Addresses, the blocks that they fill, or a file for `nft -f` or `ipset restore`.",
                default=Style.PLAIN.value,
                choices=tuple(style.value for style in Style),
            ),
            Parameter(
                name="min-sessions",
                description="Only addresses with at least this many sessions.",
                default=1,
                most=1_000_000,
            ),
            Parameter(
                name="except-scanners",
                description="Leave out the networks of Censys and Shodan (bundled list).",
                default=False,
            ),
            Parameter(
                name="allow-empty",
                description="Answer with an empty list, and not with an error, if no addresses match.",
                default=False,
            ),
        ),
        has_filters=True,
        media_type=TEXT,
        schema="Text",
        is_conditional=True,
    ),
    Operation(
        name="sessions_csv",
        path="/feed/sessions.csv",
        summary="Export sessions with what was done, as `snapshots export --format csv` does.",
        has_filters=True,
        media_type="text/csv",
        schema="Text",
        is_conditional=True,
    ),
    Operation(
        name="sessions_json",
        path="/feed/sessions.json",
        summary="Export sessions with what was done: an array of the rows of `snapshots export --format ndjson`.",
        has_filters=True,
        schema="Documents",
        is_conditional=True,
    ),
    Operation(
        name="stix",
        path="/feed/stix21.json",
        summary="Export sessions as a STIX 2.1 bundle, as `snapshots export --format stix` does.",
        has_filters=True,
        media_type="application/stix+json;version=2.1",
        is_conditional=True,
    ),
    Operation(
        name="abuse_report",
        path="/network/{asn}/abuse-report.txt",
        summary="Report the attacks to the holder of a network, as `snapshots abuse-report` does.",
        path_parameters=(ASN,),
        has_filters=True,
        refused=WITHOUT_ASN,
        media_type=TEXT,
        schema="Text",
        is_conditional=True,
    ),
)
"""The operations that export many sessions."""

MONITORING = (
    Operation(
        name="metrics",
        path="/metrics",
        summary="Measure the database, in the text format of Prometheus.",
        media_type="text/plain; version=0.0.4; charset=utf-8",
        schema="Text",
    ),
    Operation(
        name="health",
        path="/healthz",
        summary="Answer ok if the database answers; needs no token.",
        media_type=TEXT,
        schema="Text",
    ),
)
"""The operations that watch the site itself."""

OPERATIONS = (*API, *FEEDS, *MONITORING)


def routes(operations: Sequence[Operation], handlers: object) -> Sequence[Route]:
    """Return the routes of operations, whose handlers are methods of an object."""
    return [each.route(getattr(handlers, each.name)) for each in operations]
