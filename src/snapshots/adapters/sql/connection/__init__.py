"""Engines, dialects and drivers."""
