"""Databases of other programs."""
