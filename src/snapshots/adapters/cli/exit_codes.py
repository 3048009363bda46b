"""The exit codes of the program."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command."""

    DONE = 0
    FAILED = 1
    USAGE_ERROR = 2
    CHECK_FAILED = 3
    """A verification or a target was not met."""

    INTERRUPTED = 130
    """As a shell reports a process that SIGINT ended: 128 + 2."""
