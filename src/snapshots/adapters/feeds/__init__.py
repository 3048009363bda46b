"""Formats in which sessions and addresses are handed to other programs."""
