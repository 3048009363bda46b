"""Databases that an older version made are upgraded without losing a row."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from snapshots.adapters.sql.schema.versions import newest
from snapshots.domain.facts.network_types import NETWORK_TYPES
from tests.journeys.conftest import BOTH, Run
from tests.old_databases import KINDS, VERSION, Rows, all_rows, answers, extract_logs

RENAMED_TABLES = {
    "ip_inventory": "known_addresses",
    "asn_inventory": "known_networks",
    "set_asides": "quarantined_sessions",
}
RENAMED_COLUMNS = {
    "runs": {"heard_at": "heartbeat_at", "position": "checkpoint"},
    "set_asides": {"set_aside_at": "quarantined_at"},
    "bookmarks": {"put_at": "stored_at"},
    "dead_letters": {"kept_at": "stored_at"},
}
"""The names that the upgrade changes; docs/how-to/upgrade.md lists them."""


def renamed(before: Rows, *, is_adopted: bool) -> Rows:
    """Return rows of the older version as the upgrade must leave them."""
    tables = {}
    for table, rows in before.items():
        names = RENAMED_COLUMNS.get(table, {})
        name = table if is_adopted and table.endswith("inventory") else RENAMED_TABLES.get(table, table)
        tables[name] = {
            key: upgraded(table, {names.get(column, column): value for column, value in row.items()})
            for key, row in rows.items()
        }
    return tables


def upgraded(table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with the values that the upgrade changes on purpose."""
    changes: dict[str, Any] = {}
    if table == "session_summaries" and row["snapshot_gap"] is not None:
        changes["gap_checked_at"] = None  # the next load evaluates every open session
        if row["snapshot_gap"] == "never_looked_up" and (row["source_ip_rank"] or 0) > 0:
            changes["snapshot_gap"] = "awaiting_connect"
    if table == "runs" and row["counts"]:
        changes["counts"] = row["counts"].replace('"set_aside":', '"quarantined":')
    return {**row, **changes}


