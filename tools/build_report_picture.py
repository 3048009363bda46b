"""
Build docs/report.png: the report page of the log that comes with the program, drawn by Chromium.

    .venv/bin/python tools/build_report_picture.py

Writes also the digest of the page, without its date, next to it. A test compares it with the current page, so it fails
when the picture is outdated.
"""

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from snapshots.__main__ import main
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.html.page import page_of
from snapshots.composition.application import open_application

LOG = Path("src/snapshots/adapters/cli/data/cowrie.json.gz")
PICTURE, DIGEST = Path("docs/report.png"), Path("docs/report.sha256")
MADE_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WIDTH, HEIGHT = 1280, 1420


def demo_page() -> str:
    """Return the page with a fixed date, and without warnings that depend on today."""
    with TemporaryDirectory() as folder:
        db = f"{folder}/demo.db"
        if code := main(["load", "-q", str(LOG), "--db", db]):
            raise SystemExit(code)
        with open_application(Settings(db=f"sqlite:///{db}")) as application:
            overview = application.overview.overview(top=10)
    return page_of(replace(overview, made_at=MADE_AT, expired=()), version="")


def digest_of(page: str) -> str:
    """Return the digest of a page."""
    return sha256(page.encode()).hexdigest()


def draw(page: str, picture: Path) -> None:
    """Draw the top of a page as a PNG."""
    chromium = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if chromium is None:
        raise SystemExit("install Chromium to draw the picture")
    with TemporaryDirectory() as folder:
        html = Path(folder, "report.html")
        html.write_text(page)
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        options += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile"]
        options += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture.absolute()}"]
        subprocess.run([chromium, *options, html.as_uri()], check=True, capture_output=True, timeout=120)  # noqa: S603 - a fixed program


if __name__ == "__main__":
    made = demo_page()
    draw(made, PICTURE)
    DIGEST.write_text(f"{digest_of(made)}\n")
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes\n")
