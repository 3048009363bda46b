"""The file in which `news` remembers what it has reported."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import AwareDatetime, BaseModel, ConfigDict

from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.app.queries.comparisons.news import Reported
from snapshots.app.queries.session_queries import Dimension


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filter: str
    until: AwareDatetime
    reported: Mapping[Dimension, Sequence[str]]
    moved: Mapping[str, str]


@contextmanager
def held(file: Path) -> Iterator[None]:
    """
    Lock the folder of a cursor, so that only one call at a time reads, reports and writes it.

    Raises:
        click.ClickException: The file can be no cursor, or its folder cannot be written.
    """
    if str(file) == "-" or (file.exists() and not file.is_file()):
        raise click.UsageError(f"--cursor {file} is not a regular file")
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise click.ClickException(f"{file} cannot be written: {exc.strerror or exc}") from exc
    try:
        if not os.access(file.parent, os.W_OK):
            raise click.ClickException(f"{file} cannot be written: its folder is read-only")
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsCursor:
    """
    What earlier calls reported.

    Attributes:
        session_filter: The filter of these calls, as text.
        until: Time of the last call, in UTC.
        reported: What they need not report again.
    """

    session_filter: str
    until: datetime
    reported: Reported

    @classmethod
    def read(cls, file: Path) -> "NewsCursor | None":
        """
        Return the cursor in a file; None if there is no file, or an empty one.

        Raises:
            click.ClickException: The file is not a cursor, or cannot be read.
        """
        try:
            text = file.read_text(encoding="utf-8")
            stored = _Stored.model_validate_json(text) if text.strip() else None
            until = stored.until.astimezone(UTC) if stored is not None else None
        except FileNotFoundError:
            return None
        except (ValueError, OverflowError) as exc:
            raise click.ClickException(
                f"{file} is not a file that `news --cursor` wrote; name another file, or delete it to start over"
            ) from exc
        except OSError as exc:
            raise click.ClickException(f"{file} cannot be read: {exc.strerror or exc}") from exc
        if stored is None or until is None:
            return None
        reported = Reported(
            values={key: frozenset(values) for key, values in stored.reported.items()}, moves=stored.moved
        )
        return cls(session_filter=stored.filter, until=until, reported=reported)

    def write(self, file: Path) -> None:
        """
        Replace a file by this cursor; only its owner may read it, because a filter may hold a password.

        Raises:
            click.ClickException: The file cannot be written; it is unchanged.
        """
        document = {
            "filter": self.session_filter,
            "until": self.until.isoformat(),
            "reported": {key.value: sorted(values) for key, values in self.reported.values.items()},
            "moved": dict(self.reported.moves),
        }
        with opened_whole(file, is_private=True) as to:
            to.write(json.dumps(document, indent=1).encode())
