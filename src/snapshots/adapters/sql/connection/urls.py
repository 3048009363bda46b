"""Parse a database URL or the path of a SQLite file."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from snapshots.app.errors import PackageMissing, SettingRefused
from snapshots.app.pip_install import install_extra
from snapshots.app.safe_text import shown_url

EXAMPLES = "write a path such as snapshots.db, or postgresql://USER@HOST/NAME"

_POSTGRESQL = re.compile(r"postgres(?:ql)?(?:\+\w+)?", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][\w+.-]*):(?=.)")
_CONNECTION_STRING = re.compile(r"(?:^|\s)(?:host|hostaddr|dbname|user|password|port|service)\s*=")
_QUERY = re.compile(r"\w+=[^&]*(?:&\w+=[^&]*)*")


def database_url(text: str) -> URL:
    """
    Return the URL of a database from a URL in any common form or a path.

    Raises:
        SettingRefused: It is neither; the message states what to write instead.
    """
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise SettingRefused(f"{shown_url(text)} is not UTF-8: rename the file or its folder") from exc
    scheme, separator, rest = text.partition("://")
    if separator and _POSTGRESQL.fullmatch(scheme):
        return _postgresql(text, rest)
    if separator and scheme.lower().partition("+")[0] == "sqlite":
        return _sqlite(text, rest)
    if separator:
        raise SettingRefused(f"{shown_url(text)}: only SQLite and PostgreSQL are supported; {EXAMPLES}")
    if not text.strip():
        raise SettingRefused(f"the name of the database is empty: {EXAMPLES}")
    if _CONNECTION_STRING.search(text):
        raise SettingRefused(f"'{shown_url(text)}' is a libpq connection string; {EXAMPLES}")
    if found := _SCHEME.match(text):
        if found[1].lower() != "sqlite":
            raise SettingRefused(f"{shown_url(text)} is not a database URL; {EXAMPLES}")
        return _file(text[found.end() :])
    if not (Path(text).exists() or _looks_like_a_path(text)):
        hint = f" (a file of that name is ./{text})" if text.isidentifier() else ""
        raise SettingRefused(f"{shown_url(text)} is not a database URL and not an existing file{hint}; {EXAMPLES}")
    return _file(text)


def _looks_like_a_path(text: str) -> bool:
    return ("." in text or "/" in text) and "@" not in text and not re.match(r"\w+//", text)


def _file(path: str) -> URL:
    """Return the URL of a SQLite file; a ~ is the home folder, unless a folder has that name."""
    is_home = path.startswith("~") and not Path(path.partition("/")[0]).exists()
    try:
        found = Path(path).expanduser() if is_home else path
    except RuntimeError:  # no such user
        found = path
    if os.path.isdir(found):  # noqa: PTH112 - Path.is_dir raises an error for an unreadable parent
        raise SettingRefused(
            f"{path} is a folder, not a database: name a file in it, such as {path.rstrip('/')}/snapshots.db"
        )
    return URL.create("sqlite", database=str(found))


def _sqlite(text: str, rest: str) -> URL:
    if rest in {"", "/"}:
        return make_url("sqlite://")
    if not rest.startswith("/"):
        three = shown_url(f"sqlite:///{rest}")
        raise SettingRefused(f"{shown_url(text)} has two slashes: write {three} or {three.replace('///', '////', 1)}")
    path, mark, query = rest[1:].partition("?")
    if mark and not _QUERY.fullmatch(query):  # a name with a question mark in it
        path, mark = rest[1:], ""
    if mark or path == ":memory:":
        return make_url(text)
    return _file(path)


def _postgresql(text: str, rest: str) -> URL:
    if find_spec("psycopg") is None:
        raise PackageMissing(f"PostgreSQL needs the extra postgresql: {install_extra('postgresql')}")
    try:
        url = make_url(f"postgresql+psycopg://{rest}")
        if "@" in (url.host or ""):  # an unescaped @ in the password
            userinfo, _, where = rest.rpartition("@")
            user, _, password = userinfo.partition(":")
            url = make_url(f"postgresql+psycopg://{user}:{quote(password, safe='%')}@{where}")
    except (ArgumentError, ValueError) as exc:
        right = "postgresql://USER:PASSWORD@HOST:PORT/NAME"
        raise SettingRefused(f"{shown_url(text)} is not a database URL: write it as {right}") from exc
    return url
