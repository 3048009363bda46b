"""What was done in a session."""

from datetime import UTC, datetime, timedelta

from snapshots.domain.session.activity import Activity
from snapshots.domain.session.behaviour import Behaviour, Trait, command, login
from snapshots.domain.session.logins import StoredLogin

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ATTEMPTS = StoredLogin(username="root", password_hash=None, password=None, attempts=2, successes=1)


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

    done = Activity.of(behaviour.texts, [ATTEMPTS])

    assert (done.commands, done.urls, done.file_hashes) == (("id", "id"), ("http://192.0.2.1/x",), ("a" * 64,))
    assert done.logins == (ATTEMPTS,)
    assert Activity.of(Behaviour().texts) == Activity()
