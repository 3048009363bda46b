"""What lines say of behaviour, in every form that Cowrie's versions write it in."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.cowrie.lines.behaviour_fields import TRAIT_READERS
from snapshots.adapters.cowrie.lines.decode import LineDecoder
from snapshots.app.ports.log_source import LineOptions, LogEvent
from snapshots.domain.session.behaviour import Behaviour, Trait

HASH = "0a07365cc01fa9fc82608ba4019af499"
SHA = "a8460f446be540410004b1a8db4083773fa46f7fe76fa84219c93daa1669f8f2"


def behaviour(event: str, *, keeps_passwords: bool = False, **fields: Any) -> Behaviour:
    line = {"eventid": event, "session": "ac7f13b8c0af", "timestamp": "2026-03-01T12:00:00.000000Z", **fields}
    decoded = LineDecoder(LineOptions(keeps_passwords=keeps_passwords)).decode(json.dumps(line).encode())
    assert isinstance(decoded, LogEvent), decoded
    return Behaviour.of([(decoded.event.at, decoded.event.traits)])


@pytest.mark.parametrize(
    ("event", "fields", "trait", "texts"),
    [
        ("session.connect", {"protocol": "telnet"}, Trait.PROTOCOL, ("telnet",)),
        ("client.version", {"version": "SSH-2.0-Go"}, Trait.CLIENT_VERSION, ("SSH-2.0-Go",)),
        ("client.version", {"version": "b'SSH-2.0-Go'"}, Trait.CLIENT_VERSION, ("SSH-2.0-Go",)),
        ("client.version", {"version": "b'"}, Trait.CLIENT_VERSION, ("b'",)),
        ("client.version", {"version": "é" * 300}, Trait.CLIENT_VERSION, ("é" * 255,)),
        ("client.kex", {"hassh": HASH, "kexAlgs": ["a", "b"]}, Trait.HASSH, (HASH,)),
        ("client.kex", {"hassh": "<script>"}, Trait.HASSH, ()),
        ("command.input", {"input": "uname\u0000 -a"}, Trait.COMMAND, ("uname\ufffd -a",)),
        ("command.input", {"input": 7}, Trait.COMMAND, ()),
        ("session.file_download", {"shasum": SHA, "url": "http://1.2.3.4/a"}, Trait.DOWNLOAD, (SHA,)),
        ("session.file_download", {"shasum": SHA, "url": "http://1.2.3.4/a"}, Trait.URL, ("http://1.2.3.4/a",)),
        ("session.file_download", {"input": "echo", "realm": "cowrie"}, Trait.DOWNLOAD, ()),
        ("session.file_upload", {"shasum": SHA, "filename": "x"}, Trait.DOWNLOAD, (SHA,)),
        ("session.closed", {"duration_ms": 1100}, Trait.DURATION, ("1100",)),
        ("session.closed", {"duration": 1.1}, Trait.DURATION, ("1100",)),
        ("session.closed", {"duration": "1.1"}, Trait.DURATION, ("1100",)),
        ("session.closed", {"duration": 0}, Trait.DURATION, ("0",)),
        ("session.closed", {"duration": True}, Trait.DURATION, ()),
        ("session.closed", {"duration": "soon"}, Trait.DURATION, ()),
        ("session.closed", {"duration": "nan"}, Trait.DURATION, ()),
        ("session.closed", {"duration": "1e400"}, Trait.DURATION, ()),
        ("session.closed", {"duration": -1}, Trait.DURATION, ()),
        ("session.closed", {"duration_ms": 10**30}, Trait.DURATION, ()),
        ("session.closed", {}, Trait.DURATION, ()),
        ("log.closed", {"duration": 1.1}, Trait.DURATION, ()),
        ("log.closed", {"ttylog": f"var/lib/cowrie/tty/{SHA}", "shasum": SHA}, Trait.RECORDING, (SHA,)),
        ("log.closed", {"ttylog": "log/tty/20180520-142147-8790cc827be2-0i.log"}, Trait.RECORDING, ()),
        ("log.closed", {"shasum": "../../../etc/passwd"}, Trait.RECORDING, ()),
    ],
)
def test_traits_of_events_of_each_cowrie_version_are_read(
    event: str, fields: dict[str, Any], trait: Trait, texts: tuple[str, ...]
) -> None:
    """Values that cannot be read are omitted; the event still counts."""
    assert behaviour(f"cowrie.{event}", **fields).texts(trait) == texts


def test_a_password_is_stored_as_a_hash_and_as_text_only_on_request() -> None:
    """Some are passwords of real people."""
    failed = behaviour("cowrie.login.failed", username="root", password="pässword")
    kept = behaviour("cowrie.login.success", keeps_passwords=True, username="root", password="a\u0000b")
    by_key = behaviour("cowrie.login.success", keeps_passwords=True, username="git", fingerprint="xx")
    odd = behaviour("cowrie.login.failed", keeps_passwords=True, username=5, password=["x"])

    assert (failed.username, failed.password_hash) == ("root", sha256("pässword".encode()).hexdigest())
    assert (failed.password, failed.login_succeeded) == (None, False)
    assert (kept.password, kept.password_hash, kept.login_succeeded) == ("a\ufffdb", sha256(b"a\0b").hexdigest(), True)
    assert (by_key.username, by_key.password_hash, by_key.password) == ("git", None, None)
    assert (odd.username, odd.password_hash, odd.login_succeeded) == (None, None, False)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)
NAMES = ("protocol", "version", "hassh", "username", "password", "input", "shasum", "url", "duration", "duration_ms")


@given(st.sampled_from(sorted(TRAIT_READERS)), st.dictionaries(st.sampled_from(NAMES), anything))
def test_any_input_of_an_attacker_is_read_or_ignored(event: str, fields: dict[str, Any]) -> None:
    """Of any type and length; stored values are texts that both databases accept."""
    for texts in behaviour(event, keeps_passwords=True, **fields).values.values():
        assert not any("\ud800" <= char <= "\udfff" for _, text in texts for char in text)
