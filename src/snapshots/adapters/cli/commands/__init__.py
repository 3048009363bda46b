"""Commands that change the database."""
