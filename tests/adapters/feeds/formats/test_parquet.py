"""A Parquet file is written in groups of bounded size."""

from io import BytesIO

from pyarrow.parquet import ParquetFile

from snapshots.adapters.feeds.formats.parquet import VALUES_PER_GROUP, write_parquet
from snapshots.app.queries.session_queries import SESSION_COLUMNS, SessionRow
from snapshots.domain.session.activity import Activity
from snapshots.domain.session.logins import MOST_CREDENTIALS, StoredLogin

EMPTY = SessionRow(**(dict.fromkeys(SESSION_COLUMNS) | {"session_id": "s"}))  # type: ignore[arg-type]


def test_sessions_with_many_credentials_do_not_fill_the_memory() -> None:
    """A group holds few of them; no session is lost between groups."""
    login = StoredLogin("root", None, None, attempts=1, successes=0)
    crowded = EMPTY._replace(activity=Activity(logins=(login,) * MOST_CREDENTIALS))
    to = BytesIO()

    count = write_parquet([*[EMPTY] * VALUES_PER_GROUP, *[crowded] * 9, EMPTY], to)

    metadata = ParquetFile(to).metadata
    rows = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert count == sum(rows) == VALUES_PER_GROUP + 10
    assert rows == [VALUES_PER_GROUP, 4, 4, 2]
