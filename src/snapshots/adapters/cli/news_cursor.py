"""The file in which `news` remembers what it has reported."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import BaseModel, ConfigDict, ValidationError

from snapshots.adapters.cli.output.atomic_output import opened_whole
from snapshots.app.queries.comparisons.news import Reported
from snapshots.app.queries.session_queries import Dimension


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filter: str
    until: datetime
    reported: Mapping[Dimension, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsCursor:
    """
    What earlier calls reported.

    Attributes:
        session_filter: The filter of these calls, as text.
        until: Time of the last call, in UTC.
        reported: The values that were stored then, by key.
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
        except FileNotFoundError:
            return None
        except (ValidationError, UnicodeDecodeError) as exc:
            raise click.ClickException(
                f"{file} is not a file that `news --cursor` wrote; name another file, or delete it to start over"
            ) from exc
        except OSError as exc:
            raise click.ClickException(f"{file} cannot be read: {exc.strerror or exc}") from exc
        if stored is None:
            return None
        until = stored.until if stored.until.tzinfo is not None else stored.until.replace(tzinfo=UTC)
        return cls(session_filter=stored.filter, until=until, reported=stored.reported)

    def write(self, file: Path) -> None:
        """
        Replace a file by this cursor.

        Raises:
            click.ClickException: The file cannot be written; it is unchanged.
        """
        document = {
            "filter": self.session_filter,
            "until": self.until.isoformat(),
            "reported": {key.value: sorted(values) for key, values in self.reported.items()},
        }
        with opened_whole(file) as to:
            to.write(json.dumps(document, indent=1).encode())
