"""The structure of the packages, and the words in the code."""

import ast
import re
import sys
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


def test_no_package_is_larger_than_a_reader_can_survey() -> None:
    """At most 15 files; migrations are a list that only grows."""
    folders = {file.parent for file in SOURCE.rglob("*.py")} - {SOURCE / "adapters/sql/migrations/versions"}

    assert {str(folder) for folder in folders if len([*folder.glob("*.py")]) > 15} == set()


def test_no_file_has_more_than_400_lines() -> None:
    """A file has one subject; split it when it has two."""
    assert {file.name for file in SOURCE.rglob("*.py") if len(file.read_text().splitlines()) > 400} == set()


BANNED = re.compile(
    r"(?<![a-z])(told|tells|said|says|heard(?!_at| Island)|nobody|somebody|whoever|beside|foresee\w*|foresight"
    r"|rehears\w*|shel(f|ves)"
    r"|patiently|(far|near)[ _-]end|what stands|thousand million)(?![a-z])",
    re.IGNORECASE,
)
"""Words of a private language, for which the vocabulary of databases and operating systems has a term."""

BRITISH = re.compile(
    r"honour|colour|favour|(?<!aria-)labelled|catalogue|centred|artefact"
    r"|(recogn|normal|initial|optim|minim|maxim|summar|organ|serial|synchron)is(e|ed|es|ing|ation)(?![a-z])",
    re.IGNORECASE,
)
"""Spellings that differ from the American ones."""

# fmt: off
PRIVATE_NAMES = frozenset({
    "ahead", "ancestor", "far_end", "far_spans", "far_turns", "finding", "journey", "judgement", "kept_events",
    "ledger", "moments", "patience", "pieces", "presence", "reading", "remembered", "remembered_rows", "reuse",
    "scratch", "settle", "shape", "shapes", "shelf", "starts", "steering", "store_first", "traits", "trial",
    "undoing", "unfold", "unjudged", "words",
})
# fmt: on
"""Names that modules had in that language."""


def test_no_private_words_are_left_in_code_tests_and_manuals() -> None:
    """Also not as a part of a name: a professional who is new to the project understands every word."""
    texts = [Path("README.md"), *Path("docs").rglob("*.md"), *SOURCE.rglob("*.py"), *SOURCE.rglob("*.html")]
    texts += [*Path("tools").glob("*.py"), *Path("benchmarks").glob("*.py")]
    texts += [file for file in Path("tests").rglob("*.py") if file.name not in {"test_architecture.py", "test_docs.py"}]

    found = {f"{file}: {match[0]}" for file in texts for match in BANNED.finditer(file.read_text())}

    assert found == set()


def test_texts_have_american_spelling() -> None:
    """Only the stored names `behaviour`, `licence` and `ageing` are British, and the names made of them."""
    texts = [*Path().glob("*.md")]
    for folder, kinds in (("docs", {".md"}), ("src", {".py", ".html", ".js"}), ("tests", {".py"}), ("tools", {".py"})):
        texts += [path for path in Path(folder).rglob("*") if path.suffix in kinds and "vendor" not in path.parts]

    texts.remove(Path("tests/test_architecture.py"))

    found = {f"{file}: {match[0]}" for file in texts for match in BRITISH.finditer(file.read_text())}

    assert found == set()


def test_no_module_has_a_private_name() -> None:
    """A file is named for what it contains, in standard terms."""
    names = {part for file in SOURCE.rglob("*.py") for part in (file.stem, file.parent.name)}

    assert names & PRIVATE_NAMES == set()
