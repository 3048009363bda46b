"""Download tables into a folder, each build in a file of its own."""

import os
import re
import tempfile
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from platformdirs import user_data_path

from snapshots.adapters.intel.moment_in_name import MOMENT, moment_of_table
from snapshots.app.errors import SourceUnreadable

TABLE_STORE = user_data_path("snapshots") / "tables"
TIMEOUT_SECONDS = 60
LARGEST = 2**30
"""Maximum bytes of a table; the largest that are published have a third of it."""

CHUNK = 2**20
SUFFIX = re.compile(r"(\.[A-Za-z][A-Za-z0-9]{0,6}){0,2}$")
GEOLITE_DAYS = 30
"""Within so many days the licence of GeoLite2 asks to delete a file that was replaced."""


def url_of_today(url: str, now: datetime) -> str:
    """Return a URL in which YYYY-MM or YYYY-MM-DD is replaced by the present date, by which tables are named."""
    month = re.sub(r"YYYY([-_.]?)MM", rf"{now:%Y}\g<1>{now:%m}", url)
    return re.sub(rf"({now:%Y}[-_.]?{now:%m}[-_.]?)DD", rf"\g<1>{now:%d}", month)


def is_url(location: str) -> bool:
    """Whether a location is a URL and not a path."""
    return location.lower().startswith(("http://", "https://"))


def download(url: str, folder: Path, now: datetime) -> Path:
    """
    Download a table, and return its file, which is complete and has its moment in its name.

    The moment is the time of the last change that the server states, or else now.

    Args:
        url: With http or https.
        folder: Created if it is missing.
        now: The present time, in UTC.

    Raises:
        SourceUnreadable: The server did not deliver a whole file, or it cannot be written.
    """
    from http.client import HTTPException  # noqa: PLC0415 - takes long, and few commands download
    from urllib.request import Request, urlopen  # noqa: PLC0415 - as above

    request = Request(url, headers={"User-Agent": "snapshots"})  # noqa: S310 - is_url admits http and https only
    part = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
            target = folder / _file_name(url, min(_changed_at(response.headers.get("Last-Modified"), now), now))
            expected = response.headers.get("Content-Length")
            handle, part = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
            with os.fdopen(handle, "wb") as file:
                size = 0
                while data := response.read(CHUNK):
                    size += len(data)
                    if size > LARGEST:
                        raise SourceUnreadable(f"{url} is larger than {LARGEST:,} bytes")
                    file.write(data)
        if expected is not None and size != int(expected):
            raise SourceUnreadable(f"{url} was not delivered completely: {size:,} of {int(expected):,} bytes")
        Path(part).replace(target)
    except (OSError, HTTPException, ValueError) as exc:
        raise SourceUnreadable(f"{url} cannot be downloaded: {getattr(exc, 'reason', None) or exc}") from exc
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)
    return target


def delete_expired_downloads(folder: Path, now: datetime) -> None:
    """Delete downloaded GeoLite2 files that were replaced, as their licence asks; the facts from them are stored."""
    files = sorted(folder.glob("GeoLite2-*"), key=moment_of_table) if folder.is_dir() else []
    newest = {MOMENT.sub("", file.name): file for file in files}
    for file in files:
        if file not in newest.values() and now - moment_of_table(file) > timedelta(days=GEOLITE_DAYS):
            file.unlink(missing_ok=True)


def _file_name(url: str, moment: datetime) -> str:
    name = unquote(Path(urlsplit(url).path).name) or urlsplit(url).hostname or "table"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", MOMENT.sub("", name)).lstrip(".")
    suffix = SUFFIX.search(name)
    stem, rest = (name[: suffix.start()], suffix[0]) if suffix else (name, "")
    return f"{stem.strip('-_.') or 'table'}-{moment:%Y-%m-%dT%H-%M-%SZ}{rest}"


def _changed_at(stated: str | None, now: datetime) -> datetime:
    try:
        return parsedate_to_datetime(stated).astimezone(UTC) if stated else now
    except (ValueError, OverflowError):
        return now
