"""The pages of the reference name exactly what the program has: nothing is missing, and nothing is left over."""

import json
import re
import sqlite3
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tools.build_docs import API_REFERENCE, Folder, api_reference

from snapshots.adapters.cli.exit_codes import ExitCode
from snapshots.adapters.cli.main import cli
from snapshots.adapters.cli.settings import Settings
from snapshots.adapters.sql.schema.spans_table import _TABLES
from snapshots.adapters.sql.schema.tables import metadata, session_summaries
from snapshots.adapters.sql.schema.views import definitions
from snapshots.adapters.web import access
from snapshots.domain.facts.ip_type import IpTypePriority
from snapshots.domain.snapshot.gap import Gap
from snapshots.domain.snapshot.snapshot import Method
from tests.documents import rows


def section(page: str, heading: str = "") -> str:
    """Return the text of a page of the reference, or of one of its sections."""
    text = Path(f"docs/reference/{page}.md").read_text()
    if not heading:
        return text
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def names(rows_of_table: Sequence[Sequence[str]]) -> list[str]:
    """Return the names in the first column."""
    return [name for first, *_ in rows_of_table for name in re.findall(r"`([^`]+)`", first)]


def all_commands(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield from all_commands(command) if isinstance(command, click.Group) else [command]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Folder]:
    """A loaded database, and the metrics of each command that writes some."""
    path = tmp_path_factory.mktemp("reference")
    made = Folder(path)
    for command in ("load cowrie-logs", "backfill", "verify"):
        name = command.partition(" ")[0]
        assert made.run_program([*command.split(), "--metrics-file", f"{name}.prom"])[0] == 0
    return path, made


def test_the_api_is_that_of_the_docstrings() -> None:
    """To renew it, run tools/build_docs.py."""
    assert API_REFERENCE.read_text() == api_reference()


def test_metrics(folder: tuple[Path, Folder]) -> None:
    """With the command that writes each, and its labels."""
    path, _ = folder
    written = {
        f"{family.name}{'_total' if family.type == 'counter' else ''}": (
            file.stem,
            {label for sample in family.samples for label in sample.labels},
        )
        for file in path.glob("*.prom")
        for family in text_string_to_metric_families(file.read_text())
        if not family.name.endswith("_created")
    }

    assert {
        name.strip("`"): (command, set(re.findall(r"`(\w+)`", labels)))
        for name, command, labels, _ in rows(section("metrics"))
    } == written


def test_columns() -> None:
    """Of the table of sessions; an unknown name would be a column that was renamed or removed."""
    table, *_ = section("columns").split("\n## ")

    assert sorted(names(rows(table))) == sorted(column.name for column in session_summaries.columns)


def test_tables() -> None:
    """All others than that of sessions."""
    assert sorted(names(rows(section("columns", "Other tables")))) == sorted(
        {*metadata.tables, _TABLES["postgresql"].name} - {"session_summaries"}
    )


def test_views_and_their_columns(folder: tuple[Path, Folder]) -> None:
    """Each column with the views that have it."""
    path, _ = folder
    with sqlite3.connect(path / "snapshots.db") as connection:
        found: Mapping[str, set[str]] = {
            view: {name for name, *_ in connection.execute(f"SELECT * FROM {view}").description}
            for view in definitions("sqlite")
        }
    connection.close()
    views = [row for row in rows(section("views")) if len(row) == 2]
    columns = [row for row in rows(section("views")) if len(row) == 3]

    assert names(views) == list(found)
    described: dict[str, set[str]] = {view: set() for view in found}
    for first, shown, _ in columns:
        for view in found if shown == "all" else re.findall(r"`(\w+)`", shown):
            described[view] |= set(re.findall(r"`(\w+)`", first))
    assert described == found


def test_settings() -> None:
    """Each with an option that exists and the default of the program."""
    options = {name for command in all_commands(cli) for option in command.params for name in option.opts}
    described = {
        name.strip("`"): (option.strip("`"), default.strip("`"))
        for name, option, default, _ in rows(section("settings").split("\n## ")[0])
    }

    assert described.keys() == Settings.model_fields.keys()
    assert {option for option, _ in described.values()} <= options
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float):
            assert described[name][1] == f"{field.default:g}"
        elif isinstance(field.default, str) and name != "requires":
            assert described[name][1] == field.default
    assert described["requires"][1] == Settings().requires.value


def test_environment_variables() -> None:
    """Those of options, and one that names the programs of PostgreSQL; others are of libraries and conventions."""
    source = "".join(path.read_text() for path in Path("src/snapshots").rglob("*.py"))
    described = {name for name in names(rows(section("settings", "Environment"))) if name.startswith("SNAPSHOTS_")}

    assert described == set(re.findall(r"\"(SNAPSHOTS_[A-Z_]+)\"", source))


def test_extras() -> None:
    """What only developers need is in groups."""
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert set(names(rows(section("settings", "Extras")))) == set(extras)


def test_exit_codes() -> None:
    """In their order."""
    assert [first for first, _ in rows(section("exit-codes"))] == [str(code.value) for code in ExitCode]


def test_gaps_and_methods() -> None:
    """By their stored values."""
    assert set(names(rows(section("gaps", "Gaps")))) == {gap.value for gap in Gap}
    assert names(rows(section("gaps", "Methods"))) == [method.value for method in Method]


def test_bundled_sources(folder: tuple[Path, Folder]) -> None:
    """Each with the date of its build."""
    _, program = folder
    registered = json.loads(program.run_program(["facts", "sources", "--format", "json"])[1])
    described = [(name.strip("`"), date) for name, _, date, _ in rows(section("facts").split("\n## ")[0])]

    assert sorted(described) == sorted((each["source"], each["built_at"][:10]) for each in registered)


def test_statuses_of_errors() -> None:
    """Each that the code of the site names, and its limits of a request."""
    source = "".join(path.read_text() for path in Path("src/snapshots/adapters/web").rglob("*.py"))
    named = {
        int(code) for code in re.findall(r"(?:_refused\(path, |_refused\(scope\[\"path\"\], |problem\()(\d+)", source)
    }
    named |= {HTTPStatus[name].value for name in re.findall(r"HTTPStatus\.([A-Z_]+)", source)}
    described = rows(section("http-api", "Errors"))

    assert [int(status) for status, _ in described] == sorted(code for code in named if code >= 400)
    limits = dict(described)
    assert f"{access.MOST_TARGET:,} characters" in limits["414"]
    assert f"{access.MOST_HEADERS} headers" in limits["431"]


def test_the_ranking_of_types() -> None:
    """Is the one by which types are chosen."""
    ranking = " > ".join(kind.value for kind in IpTypePriority().ranking)

    assert f"IP types rank {ranking}." in " ".join(section("facts").split())
