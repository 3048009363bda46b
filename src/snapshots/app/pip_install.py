"""The command that installs packages into the environment that runs the program."""

import shlex
import sys
from importlib.util import find_spec


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


INSTALL_SPARK = "run {} in the clone, and install Java 17".format(pip_install("-e '.[spark]'"))
