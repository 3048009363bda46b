"""Honeypot sessions and their events."""
