"""Filters over sessions, in SQL."""
