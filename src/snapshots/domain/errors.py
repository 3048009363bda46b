"""Errors of domain values."""


class SnapshotsError(Exception):
    """Base class of all errors that this package raises deliberately."""


class InvalidAddress(SnapshotsError):
    """A value is not an IP address in text, or not in the canonical form where that is needed."""


class InvalidFact(SnapshotsError):
    """A fact about an address is out of range."""


class InvalidPolicy(SnapshotsError):
    """A policy has contradictory or incomplete settings."""


class InvalidEvent(SnapshotsError):
    """An event lacks a required value, or a value is invalid."""
