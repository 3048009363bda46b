"""Checks that sealed sessions and the audit tables are unchanged."""
