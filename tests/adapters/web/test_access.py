"""Who may read the site: each default of its security, on every path."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from snapshots.adapters.cli.services import ServeOptions
from snapshots.adapters.web import access
from snapshots.adapters.web.access import Access
from snapshots.adapters.web.site import make_site
from tests.adapters.web.served import FakeData

TOKEN = "0123456789abcdef-secret"

PATHS = (
    "/",
    "/sessions",
    "/network/AS4134",
    "/address/192.0.2.1",
    "/session/a1b2c3",
    "/behaviour/hassh/0123",
    "/facts",
    "/search?q=x",
    "/add-filter?path=/&name=asn&value=1",
    "/live",
    "/static/page.js",
    "/healthz",
    "/metrics",
    "/api/v1/live",
    "/api/v1/sessions",
    "/feed/blocklist.txt",
    "/feed/stix21.json",
    "/no/such/page",
)
MACHINES = ("/api/v1/sessions", "/feed/blocklist.txt", "/metrics", "/live")
OPEN = ("/healthz",)


def client(**options: Any) -> TestClient:
    """Return a client of the site; a request that asks the data fails, because there is none."""
    site = make_site(FakeData(), ServeOptions(version="1", **options))  # type: ignore[arg-type]
    return TestClient(site, "http://127.0.0.1:8417", raise_server_exceptions=False, follow_redirects=False)


def guarded(**options: Any) -> TestClient:
    """Return a client of a site whose every page is the word "secret"."""
    site = Access(PlainTextResponse("secret"), ServeOptions(version="1", **options), lambda: None)
    return TestClient(site, "http://127.0.0.1:8417", follow_redirects=False)


class TestHeaders:
    """The headers of every response."""

    EXPECTED: Mapping[str, str] = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }

    DIRECTIVES = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )

    @pytest.mark.parametrize("name", [*EXPECTED])
    @pytest.mark.parametrize(
        ("path", "status"),
        [("/healthz", 200), ("/none", 404), ("/facts", 500), ("/live?x=1", 400), ("/search?q=", 303)],
    )
    def test_every_response_has_it(self, name: str, path: str, status: int) -> None:
        """A page, an error, an internal error, a problem document and a redirect are protected alike."""
        found = client().get(path)
        assert (found.status_code, found.headers[name]) == (status, self.EXPECTED[name])

    @pytest.mark.parametrize("name", [*EXPECTED])
    @pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
    def test_every_refusal_has_it(self, name: str, headers: dict[str, str]) -> None:
        """A refused request gets the same headers."""
        assert client().get("/", headers=headers).headers[name] == self.EXPECTED[name]

    @pytest.mark.parametrize("directive", DIRECTIVES)
    def test_the_policy_names_only_this_server(self, directive: str) -> None:
        """A page runs, loads and asks nothing of another server, and is in no frame."""
        policy = client().get("/none").headers["Content-Security-Policy"].split("; ")
        assert directive in policy

    def test_the_policy_has_no_exception(self) -> None:
        """No directive was added: inline scripts, eval and other servers stay forbidden."""
        policy = client().get("/none").headers["Content-Security-Policy"].split("; ")
        assert sorted(policy) == sorted(self.DIRECTIVES)

    def test_only_files_that_never_change_are_kept(self) -> None:
        """Style and script are kept by the reader's browser, and by no proxy."""
        assert client().get("/static/page.js").headers["Cache-Control"].startswith("private, ")

    def test_no_other_site_is_allowed(self) -> None:
        """No response has a header of CORS."""
        headers = client().get("/healthz", headers={"Origin": "http://127.0.0.1:8417"}).headers
        assert not [name for name in headers if name.startswith("access-control")]


