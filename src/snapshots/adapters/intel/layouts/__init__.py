"""Layouts of tables of addresses, each recognized by the whole file."""
