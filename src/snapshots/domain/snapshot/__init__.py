"""Snapshots: the facts about an address as of a time, sealed in a session."""