class TestHosts:
    """A page whose name an attacker points at this machine (DNS rebinding) reads nothing."""

    @pytest.mark.parametrize("path", PATHS)
    def test_a_foreign_host_is_refused_on_each_path(self, path: str) -> None:
        """Nothing is asked, and the answer is the refusal."""
        found = client().get(path, headers={"Host": "evil.example:8417"})
        assert found.status_code == 421
        assert "host name is not served here" in found.text

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "127.0.0.1:80", "localhost", "LOCALHOST:1", "localhost.", "[::1]:8417"]
    )
    def test_this_machine_is_served(self, host: str) -> None:
        """Names of the loopback interface cannot be those of another site."""
        assert guarded().get("/", headers={"Host": host}).text == "secret"

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil",
            "localhost.evil",
            "evil.localhost",
            "127.0.0.1.evil",
            "a@127.0.0.1",
            "127.0.0.1@evil",
            "127.0.0.1, evil",
            "127.0.0.1/evil",
            "127.0.0.1:8417:1",
            "127.0.0.1:x",
            "127.1",
            "0",
            "0.0.0.0",
            "[::]",
            "[::ffff:127.0.0.1]",
            "192.168.1.1",
            "::1",
            "[::1",
        ],
    )
    def test_other_hosts_are_not(self, host: str) -> None:
        """Neither names, nor other addresses, nor texts that only begin or end like this machine."""
        assert guarded().get("/", headers={"Host": host}).status_code == 421

    def test_two_hosts_are_refused(self) -> None:
        """A proxy may have looked at the other one."""
        headers = [("Host", "127.0.0.1"), ("Host", "evil")]
        assert guarded().get("/", headers=headers).status_code == 421

    def test_a_forwarded_host_counts_for_nothing(self) -> None:
        """Only Host is read: a page of another site can set no other header, but a proxy forwards them."""
        headers = {"Host": "evil", "X-Forwarded-Host": "127.0.0.1", "Forwarded": "host=127.0.0.1"}
        assert guarded(is_behind_proxy=True).get("/", headers=headers).status_code == 421

    def test_a_given_name_is_served(self) -> None:
        """--host-name adds a name."""
        opened = guarded(host_names=("Pot.example.",))
        statuses = [
            opened.get("/", headers={"Host": host}).status_code for host in ("pot.example:443", "x.pot.example")
        ]
        assert statuses == [200, 421]

    def test_addresses_are_served_behind_a_proxy_or_a_token(self) -> None:
        """An address is no name that an attacker can point elsewhere."""
        opened = guarded(is_behind_proxy=True)
        hosts = ("192.168.1.1:80", "[2001:db8::1]", "evil")
        assert [opened.get("/", headers={"Host": host}).status_code for host in hosts] == [200, 200, 421]

    def test_a_path_that_ends_with_a_slash_is_not_redirected(self) -> None:
        """A redirect to a whole URL would repeat the Host and the scheme of the request."""
        assert client().get("/sessions/").status_code == 404


class TestOtherSites:
    """A hostile page in another tab reads nothing and keeps nothing busy."""

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "new-value", ""])
    @pytest.mark.parametrize(
        ("mode", "destination"),
        [
            ("no-cors", "script"),
            ("no-cors", "image"),
            ("cors", "empty"),
            ("navigate", "iframe"),
            ("navigate", "object"),
        ],
    )
    def test_embedded_and_fetched_pages_are_refused(self, site: str, mode: str, destination: str) -> None:
        """Scripts, images, streams, frames and fetches of other sites; a port of this host is another site too."""
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        assert guarded().get("/live", headers=headers).status_code == 403

    def test_a_link_is_followed(self) -> None:
        """Another site may link to a page."""
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert guarded().get("/", headers=headers).text == "secret"

    @pytest.mark.parametrize("site", ["same-origin", "none"])
    def test_own_pages_are_answered(self, site: str) -> None:
        """The site's own scripts, and addresses that are typed."""
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
        assert guarded().get("/live", headers=headers).text == "secret"

    @pytest.mark.parametrize(
        "origin", ["http://evil", "null", "", "http://127.0.0.1:3000", "http://127.0.0.1:8417.evil"]
    )
    def test_a_foreign_origin_is_refused_in_older_browsers_too(self, origin: str) -> None:
        """A browser without Sec-Fetch names the origin of a script or stream."""
        assert guarded().get("/live", headers={"Origin": origin}).status_code == 403

    def test_the_own_origin_is_answered(self) -> None:
        """Such as of an extension of the browser that adds it."""
        assert guarded().get("/", headers={"Origin": "http://127.0.0.1:8417"}).text == "secret"


