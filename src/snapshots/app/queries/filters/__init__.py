"""Filters of sessions, read from texts and described in words."""
