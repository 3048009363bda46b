"""Cowrie's JSON logs: lines, contents and folders."""
