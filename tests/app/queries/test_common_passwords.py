"""Which texts of passwords may be published."""

from hashlib import sha256

import pytest

from snapshots.app.queries.common_passwords import public_text


@pytest.mark.parametrize("password", ["123456", "admin", "", "hunter2", "123456 "])
def test_only_the_text_of_a_very_common_password_may_be_published(password: str) -> None:
    """Any other one may be the password of a person, which a user of the honeypot typed by mistake."""
    password_hash = sha256(password.encode()).hexdigest()

    assert public_text(password_hash, password) == (password if password in {"123456", "admin", ""} else None)


def test_a_text_that_is_not_stored_is_not_published() -> None:
    """Nor is a text without a hash, such as that of a key."""
    assert public_text(sha256(b"admin").hexdigest(), None) is None
    assert public_text(None, "text") is None
