"""Name columns and tables of runs, bookmarks and dead letters by standard terms."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

COLUMNS = {
    "runs": {"heard_at": "heartbeat_at", "position": "checkpoint"},
    "set_asides": {"set_aside_at": "quarantined_at"},
    "bookmarks": {"put_at": "stored_at"},
    "dead_letters": {"kept_at": "stored_at"},
}
COUNT_BEFORE, COUNT = '"set_aside":', '"quarantined":'


def upgrade() -> None:
    """Rename; rows stay as they are."""
    for table, columns in COLUMNS.items():
        for old, new in columns.items():
            _rename_column(table, old, new)
    op.rename_table("set_asides", "quarantined_sessions")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX IF EXISTS set_asides_pkey RENAME TO quarantined_sessions_pkey")
    _replace_in_counts(COUNT_BEFORE, COUNT)


def downgrade() -> None:
    """Restore the names of before."""
    _replace_in_counts(COUNT, COUNT_BEFORE)
    op.rename_table("quarantined_sessions", "set_asides")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX IF EXISTS quarantined_sessions_pkey RENAME TO set_asides_pkey")
    for table, columns in COLUMNS.items():
        for old, new in columns.items():
            _rename_column(table, new, old)


def _rename_column(table: str, old: str, new: str) -> None:
    # In place: Alembic would copy the table on SQLite.
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def _replace_in_counts(old: str, new: str) -> None:
    """Rename a key in the counts of runs, a JSON text."""
    op.execute(f"UPDATE runs SET counts = replace(counts, '{old}', '{new}') WHERE counts LIKE '%{old}%'")  # noqa: S608 - constants
