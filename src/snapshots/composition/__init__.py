"""Wires adapters to the application."""
