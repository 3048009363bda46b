"""Layouts of tables of addresses, each recognised by the whole file."""
