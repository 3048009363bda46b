"""Formats of `snapshots export`, one in each module."""
