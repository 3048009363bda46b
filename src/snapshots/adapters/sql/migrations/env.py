"""What alembic runs: the migrations, on the connection that `schema.py` hands over."""

from alembic import context

from snapshots.adapters.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
