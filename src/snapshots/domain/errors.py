"""Errors of domain values."""


class SnapshotsError(Exception):
    """Base class of all errors that this package raises deliberately."""


class InvalidAddress(SnapshotsError):
    """A text is not an IP address."""


class InvalidFact(SnapshotsError):
    """A fact about an address is out of range."""


class InvalidPolicy(SnapshotsError):
    """A policy has contradictory or incomplete settings."""


class InvalidEvent(SnapshotsError):
    """An event lacks a required value, or a value is invalid."""
