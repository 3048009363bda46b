"""Copies of a database in single files."""
