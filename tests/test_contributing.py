"""The examples in CONTRIBUTING.md work as they are written."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

GUIDE = Path("CONTRIBUTING.md").read_text()
FORMAT, SOURCE, COMMAND = EXAMPLES = ("Add an export format", "Add a source of facts", "Add a command")
FILE = re.compile(r"^`([\w/.]+)`\n((?:\n```(?:python|diff)\n.*?^```\n)+)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```(python|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WORDS = "logfmt or github or test_count or describes_each"
"""Which of the tests that the examples name are run: their own, and those of a contract that concern them."""


def section(heading: str) -> str:
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    return str(text)


def patched(text: str, diff: str) -> str:
    """Return a text after a diff, whose context occurs exactly once."""
    before = "".join(line[1:] or "\n" for line in diff.splitlines(keepends=True) if not line.startswith("+"))
    after = "".join(line[1:] or "\n" for line in diff.splitlines(keepends=True) if not line.startswith("-"))
    assert text.count(before) == 1, diff
    return text.replace(before, after)


class Clone:
    """
    A copy of the repository without its environment, in which every example of the guide was followed.

    Attributes:
        folder: The copy.
        written: The files that each example writes or changes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "tests", "tools", "docs"):
            shutil.copytree(name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(name, folder)
        self.written = {heading: self._follow(section(heading)) for heading in EXAMPLES}

    def _follow(self, guide: str) -> Sequence[str]:
        written = []
        for path, blocks in FILE.findall(guide):
            file = self.folder / path
            for kind, text in CODE.findall(blocks):
                assert file.exists() == (kind == "diff"), path
                file.write_text(text if kind == "python" else patched(file.read_text(), text))
            written.append(path)
        return written

    def run(self, *arguments: str) -> str:
        """Run Python on the sources of the copy, and return what it prints."""
        environment = os.environ | {"PYTHONPATH": f"{self.folder}/src", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"))


PROGRAM = """
from tools.build_docs import *
from snapshots.__main__ import main

assert main(["load", "-q", str(LOG), "--db", "test.db"]) == 0
for name in ("logfmt", "ndjson"):
    assert main(["export", name, "--format", name, "--db", "test.db"]) == 0
print(with_format_table(EXPORT_GUIDE.read_text()), cli_reference(), table_reference())
"""


@pytest.mark.slow
def test_an_export_format_is_two_files(clone: Clone) -> None:
    """The module and its test: the command finds the format, and the documents show it."""
    documents = clone.run("-c", PROGRAM)

    assert [path.split("/", maxsplit=1)[0] for path in clone.written[FORMAT]] == ["src", "tests"]
    lines, others = ((clone.folder / name).read_text().splitlines() for name in ("logfmt", "ndjson"))
    assert len(lines) == 83
    names = [json.loads(line)["session_id"] for line in others]
    assert [line.partition(" ")[0] for line in lines] == [f'session_id="{name}"' for name in names]
    assert "| `logfmt` | Lines of key=value pairs" in documents
    assert "\n  logfmt     Lines of key=value pairs" in documents
    assert "\n## snapshots count\n" in documents
    assert "| `github` | meta document" in documents


@pytest.mark.slow
def test_every_example_passes_its_tests(clone: Clone) -> None:
    """Those that the guide names; of the contracts, those of the format and the layout of the examples."""
    files = [word for heading in EXAMPLES for word in re.findall(r"^sh run test (.*)$", section(heading), re.MULTILINE)]

    printed = clone.run("-m", "pytest", "-rp", "-k", WORDS, *" ".join(files).split())

    passed = re.findall(r"^PASSED (\S+)", printed, re.MULTILINE)
    new = [path for heading in EXAMPLES for path in clone.written[heading] if path.startswith("tests/journeys/")]
    assert len(new) == 2
    for words in (
        *new,
        "test_exports.py::test_a_file_that_may_have_passwords",
        "[logfmt]",
        "[github]",
        "describes_each",
    ):
        assert any(words in name for name in passed), (words, passed)


def test_an_example_changes_few_files(clone: Clone) -> None:
    """A source of facts is a function and how to write such a table; a command has a line in the list of commands."""
    assert {heading: len(written) for heading, written in clone.written.items()} == {FORMAT: 2, SOURCE: 2, COMMAND: 3}


def test_a_diff_that_does_not_fit_is_refused() -> None:
    """So that an example whose context has changed is noticed."""
    assert patched("a\nb\n", " a\n+c\n b\n") == "a\nc\nb\n"
    with pytest.raises(AssertionError):
        patched("a\nb\n", " a\n+c\n d\n")
