"""Entry point of Alembic: run the migrations on the connection in its configuration."""

from alembic import context

from snapshots.adapters.sql.schema import triggers
from snapshots.adapters.sql.schema.tables import metadata


def is_in_the_definitions(_object: object, name: str | None, *_: object) -> bool:
    """Exclude objects of the triggers, which are recreated after every migration."""
    return name not in triggers.OWN


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    include_object=is_in_the_definitions,
    render_as_batch=True,
)
context.run_migrations()
