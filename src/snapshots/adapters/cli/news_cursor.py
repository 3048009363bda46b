"""The file that records which values were stored at the last call of `news`."""

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
from snapshots.app.queries.comparisons.news import KnownValues
from snapshots.app.queries.session_queries import Dimension


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filter: str
    until: AwareDatetime
    values: Mapping[Dimension, Sequence[str]]
    moves: Mapping[str, AwareDatetime]


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """
    Lock the folder of a cursor, so that only one call at a time reads, reports and writes it.

    Raises:
        click.UsageError: The path is not a regular file.
        click.ClickException: Its folder is not writable.
    """
    if str(file) == "-" or (file.exists() and not file.is_file()):
        raise click.UsageError(f"--cursor {file} is not a regular file")
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise click.ClickException(f"{file} cannot be written: {exc.strerror or exc}") from exc
    try:
        if not os.access(file.parent, os.W_OK):  # before anything is sent: each call would send the same news again
            raise click.ClickException(f"{file} cannot be written: its folder is read-only")
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsCursor:
    """
    The state after a call.

    Attributes:
        session_filter: The filter of the calls, as text.
        until: Time of the last call, in UTC.
        known: What was stored then.
    """

    session_filter: str
    until: datetime
    known: KnownValues

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
        known = KnownValues(
            values={key: frozenset(values) for key, values in stored.values.items()}, moves=stored.moves
        )
        return cls(session_filter=stored.filter, until=until, known=known)

    def write(self, file: Path) -> None:
        """
        Replace a file by this cursor; only its owner may read it, because a filter may hold a password.

        Raises:
            click.ClickException: The file cannot be written; it is unchanged.
        """
        document = {
            "filter": self.session_filter,
            "until": self.until.isoformat(),
            "values": {key.value: sorted(values) for key, values in self.known.values.items()},
            "moves": {address: at.isoformat() for address, at in self.known.moves.items()},
        }
        with opened_whole(file, is_private=True) as to:
            to.write(json.dumps(document, indent=1).encode())