class TestRequests:
    """What no reader of the page sends is refused before anything reads it."""

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"])
    @pytest.mark.parametrize("path", ["/", *MACHINES, "/healthz"])
    def test_other_methods_are_refused(self, method: str, path: str) -> None:
        """Nothing can be changed, and no preflight is answered."""
        found = client().request(method, path)
        assert (found.status_code, found.headers["Allow"]) == (405, "GET, HEAD")

    @pytest.mark.parametrize(
        "headers", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}, {"Content-Length": "x"}]
    )
    def test_a_body_is_refused_and_the_connection_closed(self, headers: dict[str, str]) -> None:
        """What follows the headers is never read as another request."""
        found = guarded().get("/", headers=headers)
        assert (found.status_code, found.headers["Connection"]) == (400, "close")

    def test_a_long_address_is_refused(self) -> None:
        """Also if it has no more parameters than filters are allowed."""
        statuses = [guarded().get(f"/?q={'a' * length}").status_code for length in (8_189, 8_190)]
        assert statuses == [200, 414]

    def test_many_headers_are_refused(self) -> None:
        """A browser sends about twenty."""
        assert guarded().get("/", headers={f"X-{number}": "1" for number in range(101)}).status_code == 431

    @pytest.mark.parametrize("path", ["/api/v1/sessions", "/feed/blocklist.txt"])
    def test_programs_get_a_problem_document(self, path: str) -> None:
        """A refusal has a sentence in both forms."""
        found = client().post(path)
        assert found.headers["Content-Type"] == "application/problem+json"
        assert found.json()["detail"] == "only GET and HEAD are answered"


