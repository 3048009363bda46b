"""Retries after lock conflicts and lost connections."""

import pytest

from snapshots.app.errors import LockTimeout, StoreBusy, StoreGone, StoreUnavailable
from snapshots.app.retry import retry


class FailingCall:
    """Raises the given errors in order, then succeeds."""

    def __init__(self, *errors: StoreUnavailable) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        (StoreBusy("locked"), [0.2, 0.5, 1.0, 2.0]),
        (StoreGone("restarting"), [1.0, 2.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0]),
    ],
)
def test_retries_back_off_and_end(error: StoreUnavailable, pauses: list[float]) -> None:
    """A lock is released soon; a server that restarts takes longer."""
    slept: list[float] = []

    assert retry(FailingCall(*[error] * len(pauses)), slept.append) == "done"
    assert slept == pauses

    with pytest.raises(type(error)):
        retry(FailingCall(*[error] * (len(pauses) + 1)), slept.append)


def test_each_kind_of_error_has_its_own_retries() -> None:
    """A server that has restarted is busy at first."""
    slept: list[float] = []

    assert retry(FailingCall(StoreGone("x"), StoreBusy("x"), StoreGone("x")), slept.append) == "done"

    assert slept == [1.0, 0.2, 2.0]


def test_a_permanent_error_is_not_retried() -> None:
    """A full disk stays full."""
    with pytest.raises(StoreUnavailable):
        retry(FailingCall(StoreUnavailable("no space left")), list[float]().append)


def test_a_lock_timeout_is_not_retried() -> None:
    """The operator sets the limit of the wait."""
    slept: list[float] = []
    with pytest.raises(LockTimeout):
        retry(FailingCall(LockTimeout("locked")), slept.append)
    assert slept == []


def test_a_wait_is_reported_once_after_five_seconds() -> None:
    """Shorter waits are not reported."""
    warnings: list[str] = []

    retry(FailingCall(*[StoreGone("refused")] * 3), lambda _: None, warnings.append)
    assert warnings == []
    retry(FailingCall(*[StoreGone("refused")] * 8), lambda _: None, warnings.append)
    assert warnings == ["refused; retrying for up to 95 s"]
