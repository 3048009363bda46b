"""Leave out the texts of passwords that may not be published."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from snapshots.app.queries.common_passwords import public_text
from snapshots.app.queries.session_queries import SessionRow


def without_passwords(documents: Iterable[dict[str, Any]], *, hash_name: str, text_name: str) -> None:
    """Remove the texts of passwords from documents that have them under a name, next to their hashes."""
    for document in documents:
        document[text_name] = public_text(document[hash_name], document[text_name])


def lines_without_passwords(lines: Iterable[SessionRow]) -> Iterator[SessionRow]:
    """Yield sessions without the texts of passwords."""
    for line in lines:
        done = line.activity
        if done is None or all(login.password is None for login in done.logins):
            yield line
            continue
        logins = tuple(each._replace(password=public_text(each.password_hash, each.password)) for each in done.logins)
        yield line._replace(activity=replace(done, logins=logins))
