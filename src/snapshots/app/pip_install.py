"""The command that installs packages into the environment that runs the program."""

import shlex
import sys
from importlib.util import find_spec

DISTRIBUTION = "cowrie-snapshots"
"""The name of this program in package registries, where `snapshots` is another one."""


def pip_install(arguments: str) -> str:
    """
    Return the command that installs packages where this program finds them; a bare `pip` may be that of another Python.

    Args:
        arguments: The packages and options, quoted for a shell.
    """
    python = shlex.quote(sys.executable)
    if find_spec("pip") is None:  # an environment made by uv
        return f"uv pip install --python {python} {arguments}"
    return f"{python} -m pip install {arguments}"


def install_extra(extra: str) -> str:
    """
    Return the command that adds an extra to this installation.

    It leaves the program itself as it is, whether it came from a registry, a wheel or a clone.
    """
    return pip_install(f"'{DISTRIBUTION}[{extra}]'")
