"""Columns of behavior: single values for queries, and all traits as JSON."""

import msgspec

from snapshots.domain.session.behaviour import Behaviour, Trait, credential_parts
from snapshots.domain.session.command import signature
from snapshots.domain.session.event_time import microseconds_of
from snapshots.domain.session.session_totals import TraitTimes

BEHAVIOUR_COLUMNS = (
    "protocol",
    "client_version",
    "hassh",
    "ssh_key_fingerprint",
    "download_hash",
    "username",
    "password_hash",
    "login_succeeded",
    "command_signature",
    "duration_ms",
    "behaviour",
)
"""Columns of behavior, by which campaigns are found; a stored value is never replaced by NULL."""

_NO_BEHAVIOUR = (None,) * len(BEHAVIOUR_COLUMNS)
_NOT_TYPED = (None, None)
_JSON = msgspec.json.Encoder(order="sorted")

_FIRST = [trait.word for trait in (Trait.PROTOCOL, Trait.CLIENT_VERSION, Trait.HASSH, Trait.KEY, Trait.DOWNLOAD)]
_CREDENTIALS, _SUCCESS = Trait.CREDENTIALS.word, Trait.SUCCESS.word
_COMMAND, _DURATION = Trait.COMMAND.word, Trait.DURATION.word


def behaviour_values(behaviour: Behaviour) -> tuple[object, ...]:
    """Return the values of BEHAVIOUR_COLUMNS, or NULLs."""
    if not behaviour.values:
        return _NO_BEHAVIOUR
    first = behaviour.first
    values = {
        trait.word: [(microseconds_of(at), text) for at, text in pairs] for trait, pairs in behaviour.values.items()
    }
    return (
        first(Trait.PROTOCOL),
        first(Trait.CLIENT_VERSION),
        first(Trait.HASSH),
        first(Trait.KEY),
        first(Trait.DOWNLOAD),
        behaviour.username,
        behaviour.password_hash,
        behaviour.login_succeeded,
        behaviour.command_signature,
        behaviour.duration_ms,
        _JSON.encode(values).decode(),
    )


def trait_values(traits: TraitTimes) -> tuple[object, ...]:
    """Return what `behaviour_values` returns for the behavior with these traits."""
    if not traits:
        return _NO_BEHAVIOUR
    credentials, duration = traits.get(_CREDENTIALS), traits.get(_DURATION)
    username, password_hash, *_ = credential_parts(credentials[0][1]) if credentials is not None else _NOT_TYPED
    has_login = _SUCCESS in traits or (False if credentials is not None else None)
    return (
        *[traits[word][0][1] if word in traits else None for word in _FIRST],
        username,
        password_hash,
        has_login,
        signature(tuple([text for _, text in traits[_COMMAND]])) if _COMMAND in traits else None,
        int(duration[0][1]) if duration is not None else None,
        _JSON.encode(traits).decode(),
    )
