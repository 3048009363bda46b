"""Repositories of sessions, facts and runs."""
