"""Every block of code in the documents works as shown."""

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from sqlite3 import connect
from threading import Thread
from typing import Any
from zipfile import ZipFile

import pytest
from tools.build_docs import LOG

from tests.documents import Block, blocks, every_document
from tests.journeys.test_cowrie_tables import rows, schema
from tests.reader import Reader, shell_commands
from tests.table_layouts import EXAMPLES, SINGLE, Range
from tests.tables import mmdb

BLOCKS = [block for document in every_document() for block in blocks(document)]
RUN = [block for block in BLOCKS if block.language != "text" and not block.reason_not_run and block.test is None]
EXITS = "185.220.101.1\n2a0b:f4c2::1\n"
GOOGLE = Range(first=0x08080800, last=0x080808FF, asn=15169, name="Google LLC", country="US")


class Web:
    """
    A server in the place of all others: it delivers the files of a folder, and accepts what is sent.

    Args:
        folder: The files, below the name of their host.
    """

    def __init__(self, folder: Path) -> None:
        self.received: dict[str, bytes] = {}
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                file = folder / self.path.lstrip("/")
                self.answer(200 if file.is_file() else 404, file.read_bytes() if file.is_file() else b"")

            def do_POST(self) -> None:
                received[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(200, b"{}")

            def do_PUT(self) -> None:
                self.do_POST()

            def answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path / "web")
    yield made
    made.close()


@pytest.fixture
def reader(tmp_path: Path, web: Web) -> Iterator[Reader]:
    folder = tmp_path / "clone"
    folder.mkdir()
    made = Reader(folder, web.url)
    with made.stack:
        yield made


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the sessions of the log that comes with the program."""
    folder = tmp_path_factory.mktemp("loaded")
    Reader(folder, "").run("load", "-q", "cowrie-logs")
    return folder / "snapshots.db"


def sensor(reader: Reader) -> None:
    """The logs and recordings of a sensor, and folders of other programs."""
    logs = reader.folder / "var/log/cowrie"
    logs.mkdir(parents=True)
    (logs / "cowrie.json").write_bytes(gzip.decompress(LOG.read_bytes()))
    others = ("var/lib/snapshots", "var/lib/node_exporter", "etc/systemd/system", "home/cowrie/cowrie/var/log/cowrie")
    for name in (*others, "home/cowrie/cowrie/var/lib/cowrie/tty"):
        (reader.folder / name).mkdir(parents=True)


def cowrie_tables(reader: Reader) -> None:
    """The database of Cowrie's output for SQLite."""
    with closing(connect(reader.folder / "cowrie.db")) as connection:
        for statement in (*schema("sqlite"), *rows("sqlite")):
            connection.execute(statement)
        connection.commit()


def kept_database(reader: Reader) -> None:
    """A backup, and a database that a group may read."""
    (reader.folder / "backups").mkdir()
    reader.run("load", "-q", "cowrie-logs", "--db", "backups/snapshots-20261130T000000Z.db")
    (reader.folder / "var/lib/snapshots").mkdir(parents=True)
    (reader.folder / "var/lib/snapshots/snapshots.db").touch()
    reader.names["snapshots-readers"] = lambda: str(os.getgid())


def elastic(reader: Reader) -> None:
    """An Elasticsearch that accepts everything."""
    reader.environment["ELASTIC"] = reader.web


def grafana(reader: Reader) -> None:
    """The folders that the package of Grafana creates."""
    for name in ("dashboards", "datasources"):
        (reader.folder / "etc/grafana/provisioning" / name).mkdir(parents=True)


def site(reader: Reader) -> None:
    """A page that is served; it needs no token, and ignores one."""
    (reader.folder / "token.txt").write_text("0123456789abcdef0123456789abcdef\n")
    page = reader.serve(["serve"])
    reader.names["http://127.0.0.1:8417/"] = lambda: page.url


def last_run(reader: Reader) -> None:
    """The newest run, under the name in the document; it is finished, so that none can be resumed."""
    reader.refusals["snapshots backfill --resume"] = "there is no backfill to resume"
    reader.names["RUN"] = lambda: str(json.loads(reader.run("runs", "--format", "json"))[0]["run"])


