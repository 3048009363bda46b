"""Refuse requests that are not for this page, and add the headers that protect it to every response."""

import re
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from snapshots.adapters.web.problems import problem
from snapshots.adapters.web.selection import sent_path
from snapshots.adapters.web.services import SiteOptions

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content security policy: a page runs only the scripts of this server, and asks no other one."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every response, unless it has its own value."""

COOKIE = "snapshots_token"
METHODS = ("GET", "HEAD")
MOST_TARGET = 8_192
"""Maximum number of characters of a path with its query: 64 filters with hashes are half of it."""

MOST_HEADERS = 100
OWN_SITE = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site of pages of this site, and of addresses that a person typed or opened."""

OPEN_PATH = "/healthz"
"""The only path that needs no token."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]/@\s]+))(?::\d{1,5})?")


class Access:
    """
    Middleware that refuses requests before anything reads them.

    Args:
        site: What answers the other requests.
        options: Hosts and token.
        close: Ends responses that have no end of their own.
    """

    def __init__(self, site: ASGIApp, options: SiteOptions, close: Callable[[], None]) -> None:
        self._site = site
        self._token = options.token
        self._names = LOOPBACK | {name.lower().rstrip(".") for name in options.host_names}
        # No page of another site has an address as its host name, so that an address is safe from DNS rebinding.
        self._takes_addresses = options.token is not None or options.is_behind_proxy
        self._is_behind_proxy = options.is_behind_proxy
        self.close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._site(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._site)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if not self._is_own_host(headers.getlist("host")):
            return _refused(path, 421, "this host name is not served here; to serve it, start with --host-name NAME")
        malformed = _malformed(scope, headers)
        if malformed is not None:
            return malformed
        if not (_is_of_own_page(headers) or _is_navigation(headers)):
            return _refused(path, 403, "another site may link to this page, and not read it")
        if "\0" in path or b"%00" in scope["query_string"]:  # PostgreSQL fails on it
            return _refused(path, 400, "a text with a NUL character is not valid: no stored text has one")
        if self._token is None or path == OPEN_PATH:
            return None
        return self._without_token(scope, headers)

    def _is_own_host(self, given: list[str]) -> bool:
        found = HOST.fullmatch(given[0]) if len(given) == 1 else None
        if found is None:
            return False
        name = (found["six"] or found["name"]).lower().rstrip(".")
        return name in self._names or (self._takes_addresses and _is_address(name))

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """Return None for a request with the token, else a response that refuses it or sets the cookie."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if self._is_token(dict(query).get("token", "")):
            return self._with_cookie(scope, urlencode([(name, value) for name, value in query if name != "token"]))
        if self._is_token(_given(headers)) or compare_digest(_cookie(headers), self._cookie.encode()):
            return None
        sentence = "open the page once as /?token=TOKEN, with the token of --token-file"
        if "cookie" not in headers and _is_navigation(headers) and headers.get("sec-fetch-site") not in OWN_SITE:
            sentence += "; if you did, and followed a link of another site, press Enter in the address line"
        return _refused(scope["path"], 401, sentence, {"WWW-Authenticate": "Bearer"})

    def _with_cookie(self, scope: Scope, query: str) -> Response:
        """Redirect to the same page without the token, so that it is not in later addresses."""
        path = sent_path(scope)
        response = RedirectResponse(f"{path}?{query}" if query else path, status_code=303)
        is_secure = self._is_behind_proxy and Headers(scope=scope).get("x-forwarded-proto") == "https"
        response.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict", secure=is_secure)
        return response

    @property
    def _cookie(self) -> str:
        """The value of the cookie: browsers send it to other ports of this host too, which must not learn the token."""
        return sha256(f"cookie {self._token}".encode()).hexdigest()

    def _is_token(self, text: str) -> bool:
        return compare_digest(text.encode(), (self._token or "").encode())


def _malformed(scope: Scope, headers: Headers) -> Response | None:
    """Return a response that refuses what no reader of the page sends; None for any other request."""
    path = scope["path"]
    if scope["method"] not in METHODS:
        return _refused(path, 405, "only GET and HEAD are answered", {"Allow": ", ".join(METHODS)})
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        # A proxy may see another end of the request than this server: nothing after it is read.
        return _refused(path, 400, "a request has no body here", {"Connection": "close"})
    if len(scope["raw_path"]) + len(scope["query_string"]) > MOST_TARGET:
        return _refused(path, 414, f"the address is longer than {MOST_TARGET} characters")
    if len(headers) > MOST_HEADERS:
        return _refused(path, 431, f"the request has more than {MOST_HEADERS} headers")
    return None


def _given(headers: Headers) -> str:
    """Return the token in a request's Authorization header; as a password, such as in the URL of a block list, too."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(given).decode("latin-1").partition(":")[2]
        except ValueError:
            return ""
    return ""


def _cookie(headers: Headers) -> bytes:
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "").encode()


def _is_of_own_page(headers: Headers) -> bool:
    """Whether no other site asks; browsers add these headers, and scripts cannot change them."""
    origin = headers.get("origin")  # sent with a GET by another site's script or stream only
    if origin is not None and origin.partition("://")[2] != headers["host"]:
        return False
    return headers.get("sec-fetch-site", "none") in OWN_SITE


def _is_navigation(headers: Headers) -> bool:
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _refused(path: str, status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    if path.startswith(("/api/", "/feed/")):
        return problem(status, sentence, headers)
    return PlainTextResponse(f"{sentence[0].upper()}{sentence[1:]}.\n", status_code=status, headers=headers)
