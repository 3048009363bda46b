"""What can be wrong with a value of the domain."""


class SnapshotsError(Exception):
    """The root of every error that this package raises on purpose."""


class InvalidAddress(SnapshotsError):
    """A text is no IP address."""


class InvalidFact(SnapshotsError):
    """A fact about an address is out of its range."""


class InvalidPolicy(SnapshotsError):
    """A rule was configured in a way that cannot be followed."""


class InvalidEvent(SnapshotsError):
    """An event lacks what every event must have."""