class TestToken:
    """With --token-file, only who has the token reads anything."""

    @pytest.mark.parametrize("path", [path for path in PATHS if path not in OPEN])
    def test_nothing_is_answered_without_it(self, path: str) -> None:
        """Static files, feeds and streams included."""
        found = client(token=TOKEN).get(path)
        assert (found.status_code, found.headers["WWW-Authenticate"]) == (401, "Bearer")

    def test_health_needs_none(self) -> None:
        """It has no data."""
        assert client(token=TOKEN).get("/healthz").text == "ok\n"

    @pytest.mark.parametrize(
        "authorization",
        [f"Bearer {TOKEN}", f"bearer  {TOKEN}", "Basic " + b64encode(f"any:{TOKEN}".encode()).decode()],
    )
    def test_a_program_sends_it_in_a_header(self, authorization: str) -> None:
        """A firewall that reads a block list by URL sends it as a password."""
        assert guarded(token=TOKEN).get("/", headers={"Authorization": authorization}).text == "secret"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": f"Bearer {TOKEN[:-1]}"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": "Bearer "},
            {"Authorization": TOKEN},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Basic é"},
            {"Authorization": "Basic " + b64encode(f"{TOKEN}:x".encode()).decode()},
            {"Authorization": f"Bearer {TOKEN}".replace("s", "\u017f").encode().decode("latin-1")},
            {"Cookie": f"snapshots_token={TOKEN}"},
            {"Cookie": "snapshots_token="},
            {"Cookie": 'snapshots_token="\\377'},
            {"X-Token": TOKEN},
        ],
    )
    def test_anything_else_is_refused(self, headers: dict[str, str]) -> None:
        """Neither a part, nor more, nor the token in the place of the cookie's own value."""
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        assert guarded(token=TOKEN).get("/", headers=encoded).status_code == 401

    def test_a_browser_gets_a_cookie_and_an_address_without_it(self) -> None:
        """The address of the page never shows the token again."""
        opened = guarded(token=TOKEN)
        found = opened.get(f"/sessions?asn=1&token={TOKEN}&since=7d")
        assert (found.status_code, found.headers["Location"]) == (303, "/sessions?asn=1&since=7d")
        assert opened.get("/sessions").text == "secret"

    def test_it_leaves_the_address_although_the_browser_has_the_cookie(self) -> None:
        """A bookmark with the token is redirected, too."""
        opened = guarded(token=TOKEN)
        opened.get(f"/?token={TOKEN}")
        assert opened.get(f"/?token={TOKEN}").headers["Location"] == "/"

    def test_no_script_and_no_other_site_uses_the_cookie(self) -> None:
        """HttpOnly, SameSite=Strict, this host only, and until the browser is closed."""
        cookie = guarded(token=TOKEN).get(f"/?token={TOKEN}").headers["Set-Cookie"]
        assert [part.strip() for part in cookie.split(";")[1:]] == ["HttpOnly", "Path=/", "SameSite=strict"]

    def test_the_cookie_is_not_the_token(self) -> None:
        """Browsers send it to servers on other ports of this host, which must not learn the token."""
        assert TOKEN not in guarded(token=TOKEN).get(f"/?token={TOKEN}").headers["Set-Cookie"]

    @pytest.mark.parametrize(("is_behind_proxy", "is_secure"), [(True, True), (False, False)])
    def test_the_cookie_is_secure_behind_a_proxy_with_tls(self, *, is_behind_proxy: bool, is_secure: bool) -> None:
        """Only a proxy that the operator named is believed."""
        opened = guarded(token=TOKEN, is_behind_proxy=is_behind_proxy)
        found = opened.get(f"/?token={TOKEN}", headers={"X-Forwarded-Proto": "https"})
        assert ("Secure" in found.headers["Set-Cookie"]) == is_secure

    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("//evil.example/", "/evil.example/"),
            ("/\\evil.example", "/evil.example"),
            ("/%5Cevil.example", "/%5Cevil.example"),
            ("/%09/evil.example", "/%09/evil.example"),
            ("/a%0d%0aSet-Cookie:x", "/a%0d%0aSet-Cookie:x"),
            ("/session/a%2Fb%3Fc%2523", "/session/a%2Fb%3Fc%2523"),
            ("http://evil.example/", "/http://evil.example/"),
        ],
    )
    def test_the_redirect_stays_on_this_host(self, path: str, target: str) -> None:
        """Whatever the path holds, it is the path of this site, as the browser sent it."""
        site = Access(PlainTextResponse("secret"), ServeOptions(version="1", token=TOKEN), lambda: None)
        assert _redirect_of(site, path) == target

    def test_it_is_compared_in_constant_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The time of an answer does not depend on how much of a guess is right: every comparison is that function."""
        compared: list[str | bytes] = []
        monkeypatch.setattr(access, "compare_digest", lambda given, _: compared.append(given))
        headers = {"Authorization": "Bearer two", "Cookie": "snapshots_token=three"}
        assert guarded(token=TOKEN).get("/?token=one", headers=headers).status_code == 401
        assert compared == [b"one", b"two", b"three"]

    def test_a_refusal_does_not_repeat_a_guess(self) -> None:
        """Error texts hold neither the token nor what was sent for it."""
        assert "guess-0123" not in client(token=TOKEN).get("/?token=guess-0123").text

    def test_a_browser_that_followed_a_link_learns_what_to_do(self) -> None:
        """A strict cookie is not sent with the first request after a link of another site."""
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert "press Enter" in guarded(token=TOKEN).get("/", headers=headers).text


def _redirect_of(site: Access, raw_path: str) -> str:
    """Return where a request with the token is redirected to; its path is as sent, which clients would normalize."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": f"token={TOKEN}".encode(),
        "headers": [(b"host", b"127.0.0.1")],
    }
    asyncio.run(site(scope, receive, send))
    location: bytes = dict(sent[0]["headers"])[b"location"]
    return location.decode()
