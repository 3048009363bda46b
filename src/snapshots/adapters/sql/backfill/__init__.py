"""Statements of the backfill."""
