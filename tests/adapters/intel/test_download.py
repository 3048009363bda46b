"""Tables from a server, here on loopback."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from snapshots.adapters.intel.download import delete_expired_downloads, download, is_url, url_of_today
from snapshots.adapters.intel.open_table import ImportOptions, open_table
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType
from tests.strategies import NOON


class Tables(BaseHTTPRequestHandler):
    """Serves a body with headers by path."""

    answers: ClassVar[dict[str, tuple[bytes, dict[str, str]]]] = {}

    def do_GET(self) -> None:
        body, headers = self.answers.get(self.path, (None, {}))
        self.send_response(200 if body is not None else 404)
        for name, value in ({"Content-Length": str(len(body or b""))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tables)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_table_is_dated_by_its_last_change(url: str, tmp_path: Path) -> None:
    """Or by its download; a date in the name of the URL is that of no build."""
    Tables.answers = {
        "/exits.txt": (b"1.2.3.4\n", {"Last-Modified": "Sat, 28 Feb 2026 10:15:30 GMT"}),
        "/list-2020-01-01.netset?a=b": (b"1.2.3.4\n", {}),
        "/": (b"1.2.3.4\n", {"Last-Modified": "yesterday"}),
        "/future.txt": (b"1.2.3.4\n", {"Last-Modified": "Sat, 28 Feb 2099 10:15:30 GMT"}),
    }

    names = [download(f"{url}{path}", tmp_path / "new", NOON).name for path in Tables.answers]

    assert names == [
        "exits-2026-02-28T10-15-30Z.txt",
        "list-2026-03-01T12-00-00Z.netset",
        "127.0.0.1-2026-03-01T12-00-00Z",
        "future-2026-03-01T12-00-00Z.txt",
    ]
    assert {file.name for file in (tmp_path / "new").iterdir()} == set(names)
    build = open_table(tmp_path / "new" / names[0], ImportOptions(ip_type=IpType.TOR)).build
    assert build.label == "exits@2026-02-28T10:15:30"


@pytest.mark.parametrize(
    ("path", "message"),
    [("/missing", "cannot be downloaded"), ("/cut.txt", "not delivered|IncompleteRead|cannot be downloaded")],
)
def test_a_file_that_is_not_delivered_leaves_nothing(url: str, tmp_path: Path, path: str, message: str) -> None:
    """The previous file stays in use."""
    Tables.answers = {"/cut.txt": (b"1.2.3.4\n", {"Content-Length": "9999"})}
    old = tmp_path / "cut-2026-01-01T00-00-00Z.txt"
    old.write_text("1.2.3.4\n")

    with pytest.raises(SourceUnreadable, match=message):
        download(f"{url}{path}", tmp_path, NOON)

    assert list(tmp_path.iterdir()) == [old]


def test_a_file_larger_than_the_limit_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server must not fill the disk."""
    monkeypatch.setattr("snapshots.adapters.intel.download.LARGEST", 5)
    Tables.answers = {"/large.txt": (b"1.2.3.4\n", {})}

    with pytest.raises(SourceUnreadable, match="is larger than 5 bytes"):
        download(f"{url}/large.txt", tmp_path, NOON)

    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_reported(tmp_path: Path) -> None:
    """With the URL and the reason."""
    with pytest.raises(SourceUnreadable, match=r"http://127\.0\.0\.1:9/a cannot be downloaded"):
        download("http://127.0.0.1:9/a", tmp_path, NOON)


def test_only_web_addresses_are_downloaded() -> None:
    """Everything else is a path."""
    assert [is_url(text) for text in ("HTTPS://a/b", "http://a", "ftp://a", "file:///etc/passwd", "/srv")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_replaced_geolite_files_are_deleted_after_30_days(tmp_path: Path) -> None:
    """The newest of each table stays, and so do tables of other publishers."""
    for name in ("GeoLite2-ASN", "GeoLite2-City", "dbip-asn-lite"):
        for days in (70, 31, 10) if name != "GeoLite2-City" else (70,):
            at = NOON - timedelta(days=days)
            (tmp_path / f"{name}-{at:%Y-%m-%dT%H-%M-%SZ}.mmdb").write_text("x")

    delete_expired_downloads(tmp_path, NOON)
    delete_expired_downloads(tmp_path / "missing", datetime.now(UTC))

    left = sorted(file.name.partition("-20")[0] for file in tmp_path.iterdir())
    assert left == ["GeoLite2-ASN", "GeoLite2-City", "dbip-asn-lite", "dbip-asn-lite", "dbip-asn-lite"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/dbip-asn-lite-YYYY-MM.mmdb.gz", "https://example.org/dbip-asn-lite-2027-01.mmdb.gz"),
        ("https://example.org/YYYYMMDD.csv", "https://example.org/20270109.csv"),
        ("https://example.org/YYYY/MM.csv?DD", "https://example.org/YYYY/MM.csv?DD"),
    ],
)
def test_a_url_may_contain_the_present_date(url: str, expected: str) -> None:
    """Tables of each month have names of their own."""
    assert url_of_today(url, datetime(2027, 1, 9, tzinfo=UTC)) == expected
