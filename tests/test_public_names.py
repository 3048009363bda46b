"""The public names: documented, and typed."""

import inspect
import re
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import get_type_hints

import pytest

import snapshots

STABILITY = Path("docs/reference/stability.md").read_text()
ROWS = {
    name: set(re.findall(r"`(\w+)`", members))
    for names, members in re.findall(r"^\| (`.*?) \| (.*) \|$", STABILITY, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", names)
}


def test_every_public_name_is_documented_as_such() -> None:
    """And no other one."""
    assert set(ROWS) == set(snapshots.__all__)


@pytest.mark.parametrize("name", [name for name in snapshots.__all__ if inspect.isclass(getattr(snapshots, name))])
def test_every_documented_member_exists_and_has_types(name: str) -> None:
    """Of each class."""
    public = getattr(snapshots, name)
    if issubclass(public, Exception | Enum):
        return
    hints = get_type_hints(public)

    assert ROWS[name]
    for member in ROWS[name]:
        found = inspect.getattr_static(public, member)
        if isinstance(found, property):
            found = found.fget
        elif isinstance(found, classmethod | staticmethod):
            found = found.__func__
        assert member in hints or "return" in get_type_hints(found), member
        assert member in hints or inspect.getdoc(found), member


def test_the_function_has_types_and_documents_each_keyword() -> None:
    """Also at run time, for tools that show signatures."""
    signature = inspect.signature(snapshots.open_service)
    hints = get_type_hints(snapshots.open_service)
    text = inspect.getdoc(snapshots.open_service) or ""
    guide = Path("docs/how-to/another-loader.md").read_text()

    assert hints.keys() == {*signature.parameters, "return"}
    assert [name for name in signature.parameters if f"\n    {name}: " not in text] == []
    assert [name for name in list(signature.parameters)[1:] if f"`{name}`" not in guide] == []


def test_type_checkers_use_the_types_of_the_package() -> None:
    """PEP 561."""
    assert files(snapshots).joinpath("py.typed").is_file()


def test_the_version_is_written_in_one_place() -> None:
    """Read by the build, by the command and by importers."""
    assert re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", snapshots.__version__)
    named = {
        str(path)
        for path in [Path("pyproject.toml"), *Path("src").rglob("*.py")]
        if re.search(r'^(__)?version(__)? = "', path.read_text(), re.MULTILINE)
    }
    assert named == {"src/snapshots/version.py"}
