"""What every session store promises about login attempts."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots.app.ports.database import Database
from snapshots.domain.session.behaviour import login
from snapshots.domain.session.logins import MOST_CREDENTIALS, StoredLogin, credentials_number
from snapshots.domain.session.session import EventKind, SessionAggregate, SessionEvent
from tests.strategies import DAY, HOME, NOON

RUN = "run"
NUMBERS = count(1)

attempts = st.tuples(
    st.sampled_from([None, "", "root", "admin"]), st.sampled_from([None, "", "1234", "\u2028'\\"]), st.booleans()
)


def attempt(
    mark: int, username: str | None, password: str | None, *, succeeded: bool = False, kept: bool = False
) -> SessionEvent:
    traits = login(username, password, succeeded=succeeded, kept=password if kept else None)
    return SessionEvent(mark, NOON + timedelta(seconds=mark), EventKind.LOGIN, HOME, traits=traits)


def save(database: Database, name: str, events: Iterable[SessionEvent]) -> None:
    """Store the events that are new, as a load does."""
    with database.transaction() as stores:
        logged = {event.fingerprint: event for event in events}
        (held,) = stores.sessions.find_summaries({name: logged}).get(name, [None])
        new = [event for mark, event in logged.items() if held is None or mark not in held.fingerprints]
        if not new:
            return
        summary = SessionAggregate.of(name, new).summary()
        stores.inventory.register_addresses([s for s in [summary.sighting] if s], registered_at=NOON)
        stores.sessions.save([summary if held is None else held.merge(summary)], run=RUN, saved_at=NOON)


def logins(database: Database, name: str) -> Sequence[StoredLogin]:
    with database.transaction() as stores:
        return stores.sessions.logins_of([name]).get(name, [])


def by_credentials(database: Database, name: str) -> Counter[tuple[str | None, str | None, bool]]:
    """Attempts by user name, password hash and success."""
    found = Counter[tuple[str | None, str | None, bool]]()
    for each in logins(database, name):
        found[each.username, each.password_hash, True] += each.successes
        found[each.username, each.password_hash, False] += each.attempts - each.successes
    return +found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tried=st.lists(attempts, min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 3), min_size=12, max_size=12),
    random=st.randoms(use_true_random=False),
)
def test_every_attempt_counts_once_in_any_order_batches_and_copies(
    database: Database, tried: list[tuple[str | None, str | None, bool]], cuts: list[int], random: Random
) -> None:
    """By user name and password: an empty one is not an absent one."""
    name = f"s{next(NUMBERS)}"
    events = [attempt(mark, user, text, succeeded=won) for mark, (user, text, won) in enumerate(tried)]
    copies = random.sample(events * 2, k=2 * len(events))
    for size in cuts:
        save(database, name, copies[:size])
        del copies[:size]
    save(database, name, [*copies, *events])

    expected = Counter(
        (*json.loads(dict_of(event)["credentials"])[:2], "success" in dict_of(event)) for event in events
    )
    assert by_credentials(database, name) == expected
    with database.transaction() as stores:
        (held,) = stores.sessions.find_summaries({name: ()})[name]
    assert held.login_attempts == expected.total()


def dict_of(event: SessionEvent) -> dict[str, str]:
    return {trait.word: text for trait, text in event.traits}


def test_a_session_that_is_read_and_saved_again_adds_nothing(database: Database) -> None:
    """Such as one that waited for its connect."""
    save(database, "s", [attempt(1, "root", "1234")])
    with database.transaction() as stores:
        stores.sessions.save(stores.sessions.find_summaries({"s": ()})["s"], run=RUN, saved_at=NOON)

    assert [(each.attempts, each.successes) for each in logins(database, "s")] == [(1, 0)]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_session_with_too_many_credentials_counts_the_rest_together(database: Database, seed: int) -> None:
    """The result does not depend on the order: the credentials with the smallest numbers have counts of their own."""
    extra = 50
    events = [
        attempt(mark, "root", str(mark % (MOST_CREDENTIALS + extra)), succeeded=mark == 7)
        for mark in range(MOST_CREDENTIALS + 2 * extra)
    ]
    Random(seed).shuffle(events)
    for begin in range(0, len(events), 300):
        save(database, "s", events[begin : begin + 300])
    save(database, "s", events)

    found = logins(database, "s")
    numbers = sorted({credentials_number(*json.loads(dict_of(event)["credentials"])[:2]) for event in events})
    own = {credentials_number(each.username, each.password_hash): each for each in found if not each.is_others}
    assert sorted(own) == numbers[:MOST_CREDENTIALS]
    assert Counter(each.attempts for each in own.values())[2] in range(extra // 2, extra + 1)
    assert (sum(each.attempts for each in found), sum(each.successes for each in found)) == (len(events), 1)
    assert [(each.username, each.password_hash) for each in found if each.is_others] == [(None, None)]


def test_texts_of_credentials_beyond_the_bound_are_deleted(database: Database) -> None:
    """Another session that tries them begins without a text."""
    tried = {str(mark): attempt(mark, "root", str(mark), kept=True) for mark in range(MOST_CREDENTIALS + 2)}
    save(database, "s", tried.values())
    moved = tried.keys() - {each.password for each in logins(database, "s")}

    save(database, "t", [attempt(mark, "root", text) for mark, text in enumerate(sorted(moved))])

    assert [each.password for each in logins(database, "t")] == [None, None]


def test_texts_of_passwords_are_stored_once_wanted(database: Database) -> None:
    """Also those of attempts that were counted without their text before."""
    save(database, "s", [attempt(1, "root", "1234"), attempt(2, "root", "0000")])
    save(database, "t", [attempt(1, "root", "1234", kept=True), attempt(2, "root", None, kept=True)])

    assert {each.password for each in logins(database, "s")} == {"1234", None}
    assert {each.password for each in logins(database, "t")} == {"1234", None}


def test_pruning_deletes_attempts_and_credentials_that_no_other_session_tried(database: Database) -> None:
    """A later session with the ID begins at zero, and learns no text that was deleted."""
    late = [event._replace(at=event.at + 2 * DAY) for event in (attempt(1, "root", "1234", kept=True),)]
    save(database, "s", [attempt(1, "root", "1234"), attempt(2, "root", "only here", kept=True)])
    save(database, "late", late)
    with database.transaction() as stores:
        stores.audit.prune(NOON + DAY, run="prune", made_at=NOON)

    assert logins(database, "s") == []
    save(database, "s", [attempt(3, "root", "only here"), attempt(4, "root", "1234")])
    assert Counter((each.attempts, each.password) for each in logins(database, "s")) == {(1, None): 1, (1, "1234"): 1}


def test_uploads_are_counted_apart_from_downloads(database: Database) -> None:
    """Also where events come later."""
    kinds = [EventKind.UPLOAD, EventKind.DOWNLOAD, EventKind.UPLOAD]
    events = [SessionEvent(mark, NOON, kind, HOME) for mark, kind in enumerate(kinds)]
    save(database, "s", events[:2])
    save(database, "s", events)

    with database.transaction() as stores:
        (held,) = stores.sessions.find_summaries({"s": ()})["s"]
    assert (held.file_uploads, held.file_downloads) == (2, 1)
