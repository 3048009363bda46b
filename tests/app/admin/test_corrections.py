"""What an operator may do to sealed sessions."""

import pytest

from snapshots.app.admin.corrections import AuditedChanges
from snapshots.app.errors import NoSuchSession
from snapshots.app.ports.audit import Pruned
from snapshots.app.ports.runs import RunKind, RunState
from snapshots.domain.address.source_ip import Sighting
from snapshots.domain.errors import InvalidFact
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.session.session import SessionAggregate
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method
from tests.fakes import InMemoryDatabase, runtime
from tests.strategies import DAY, HOME, NOON, snapshot


@pytest.fixture
def database() -> InMemoryDatabase:
    made = InMemoryDatabase()
    sealed = SessionAggregate.sighted("s~1", HOME.text, NOON).summary("s").judged(snapshot())
    still_open = SessionAggregate.sighted("o", HOME.text, NOON).summary().judged(Gap.NOTHING_KNOWN)
    made.memory.sessions.update({"s~1": sealed, "o": still_open})
    return made


def changes(database: InMemoryDatabase) -> AuditedChanges:
    return AuditedChanges(database, runtime=runtime())


def test_a_correction_changes_only_the_given_facts(database: InMemoryDatabase) -> None:
    """It records who made it and when."""
    before, after = changes(database).correct("s~1", reason="a typo", country="FR", ip_type=IpType.TOR)

    assert before == snapshot()
    assert (after.asn, after.country, after.ip_type) == (64500, "FR", IpType.TOR)
    assert (after.method, after.source, after.enrichment_at) == (Method.CORRECTED, "operator@2026-03-01", NOON)
    (made,) = database.memory.corrections
    assert (made.session_id, made.before, made.after, made.reason) == ("s~1", before, after, "a typo")
    assert database.memory.runs == {"run": RunState.DONE}


def test_the_same_correction_again_does_nothing(database: InMemoryDatabase) -> None:
    """It may be repeated after a crash; other facts or another reason are a correction of their own."""
    first = changes(database).correct("s~1", reason="a typo", country="FR")[1]

    assert changes(database).correct("s~1", reason="a typo", country="FR") == (first, first)
    assert len(database.memory.corrections) == 1
    assert list(database.memory.runs) == ["run"]
    changes(database).correct("s~1", reason="a typo", country="DE")
    changes(database).correct("s~1", reason="another", country="DE")
    assert [made.reason for made in database.memory.corrections] == ["a typo", "a typo", "another"]


def test_a_correction_that_states_what_is_there_is_recorded(database: InMemoryDatabase) -> None:
    """The operator confirms the facts, and becomes their source."""
    before, after = changes(database).correct("s~1", reason="checked", asn=snapshot().asn)

    assert (before, after.method) == (snapshot(), Method.CORRECTED)
    assert len(database.memory.corrections) == 1


@pytest.mark.parametrize("name", ["o", "unknown", "s"])
def test_only_a_sealed_session_can_be_corrected(database: InMemoryDatabase, name: str) -> None:
    """An open one has nothing to correct."""
    with pytest.raises(NoSuchSession):
        changes(database).correct(name, reason="x", asn=1)


@pytest.mark.parametrize("stated", [{}, {"asn": 0}, {"country": "XX"}])
def test_a_correction_states_a_fact(database: InMemoryDatabase, stated: dict[str, int]) -> None:
    """And what is refused leaves no run behind."""
    with pytest.raises(InvalidFact):
        changes(database).correct("s~1", reason="x", **stated)  # type: ignore[arg-type]  # that is the point
    assert database.memory.runs == {}


def test_the_dry_run_of_a_pruning_equals_its_result(database: InMemoryDatabase) -> None:
    """Nothing is deleted by the dry run."""
    later = NOON + DAY

    assert changes(database).prune(later, dry_run=True) == Pruned(sessions=2, events=2)
    assert len(database.memory.sessions) == 2
    assert changes(database).prune(later, dry_run=False) == Pruned(sessions=2, events=2)
    assert database.memory.sessions == {}


@pytest.mark.parametrize(
    ("checkpoint", "state", "is_counted"),
    [
        ("", RunState.INTERRUPTED, False),
        ('{"stage": "never_judged", "after": "@(1,1)"}', RunState.RUNNING, False),
        (f'{{"stage": "count", "after": "{HOME.text}"}}', RunState.INTERRUPTED, True),
        ("", RunState.DONE, True),
    ],
)
def test_a_pruning_leaves_addresses_that_an_unfinished_backfill_will_count(
    database: InMemoryDatabase, checkpoint: str, state: RunState, *, is_counted: bool
) -> None:
    """Those that it found after its checkpoint, as long as it has not finished."""
    with database.transaction() as stores:
        stores.inventory.register_addresses([Sighting(address=HOME, seen_at=NOON)], registered_at=NOON)
        stores.runs.begin("back", RunKind.BACKFILL, at=NOON)
        stores.runs.record_progress("back", None, at=NOON, checkpoint=checkpoint)
        stores.runs.end("back", state, at=NOON)
    database.memory.found_by["o"] = ("back", None)

    changes(database).prune(NOON - DAY, dry_run=False)

    assert database.memory.addresses[HOME].session_count == 1 + is_counted
