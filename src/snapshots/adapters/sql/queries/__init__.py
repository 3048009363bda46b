"""Statements of reports and queries."""