@pytest.mark.parametrize("old_copies", BOTH, indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_the_older_version_is_there_after_the_upgrade(old: str, run: Run, kind: str) -> None:
    """With the same values, but for those that the guide to upgrades lists."""
    before = all_rows(old)
    assert {"bookmarks", "fact_sources", "runs", "session_summaries"} <= {table for table in before if before[table]}

    code, out, err = run("migrate")

    assert (code, err) == (0, "")
    assert f"from version {VERSION} to " in out
    after, expected = all_rows(old), dict(renamed(before, is_adopted=kind == "adopted"))
    del expected["alembic_version"]
    for table, rows in expected.items():
        if kind == "adopted" and table.endswith("_inventory"):
            continue
        assert after[table].keys() == rows.keys(), table
        for key, row in rows.items():
            assert {name: after[table][key][name] for name in row} == row, (table, key)
    code, out, _ = run("verify", "--full")
    assert (code, "none changed without audit, the guard holds" in out) == (0, True), out
    assert "already have version" in run("migrate")[1]


def test_a_dry_run_lists_the_pending_steps_and_changes_nothing(old: str, run: Run) -> None:
    """Each version with what it does, then the indexes; after the upgrade nothing is pending."""
    before = all_rows(old)

    code, out, err = run("migrate", "--dry-run")

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert f"({len(before['session_summaries'])} sessions): from version {VERSION} to {newest()}." in lines[0]
    assert "  0008: Add the gap awaiting_connect." in lines
    assert "  build the index ix_session_summaries_by_address_facts" in lines
    assert lines[-1] == "Nothing was changed: this was a dry run."
    assert all_rows(old) == before
    assert run("migrate")[0] == 0
    code, out, _ = run("migrate", "--dry-run")
    assert (code, len(out.splitlines())) == (0, 2)
    assert f"already have version {newest()}." in out


def test_a_dry_run_on_a_new_database_creates_nothing(run: Run, tmp_path: Path) -> None:
    """And it has no other target than the newest version."""
    assert "has no tables yet; migrate would create them" in run("migrate", "--dry-run", "--db", tmp_path / "new.db")[1]
    assert not (tmp_path / "new.db").exists()
    assert run("migrate", "--dry-run", "--to", VERSION)[0] == 2
    assert run("migrate", "--dry-run", "--partitions", "4")[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize("old_copies", BOTH, indirect=True)
@pytest.mark.parametrize("kind", ["adopted"])
def test_the_inventory_of_another_loader_gets_its_own_rows_and_columns_back(old: str, run: Run) -> None:
    """What the older version had added to it is in tables of its own now, with the same values."""
    before = all_rows(old)

    assert run("migrate")[0] == 0

    after = all_rows(old)
    for table, name in (("ip_inventory", "known_addresses"), ("asn_inventory", "known_networks")):
        for key, row in after[name].items():
            same = (row.keys() & before[table][key].keys()) - {"enrichment_updated_at"}  # of the other loader
            assert {column: row[column] for column in same} == {column: before[table][key][column] for column in same}
        assert after[table].keys() <= before[table].keys()
        assert not {"looked_up_until", "learned_at", "newest_at"} & set(next(iter(after[table].values())))
    theirs = {row["ip_address"] for row in before["ip_inventory"].values() if row["enrichment"] != "{}"}
    assert theirs == {"8.8.8.8"} <= {address for (address,) in after["ip_inventory"]}
    assert run("adopt", "--undo")[0] == 0


RENAMED_KEYS = {"heard_at": "heartbeat_at", "set_aside": "quarantined", "kept_at": "stored_at"}
"""The keys of JSON documents that have another name since."""

CHANGED_KEYS = {
    "made_at",  # the time of the report
    "drift",  # compares only with tables that are newer than the attack
    "changed",  # states also what appeared, disappeared and fell, by ASN, country and type
    "text",  # very common passwords are shown
    "gap_explanation",  # other words
    "label",  # a build states its time, not only its day
    "build",
}
"""The keys whose values differ on purpose."""


def comparable(document: Any) -> Any:
    """Return what a document of the older version has in common with one of this version."""
    if isinstance(document, dict):
        kept = {key: value for key, value in document.items() if key not in CHANGED_KEYS}
        return {RENAMED_KEYS.get(key, key): comparable(value) for key, value in kept.items()}
    if not isinstance(document, list):
        return "interrupted" if document == "running" else document  # a run without a heartbeat
    found = [comparable(each) for each in document]
    is_counted = all(isinstance(each, dict) and "sessions" in each for each in found)
    return sorted(found, key=by_count) if is_counted else found


def by_count(group: Mapping[str, Any]) -> tuple[int, str]:
    """Order groups with as many sessions by their values, whatever the order of NULL in a database is."""
    return -group["sessions"], str(next(iter(group.values())))


def reduced(new: Any, like: Any) -> Any:
    """Return *new* without the keys, and the additional considered sources, that *like* does not have."""
    if isinstance(new, dict) and isinstance(like, dict):
        own = {key: value for key, value in new.items() if key in like}
        if "considered" in own:
            own["considered"] = [each for each in own["considered"] if each["source"] != NETWORK_TYPES]
        return {key: reduced(value, like[key]) for key, value in own.items()}
    if isinstance(new, list) and isinstance(like, list) and len(new) == len(like):
        return [reduced(*pair) for pair in zip(new, like, strict=True)]
    return new


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_commands_answer_with_the_numbers_of_the_older_version(old: str, run: Run, kind: str) -> None:
    """Reports, queries, exports, explanations and stored events; what differs on purpose is listed above."""
    assert run("migrate")[0] == 0
    before = answers(kind, make_url(old).get_backend_name())
    asked = [command for command in before if not command.startswith(("query --by ssh-key", "query --by download"))]
    assert len(asked) > 25

    for command in asked:
        code, out, _ = run(*command.split(" "))

        assert code == 0, command
        if "json" not in command:
            assert out == before[command], command
            continue
        lines = command.endswith("ndjson")
        mine, theirs = (
            [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
            for text in (out, before[command])
        )
        expected = comparable(theirs)
        assert reduced(comparable(mine), expected) == expected, command


@pytest.mark.parametrize("key", ["ssh-key", "download"])
def test_every_value_of_a_session_counts_since(old: str, run: Run, key: str) -> None:
    """The older version counted only the first key and file of each session."""
    assert run("migrate")[0] == 0
    command = f"query --by {key} --top 1000 --format json"

    after, before = (
        {row[key.replace("-", "_")]: row["sessions"] for row in json.loads(text)["rows"]}
        for text in (run(*command.split(" "))[1], answers("own", make_url(old).get_backend_name())[command])
    )

    assert all(after[value] >= sessions for value, sessions in before.items() if value is not None)


def test_the_same_logs_add_nothing_and_the_rest_of_a_log_is_read_from_its_bookmark(
    old: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead letter of the half line that the older version had read stays, although the line is loaded now."""
    extract_logs(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run("migrate")[0] == 0
    before = all_rows(old)

    assert "Nothing new in 3 sources" in run("load", "log")[1]
    assert "Nothing new in 1 source" in run("load", "--sensor", "edge-1", "edge")[1]

    after = all_rows(old)
    for table in ("session_logins", "dead_letters", "event_lines", "snapshot_corrections"):
        assert after[table] == before[table]
    counted = ("event_count", "login_attempts", "command_count", "event_fingerprints")
    for key, row in before["session_summaries"].items():
        assert all(after["session_summaries"][key][column] == row[column] for column in counted)

    with (tmp_path / "log/cowrie.json").open("ab") as file:
        file.write((tmp_path / "rest").read_bytes())
    rest = (tmp_path / "rest").read_bytes().count(b"\n")
    assert f"Read {rest} lines in 3 sources: {rest} new events" in run("load", "log")[1]
    found = json.loads(run("dead-letters", "list", "--reason", "unfinished_line", "--format", "json")[1])
    assert [letter["source"] for letter in found] == ["log/cowrie.json"]
    assert run("verify", "--full")[0] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("old")
def test_an_interrupted_backfill_of_the_older_version_is_replaced_by_a_new_one(run: Run) -> None:
    """The rules have changed since: it is not resumed, and the message has what to do."""
    assert run("migrate")[0] == 0
    interrupted = [each for each in json.loads(run("runs", "--format", "json")[1]) if each["kind"] == "backfill"]
    assert [each["state"] for each in interrupted] == ["interrupted", "undone"]

    code, _, err = run("backfill", "--resume")

    assert (code, err.count("\n")) == (1, 1)
    assert "was started with other options or by another version; repeat its options, or start a new backfill" in err
    assert run("backfill")[0] == 0
    assert run("undo", interrupted[0]["run"])[0] == 0
    assert run("backfill")[0] == 0
    assert run("query", "--gap", "undone", "--format", "csv")[1].count("\n") == 1
    assert run("verify", "--full")[0] == 0
