"""Everything in which SQLite and PostgreSQL differ."""
