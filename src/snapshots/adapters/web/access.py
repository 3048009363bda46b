"""Refuse requests that are not for this page, and add the headers that protect it to every response."""

import re
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from snapshots.adapters.web.problems import problem
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
    """

    def __init__(self, site: ASGIApp, options: SiteOptions) -> None:
        self._site = site
        self._token = options.token
        self._names = LOOPBACK | {name.lower() for name in options.host_names}
        # No page of another site has an address as its host name, so that an address is safe from DNS rebinding.
        self._takes_addresses = options.token is not None or options.is_behind_proxy

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
        if scope["method"] not in METHODS:
            return _refused(path, 405, "only GET and HEAD are answered", {"Allow": ", ".join(METHODS)})
        if not self._is_own_host(headers.getlist("host")):
            return _refused(path, 421, "this host name is not served here; to serve it, start with --host-name NAME")
        if headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"} and not _is_navigation(headers):
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
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return None
        if self._is_token(_cookie(headers)):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if self._is_token(dict(query).get("token", "")):
            return self._with_cookie(scope, urlencode([(name, value) for name, value in query if name != "token"]))
        sentence = "open the page once as /?token=TOKEN, with the token of --token-file"
        return _refused(scope["path"], 401, sentence, {"WWW-Authenticate": "Bearer"})

    def _with_cookie(self, scope: Scope, query: str) -> Response:
        """Redirect to the same page without the token, so that it is not in later addresses."""
        path = "/" + scope["path"].lstrip("/\\")  # never to another host
        response = RedirectResponse(f"{path}?{query}" if query else path, status_code=303)
        is_secure = Headers(scope=scope).get("x-forwarded-proto") == "https"
        response.set_cookie(COOKIE, self._token or "", httponly=True, samesite="strict", secure=is_secure)
        return response

    def _is_token(self, text: str) -> bool:
        return compare_digest(text.encode(), (self._token or "").encode())


def _cookie(headers: Headers) -> str:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


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
