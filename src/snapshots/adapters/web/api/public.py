"""Leave out stored texts of passwords, except very common ones."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from snapshots.app.queries.common_passwords import common_passwords
from snapshots.app.queries.session_queries import SessionRow


def without_passwords(documents: Iterable[dict[str, Any]], *, hash_name: str, text_name: str) -> None:
    """Remove the texts of passwords from documents that have them under a name, next to their hashes."""
    for document in documents:
        if document[hash_name] not in common_passwords():
            document[text_name] = None


def lines_without_passwords(lines: Iterable[SessionRow]) -> Iterator[SessionRow]:
    """Yield sessions without the texts of passwords."""
    for line in lines:
        done = line.activity
        if done is None or all(login.password is None for login in done.logins):
            yield line
            continue
        logins = tuple(
            login if login.password_hash in common_passwords() else login._replace(password=None)
            for login in done.logins
        )
        yield line._replace(activity=replace(done, logins=logins))
