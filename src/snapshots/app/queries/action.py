"""What an attacker did in a session."""

from enum import Enum


class Action(Enum):
    """
    Something that few sessions do: most only connect, or fail to log in.

    Attributes:
        value: Its name in filters.
    """

    LOGIN = "login"
    """A login succeeded."""
    COMMAND = "command"
    """A command was entered."""
    DOWNLOAD = "download"
    """A file was downloaded to the honeypot."""
    UPLOAD = "upload"
    """A file was uploaded to the honeypot; not known of sessions that an earlier version stored."""
    FORWARD = "forward"
    """A connection to another host was requested (`direct-tcpip`)."""
