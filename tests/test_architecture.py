"""The shape of the house."""

import ast
import sys
import tomllib
from pathlib import Path

SOURCE = Path("src/snapshots")
CORE = [*SOURCE.glob("domain/**/*.py"), *SOURCE.glob("app/**/*.py")]


def test_the_core_imports_only_the_standard_library_and_itself() -> None:
    """Rules and use cases outlive every library."""
    roots = {
        name.partition(".")[0]
        for file in CORE
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert roots - {"snapshots"} <= sys.stdlib_module_names


def test_only_one_file_reads_the_clock() -> None:
    """Time is passed in everywhere else."""
    readers = {
        file.name
        for file in SOURCE.rglob("*.py")
        if any(word in file.read_text() for word in (".now(UTC)", "time.monotonic", "time.time", "token_hex("))
    }

    assert readers == {"clock.py"}


def test_every_adapter_is_named_in_the_contract_of_independence() -> None:
    """A new folder must not be forgotten there."""
    contracts = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {module.rpartition(".")[2] for c in contracts if c["type"] == "independence" for module in c["modules"]}

    assert named == {
        path.stem for path in (SOURCE / "adapters").iterdir() if path.stem not in {"__init__", "__pycache__"}
    }


def test_no_package_is_larger_than_a_reader_can_survey() -> None:
    """At most 15 files; migrations are a list that only grows."""
    folders = {file.parent for file in SOURCE.rglob("*.py")} - {SOURCE / "adapters/sql/migrations/versions"}

    assert {str(folder) for folder in folders if len([*folder.glob("*.py")]) > 15} == set()


def test_no_file_is_longer_than_a_reader_likes() -> None:
    """One subject a file; split it when it holds two."""
    assert {file.name for file in SOURCE.rglob("*.py") if len(file.read_text().splitlines()) > 400} == set()
