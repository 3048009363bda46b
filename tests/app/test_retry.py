"""Trying again what others stand in the way of."""

import pytest

from snapshots.app.errors import LockTimeout, StoreBusy, StoreGone, StoreUnavailable
from snapshots.app.retry import retry


class Act:
    """Fails as a script says, then succeeds."""

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
def test_it_is_tried_again_after_ever_longer_pauses_and_given_up_at_last(
    error: StoreUnavailable, pauses: list[float]
) -> None:
    """A lock is soon free; a server that restarts takes longer."""
    slept: list[float] = []

    assert retry(Act(*[error] * len(pauses)), slept.append) == "done"
    assert slept == pauses

    with pytest.raises(type(error)):
        retry(Act(*[error] * (len(pauses) + 1)), slept.append)


def test_the_pauses_for_one_trouble_are_not_used_up_by_the_other() -> None:
    """A server that comes back is busy at first."""
    slept: list[float] = []

    assert retry(Act(StoreGone("x"), StoreBusy("x"), StoreGone("x")), slept.append) == "done"

    assert slept == [1.0, 0.2, 2.0]


def test_what_time_does_not_heal_is_not_tried_again() -> None:
    """A full disk stays full."""
    with pytest.raises(StoreUnavailable):
        retry(Act(StoreUnavailable("no space left")), list[float]().append)


def test_a_lock_that_was_waited_for_is_not_waited_for_again() -> None:
    """Its bound is the operator's."""
    slept: list[float] = []
    with pytest.raises(LockTimeout):
        retry(Act(LockTimeout("locked")), slept.append)
    assert slept == []


def test_what_is_waited_for_is_said_once_after_five_seconds() -> None:
    """Shorter waits are not worth a word."""
    warnings: list[str] = []

    retry(Act(*[StoreGone("refused")] * 3), lambda _: None, warnings.append)
    assert warnings == []
    retry(Act(*[StoreGone("refused")] * 8), lambda _: None, warnings.append)
    assert warnings == ["refused; retrying for up to 95 s"]
