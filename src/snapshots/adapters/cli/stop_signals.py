"""Stop work after the current batch when SIGINT or SIGTERM arrives."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from snapshots.adapters.cli.exit_codes import ExitCode


class StopRequest:
    """
    A request by signal to stop after the current batch; the instance is callable as the `is_stopped` of use cases.

    Attributes:
        signal: The first signal; None if there was none.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        """Whether a signal was received."""
        return self.signal is not None

    @property
    def exit_code(self) -> ExitCode:
        """Return 130 if the first signal was SIGINT (Ctrl-C); 0 after SIGTERM, which service managers send."""
        return ExitCode.INTERRUPTED if self.signal == signal.SIGINT else ExitCode.DONE


@contextmanager
def stopping() -> Iterator[StopRequest]:
    """Make the first SIGINT or SIGTERM stop the work after the current batch, and the second one at once."""
    request = StopRequest()
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        request.signal = number
        for kind, handler in before.items():
            signal.signal(kind, handler)

    for kind in before:
        signal.signal(kind, ask)
    try:
        yield request
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
