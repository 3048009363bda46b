"""The command that installs packages into the environment that runs the program."""

import subprocess
import sys
import tomllib
from importlib import util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from snapshots.app.pip_install import DISTRIBUTION, install_extra, pip_install


def test_packages_are_installed_where_the_program_finds_them() -> None:
    """The command can be copied into a shell; --dry-run changes nothing."""
    command = pip_install("--quiet --dry-run --no-index --no-deps pip")

    assert command.startswith(f"{sys.executable} -m pip install ")
    assert subprocess.run(command, shell=True, check=False, capture_output=True).returncode == 0


def test_without_pip_the_command_is_that_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments made by uv have no pip."""

    def without_pip(name: str) -> ModuleSpec | None:
        return None if name == "pip" else util.find_spec(name)

    monkeypatch.setattr("snapshots.app.pip_install.find_spec", without_pip)

    assert pip_install("-U iporigin") == f"uv pip install --python {sys.executable} -U iporigin"


def test_an_extra_is_added_to_the_installation_without_a_registry() -> None:
    """The installed program satisfies the requirement, so only the packages of the extra are downloaded."""
    command = install_extra("fast").replace("install ", "install --quiet --dry-run --no-index --no-deps ", 1)

    assert f"'{DISTRIBUTION}[fast]'" in command
    assert subprocess.run(command, shell=True, check=False, capture_output=True).returncode == 0


def test_the_name_of_the_distribution_is_that_of_the_project() -> None:
    """Error messages show it."""
    assert tomllib.loads(Path("pyproject.toml").read_text())["project"]["name"] == DISTRIBUTION
