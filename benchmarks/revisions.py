"""Run the program of this folder and that of another revision, and measure the processor time of each."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent.parent


class Spent(NamedTuple):
    """What a command took, with the child processes that it waited for."""

    processor: float
    """User and system time in seconds. Unlike wall time it barely depends on what else the machine does."""
    wall: float
    """Seconds."""


def python_of(against: str, folder: Path) -> str:
    """
    Return the Python that runs another revision of the program.

    Args:
        against: A revision, which is built in *folder* with a virtual environment of its own, or the root of a
            checkout that has one already in `.venv`.
        folder: Where to build.
    """
    root = Path(against).resolve()
    if not (root / ".venv/bin/python").exists():
        root = folder / "against"
        root.mkdir()
        archive = subprocess.run(["git", "archive", against], cwd=HERE, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", root], input=archive, check=True)
        print(f"building {against}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", root / ".venv"], check=True)
        pip = [root / ".venv/bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", "constraints.txt", "-e", ".[postgresql]"], cwd=root, check=True)
    return str(root / ".venv/bin/python")


def spent_on(python: str, arguments: Sequence[str], folder: Path) -> Spent:
    """
    Run `snapshots` with a Python and return what it took; the first run of a Python compiles its modules.

    Args:
        python: That of this folder or of `python_of`.
        arguments: The command line.
        folder: A folder outside of the checkouts, for the compiled modules.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([python, "-m", "snapshots", *arguments], env=environment, capture_output=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed with {python}: {done.stderr.decode('utf-8', 'replace')}")
    return Spent(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)
