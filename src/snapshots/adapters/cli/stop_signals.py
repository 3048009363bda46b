"""Stop work after the current batch when SIGINT or SIGTERM arrives."""

import signal
from collections.abc import Iterator, Sequence
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


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived while the command could not stop after a batch, for example during its start."""


@contextmanager
def terminable(arguments: Sequence[str]) -> Iterator[None]:
    """
    Raise `Terminated` on SIGTERM in a command that ends by signals, so that its exit code is the same from its start.

    Importing the libraries and opening the database takes a second; without this, the signal would kill the process.
    """
    is_work = arguments[:1] in (["backfill"], ["undo"]) or (arguments[:1] == ["load"] and "--follow" in arguments)
    if not is_work and not {"serve", "--serve"} & set(arguments):
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
