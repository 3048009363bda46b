"""A client of the site, on the database of the bundled log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from starlette.testclient import TestClient

from snapshots.adapters.cli.services import ServeOptions
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.web.site import make_site
from snapshots.composition.application import CommandApplication

OPTIONS = ServeOptions(version="1")


@contextmanager
def site_client(url: str, **options: Any) -> Iterator[TestClient]:
    """Open a client of the site of a database, which is only read; *options* are those of `ServeOptions`."""
    application = CommandApplication(Settings(db=url, query_seconds=60))
    try:
        with TestClient(
            make_site(application, replace(OPTIONS, **options)),
            base_url="http://127.0.0.1:8417",
            follow_redirects=False,
        ) as client:
            yield client
    finally:
        application.close()
