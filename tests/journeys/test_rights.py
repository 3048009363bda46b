"""Each command needs the PostgreSQL privileges that the manual lists."""

import re
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from tests.journeys.conftest import NEW, OLD, Run
from tests.served import served

GRANTS = re.findall(r"```sql\n(.*?)```", Path("docs/how-to/use-postgresql.md").read_text(), re.DOTALL)[0]


@pytest.fixture
def url(postgresql: str, run: Run) -> str:
    """A loaded database with the roles of the manual, which belong to the server and so may be there already."""
    assert run("load", OLD, "--db", postgresql)[0] == 0
    engine = create_engine(postgresql, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        roles = set(connection.execute(text("SELECT rolname FROM pg_roles")).scalars())
        for statement in GRANTS.split(";"):
            bare = re.sub(r"--.*", "", statement).strip()
            made = re.match(r"CREATE ROLE (\w+)", bare)
            if bare and not (made and made[1] in roles):
                connection.execute(text(bare))
    return postgresql


def as_role(url: str, role: str) -> str:
    return make_url(url).set(username=role).render_as_string(hide_password=False)


def test_the_rights_of_the_manual_suffice(url: str, run: Run) -> None:
    """Each role can do what the manual states."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        session = connection.execute(text("SELECT min(session_id) FROM session_summaries")).scalar_one()
    reader, loader, auditor = (as_role(url, f"snapshots_{name}") for name in ("reader", "loader", "auditor"))

    assert run("report", "--db", reader)[0] == 0
    assert run("explain", session, "--db", reader)[0] == 0
    for command in (["query"], ["export", "-"], ["runs"], ["sources"], ["drift"]):
        assert run(*command, "--db", reader)[0] == 0, command
    with served("serve", "--db", reader) as page:
        for path in ("", "sessions", f"session/{session}", "facts"):
            assert page.answers(path), path
    for command in (["inventory", "status"], ["dead-letters", "list"]):
        assert run(*command, "--db", reader)[0] == 0, command
    for drop in ([], ["--drop"], ["--drop"], []):
        assert run("indexes", *drop, "--db", url)[0] == 0
    assert run("indexes", "--drop", "--db", loader)[0] == 1
    assert run("inventory", "refresh", "--db", loader)[0] == 0
    assert run("dead-letters", "replay", "--db", loader)[0] == 0
    assert run("load", NEW, "--store-events", "--db", loader)[0] == 0
    assert run("verify", "--db", loader)[0] == 0
    assert run("correct", session, "--asn", "1", "--reason", "wrong", "--db", auditor)[0] == 0
    assert run("backfill", "--db", loader)[0] == 0
    assert run("backfill", "--improve", "--db", auditor)[0] == 0
    assert run("prune", "--before", "2027-01-01", "--db", auditor)[0] == 0


def test_a_command_without_permission_fails_and_changes_nothing(url: str, run: Run) -> None:
    """A reader cannot load, and a loader cannot prune."""
    code, _, err = run("load", NEW, "--db", as_role(url, "snapshots_reader"))
    assert (code, "permission denied" in err) == (1, True)

    code, _, err = run("prune", "--before", "2027-01-01", "--db", as_role(url, "snapshots_loader"))
    assert (code, "permission denied" in err) == (1, True)


def test_a_missing_privilege_ends_a_batch_job_with_one_message(url: str, run: Run) -> None:
    """It is not reported for each session, and nothing is quarantined."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO session_summaries (session_id, source_ip, source_ip_seen_at, first_event_at,"
                " last_event_at, event_count, login_attempts, command_count, file_downloads, forward_count,"
                " event_fingerprints, created_at, updated_at)"
                " SELECT 'theirs' || n, (SELECT min(ip_address) FROM known_addresses), now(), now(), now(),"
                " 1, 0, 0, 0, 0, '', now(), now()"
                " FROM generate_series(1, 30) AS n"
            )
        )
    reader, loader = as_role(url, "snapshots_reader"), as_role(url, "snapshots_loader")

    refused = [run("backfill", *dry_run, "--db", reader) for dry_run in ([], ["--dry-run"])]
    assert run("backfill", "--db", loader)[0] == 0
    with create_engine(url, poolclass=NullPool).connect() as connection:
        undoable = connection.execute(text("SELECT run FROM runs WHERE kind = 'backfill'")).scalar_one()
    refused += [run("undo", undoable, *dry_run, "--db", loader) for dry_run in ([], ["--dry-run"])]
    refused += [run("inventory", "refresh", "--db", reader), run("indexes", "--drop", "--db", loader)]

    for code, _, err in refused:
        assert (code, err.count("\n")) == (1, 1), err
        assert err.startswith("Error: the database ")
    with create_engine(url, poolclass=NullPool).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM quarantined_sessions")).scalar_one() == 0
        running = connection.execute(text("SELECT kind, began_at FROM runs WHERE state = 'running'"))
        assert not running.all()
