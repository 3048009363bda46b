"""What was done in a session."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.session.activity import Activity, LoginAttempt, logins_in
from snapshots.domain.session.behaviour import Behaviour, Trait, command, login

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_everything_that_is_stored_is_listed() -> None:
    """In the order of the attack."""
    behaviour = Behaviour.of(
        [
            (NOON, login("root", "x", succeeded=True, kept="x")),
            (NOON + timedelta(seconds=2), command("id")),
            (NOON + timedelta(seconds=1), command("id")),
            (NOON, ((Trait.DOWNLOAD, "a" * 64), (Trait.URL, "http://192.0.2.1/x"))),
        ]
    )

    done = Activity.of(behaviour)

    assert (done.commands, done.urls, done.file_hashes) == (("id", "id"), ("http://192.0.2.1/x",), ("a" * 64,))
    (attempt,) = done.logins
    assert (attempt.user, attempt.password, attempt.succeeded) == ("root", "x", True)
    assert Activity.of(Behaviour()) == Activity()


@given(outcomes=st.lists(st.booleans(), min_size=1, max_size=4))
def test_the_first_attempt_succeeded_only_if_the_first_success_was_that_attempt(outcomes: list[bool]) -> None:
    """Whatever came later."""
    events = [
        (NOON + timedelta(seconds=at), login(str(at), "x", succeeded=is_success))
        for at, is_success in enumerate(outcomes)
    ]

    (attempt,) = logins_in(Behaviour.of(events))

    assert isinstance(attempt, LoginAttempt)
    assert (attempt.user, attempt.at, attempt.succeeded) == ("0", NOON, outcomes[0])