def tables(reader: Reader) -> None:
    """The tables that are imported, and those that other servers publish."""
    folder = reader.folder
    asn = EXAMPLES["geolite2-asn"].write([GOOGLE])
    with ZipFile(folder / "GeoLite2-ASN-CSV_20261001.zip", "w") as archive:
        archive.writestr(EXAMPLES["geolite2-asn"].file, asn)
    lite = EXAMPLES["ipinfo-lite"].write([GOOGLE])
    (folder / "ipinfo_lite_20261001.csv.gz").write_bytes(gzip.compress(str(lite).encode()))
    city = {"8.8.8.0/24": {"country": {"iso_code": "US"}}}
    mmdb(folder / "GeoLite2-City.mmdb", city, kind="GeoLite2-City")
    (folder / "var/lib/tables").mkdir(parents=True)
    (folder / "var/lib/tables/vpn-2026-09-01.csv").write_text("8.8.4.4,VPN\n")
    (folder / "ip-ranges.json").write_text(str(EXAMPLES["aws"].write([GOOGLE])))
    (folder / "x4b-vpn-2026-10-01.txt").write_text("8.8.4.0/24\n")
    (folder / "asn.csv").write_text("8.8.8.0/24,15169,Google LLC\n")
    (folder / "exits.txt").write_text(EXITS)
    (folder / "exit-list-2026-10").mkdir()
    (folder / "exit-list-2026-10/2026-10-15-12-02-00").write_text(str(SINGLE["exit-addresses"].write([GOOGLE])))
    (folder / "srv/tables").mkdir(parents=True)
    shutil.copy(folder / "asn.csv", folder / "srv/tables/asn-2026-10-02.csv")
    web = folder.parent / "web"
    (web / "check.torproject.org").mkdir(parents=True)
    (web / "check.torproject.org/torbulkexitlist").write_text(EXITS)
    (web / "download.db-ip.com/free").mkdir(parents=True)
    month = f"{datetime.now(UTC):%Y-%m}"
    records: Mapping[str, dict[str, Any]] = {
        "asn": {"autonomous_system_number": 15169},
        "country": {"country": {"iso_code": "US"}},
    }
    for kind, record in records.items():
        made = mmdb(folder / "made.mmdb", {"8.8.8.0/24": record}, kind=f"DBIP-{kind.upper()}-Lite")
        (web / f"download.db-ip.com/free/dbip-{kind}-lite-{month}.mmdb.gz").write_bytes(
            gzip.compress(made.read_bytes())
        )


PREPARATIONS: Mapping[str, Callable[[Reader], None]] = {
    "README.md": sensor,
    "docs/how-to/backfill.md": last_run,
    "docs/how-to/export.md": elastic,
    "docs/how-to/follow-with-systemd.md": sensor,
    "docs/how-to/grafana-and-datasette.md": grafana,
    "docs/how-to/live-page.md": sensor,
    "docs/how-to/load-from.md": cowrie_tables,
    "docs/how-to/monitor.md": sensor,
    "docs/how-to/renew-tables.md": tables,
    "docs/how-to/retain-and-back-up.md": kept_database,
    "docs/reference/http-api.md": site,
}
"""What must be there before a reader begins."""

SLOW = {
    "docs/how-to/live-page.md",
    "docs/how-to/load-from.md",
    "docs/how-to/monitor.md",
    "docs/how-to/news.md",
    "docs/how-to/renew-tables.md",
    "docs/reference/http-api.md",
}
"""Documents with many processes."""

PAGES = [
    pytest.param(document, marks=pytest.mark.slow if document in SLOW else ())
    for document in dict.fromkeys(str(block.document) for block in RUN)
]


@pytest.mark.parametrize("document", PAGES)
def test_every_block_works_as_shown(document: str, reader: Reader, loaded: Path) -> None:
    """From top to bottom, as a reader would; on the bundled log unless the document loads one."""
    mine = [block for block in RUN if str(block.document) == document]
    if not any(block.language == "console" for block in mine):
        shutil.copy(loaded, reader.folder / "snapshots.db")
    if document in PREPARATIONS:
        PREPARATIONS[document](reader)

    for block in mine:
        try:
            reader.follow(block)
        except Exception as exc:
            exc.add_note(f"in the block at {block}")
            raise


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_run_or_has_a_reason(block: Block, reader: Reader) -> None:
    """A comment before it: `not run: REASON`, or `run by: TEST` with a test that reads the document."""
    if block.test is not None:
        assert str(block.document) in block.test.read_text()
    elif block.reason_not_run is None:
        assert block.language in reader.languages, f"{block}: state a language that is run, or a reason"
    else:
        assert len(block.reason_not_run) > 5


def test_a_block_that_does_not_work_is_detected(reader: Reader) -> None:
    """A wrong option, a wrong path, a wrong key, a wrong name, a wrong statement and a wrong output."""
    wrong = {
        "sh": [
            "snapshots query --no-such-option",
            "cat /var/no-such-file",
            "pip install '.[no-such-extra]'",
            "sh run no-such-word",
        ],
        "toml": ["no-such-key = 1\n", "[load]\nno-such-option = 1\n", "db =\n"],
        "json": ["{"],
        "yaml": ["a: b: c"],
        "sql": ["SELECT no_such_column FROM v_sessions;\n", "SELECT 1 WHERE false;\n"],
        "console": ["$ snapshots runs\nnothing like this\n"],
        "crontab": ["* * * * * snapshots no-such-command"],
    }
    for language, texts in wrong.items():
        for text in texts:
            block = Block(document=Path("x.md"), line=1, language=language, text=text, comment="")
            with pytest.raises(Exception):  # noqa: B017, PT011 - each kind fails in its own way
                reader.follow(block)


def test_commands_are_read_as_a_shell_reads_them() -> None:
    """Comments are left out; a command may span lines."""
    text = "# first\na b \\\n  c\nexport X='1\n  2'  # why\n\nd\n"

    assert list(shell_commands(text)) == ["a b \\\n  c", "export X='1\n  2'  # why", "d"]
