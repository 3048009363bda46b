"""Sessions as JSON lines."""

from snapshots.adapters.feeds.export_format import line_format
from snapshots.adapters.feeds.rows import json_line
from snapshots.adapters.feeds.session_columns import EXPORT_COLUMNS, export_values
from snapshots.app.queries.session_queries import SessionRow


def ndjson_line(session: SessionRow) -> str:
    """Return a session as a JSON object on one line."""
    return json_line(EXPORT_COLUMNS, export_values(session))


FORMAT = line_format(name="ndjson", summary="JSON lines, one object for each session.", line=ndjson_line)
