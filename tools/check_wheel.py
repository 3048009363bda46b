"""
Builds the sdist and the wheel, and checks them as users receive them.

Every tracked file must be in the sdist, and every file of the package in the wheel; the wheel that is built from the
sdist must equal the one that is built from the clone. The wheel is then installed into an empty environment, with the
versions of constraints.txt, and its commands run there without the clone.

Usage: sh run wheel [--python PYTHON] [--to FOLDER]
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO, cast
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PACKAGE = "src/snapshots/"
SECONDS = 600
"""After how long a process is ended."""


class CheckFailed(Exception):
    """An archive, or a command in the empty environment, is not as expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """
    What was built.

    Attributes:
        sdist: The source archive.
        wheel: The wheel, built from it.
    """

    sdist: Path
    wheel: Path

    @property
    def version(self) -> str:
        """Return the version in the name of the wheel."""
        return self.wheel.name.split("-")[1]


def build(root: Path, to: Path) -> Built:
    """
    Build the sdist of the tracked files, and the wheel from it.

    Raises:
        CheckFailed: A file is missing, superfluous or changed in one of them.
    """
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source, both, direct = (Path(folder, name) for name in ("source", "both", "direct"))
        files = tracked_files(root)
        for path in files:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / path, source / path)
        output_of([sys.executable, "-m", "build", "--outdir", both, source], cwd=source)
        output_of([sys.executable, "-m", "build", "--wheel", "--outdir", direct, source], cwd=source)
        built = Built(sdist=next(both.glob("*.tar.gz")), wheel=next(both.glob("*.whl")))
        expected = {path: (source / path).read_bytes() for path in files}
        found = [
            *differences("the sdist", in_sdist(built.sdist), expected),
            *differences("the wheel", in_wheel(built.wheel), in_package(expected)),
            *differences("the wheel of the sdist", whole_wheel(built.wheel), whole_wheel(next(direct.glob("*.whl")))),
        ]
        if found:
            raise CheckFailed("\n".join(found))
        return Built(sdist=Path(shutil.copy2(built.sdist, to)), wheel=Path(shutil.copy2(built.wheel, to)))


def tracked_files(root: Path) -> set[str]:
    """Return the paths of the files that git tracks and that exist."""
    listed = output_of(["git", "ls-files", "-z"], cwd=root)
    return {path for path in listed.split("\0") if path and (root / path).is_file()}


def in_package(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the package, by their paths in a wheel."""
    return {path.removeprefix("src/"): content for path, content in files.items() if path.startswith(PACKAGE)}


def in_sdist(archive: Path) -> dict[str, bytes]:
    """Return the files of an sdist, except its metadata."""
    with tarfile.open(archive) as opened:
        members = {member.name.partition("/")[2]: member for member in opened if member.isfile()}
        return {
            path: cast("IO[bytes]", opened.extractfile(each)).read()
            for path, each in members.items()
            if path != "PKG-INFO"
        }


def in_wheel(archive: Path) -> dict[str, bytes]:
    """Return the files of a wheel, except its metadata."""
    return {path: content for path, content in whole_wheel(archive).items() if ".dist-info/" not in path}


def whole_wheel(archive: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}


def differences(name: str, found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> list[str]:
    """Return a sentence for each file that is missing, superfluous or changed."""
    return [
        *(f"{name} lacks {path}" for path in sorted(expected.keys() - found.keys())),
        *(f"{name} has {path}, which is not tracked" for path in sorted(found.keys() - expected.keys())),
        *(
            f"{name} has another {path}"
            for path in sorted(found.keys() & expected.keys())
            if found[path] != expected[path]
        ),
    ]


def output_of(command: list[str | Path], *, cwd: Path, expected: int = 0, env: Mapping[str, str] | None = None) -> str:
    """
    Run a command, and return what it prints.

    Raises:
        CheckFailed: It has another exit code, or does not end.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(  # noqa: S603 - commands of this file
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise CheckFailed(f"{' '.join(words)} did not end within {SECONDS} seconds") from exc
    if done.returncode != expected:
        raise CheckFailed(f"{' '.join(words)} ended with {done.returncode}, not {expected}:\n{done.stdout}")
    return done.stdout


class Environment:
    """
    An empty virtual environment in which the wheel is installed, and a folder without the clone.

    Args:
        folder: An empty folder.
        python: The Python of the environment.
        wheel: The wheel to install.
    """

    def __init__(self, folder: Path, python: str, wheel: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        output_of([python, "-m", "venv", folder / "venv"], cwd=folder)
        self._bin = folder / "venv" / "bin"
        self._variables = {"PATH": f"{self._bin}:{os.environ['PATH']}", "HOME": str(folder), "NO_COLOR": "1"}
        self.install(str(wheel))

    def install(self, requirement: str) -> None:
        """Install a package with the versions of constraints.txt."""
        output_of([self._bin / "python", "-m", "pip", "install", "-c", CONSTRAINTS, requirement], cwd=self.folder)

    def run(self, *arguments: str, expected: int = 0) -> str:
        """Run a command of the program, and return what it prints."""
        return self._output_of([self._bin / "snapshots", *arguments], expected)

    def run_python(self, program: str) -> str:
        """Run a Python program, and return what it prints."""
        return self._output_of([self._bin / "python", "-W", "error", "-c", program], 0)

    def _output_of(self, command: list[str | Path], expected: int) -> str:
        return output_of(command, cwd=self.folder, expected=expected, env=self._variables)

    def served(self, path: str, *arguments: str) -> tuple[str, int]:
        """Serve the page on a free port, and return the answer to one request and the exit code after SIGTERM."""
        words = [str(self._bin / "snapshots"), "serve", "--listen", "127.0.0.1:0", *arguments]
        with subprocess.Popen(  # noqa: S603 - the installed program
            words, cwd=self.folder, env=self._variables, stderr=subprocess.PIPE, text=True
        ) as process:
            timer = Timer(SECONDS, process.kill)
            timer.start()
            try:
                line = cast("IO[str]", process.stderr).readline()
                found = re.search(r" at (http://\S+/) until", line)
                if found is None:
                    raise CheckFailed(f"serve printed {line!r}")
                with urlopen(found[1] + path, timeout=SECONDS) as response:  # noqa: S310 - of this machine
                    text = response.read().decode()
                process.send_signal(signal.SIGTERM)
                return text, process.wait()
            finally:
                timer.cancel()
                process.kill()


def expect(part: str, text: str, command: str) -> None:
    """
    Check an output.

    Raises:
        CheckFailed: The part is not in it.
    """
    if part not in " ".join(text.split()):
        raise CheckFailed(f"{command} did not print {part!r}, but:\n{text}")
    print(f"{command}: {part}", flush=True)


def check_installed(wheel: Built, python: str) -> None:
    """
    Install the wheel into an empty environment, and run its commands there.

    Raises:
        CheckFailed: A command fails, or prints something else than expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        installed = Environment(Path(folder), python, wheel.wheel)
        _check_commands(installed, wheel.version)
        _check_adoption(installed)
        _check_library(installed)
        _check_serve(installed)


def _check_commands(installed: Environment, version: str) -> None:
    log = Path(shutil.copy(ROOT / "tests/data/cowrie-2.8.1.json.gz", installed.folder)).name
    expect(f"snapshots, version {version}", installed.run("--version"), "snapshots --version")
    expect("83 new sessions", installed.run("demo"), "snapshots demo")
    expect("79 new sessions", installed.run("load", log), "snapshots load")
    expect("Nothing new", installed.run("load", log), "snapshots load, again")
    expect("Report written to report.html", installed.run("report", "--html", "report.html"), "snapshots report")
    expect("</html>", (installed.folder / "report.html").read_text(), "report.html")
    expect("79 sessions", installed.run("query", "--by", "country"), "snapshots query")
    expect("version", installed.run("migrate"), "snapshots migrate")
    (installed.folder / "tor-exits-2026-11-20.txt").write_text("185.220.101.1\n2a0b:f4c2::1\n")
    expect(
        "tor-exits",
        installed.run("facts", "import", "--type", "TOR", "tor-exits-2026-11-20.txt"),
        "snapshots facts import",
    )
    expect("the guard holds", installed.run("verify"), "snapshots verify")


def _check_adoption(installed: Environment) -> None:
    from sqlalchemy import create_engine  # noqa: PLC0415 - only here
    from tests.cowrieprocessor import AdoptableSchema, put_session  # noqa: PLC0415 - only here

    engine = create_engine(f"sqlite:///{installed.folder}/theirs.db")
    with engine.begin() as connection:
        AdoptableSchema(dialect="sqlite").make(connection)
        put_session(connection, "open", source_ip="1.1.1.1")
    engine.dispose()
    expect("Done.", installed.run("adopt", "--db", "theirs.db"), "snapshots adopt")
    expect("1 received a snapshot", installed.run("backfill", "--db", "theirs.db"), "snapshots backfill")


def _check_library(installed: Environment) -> None:
    guide = (ROOT / "docs/how-to/another-loader.md").read_text()
    program = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0]
    expect("asn=15169", installed.run_python(program), "open_service")
    printed = installed.run_python("import snapshots; print(snapshots.__file__, snapshots.__version__)")
    expect("site-packages/snapshots/__init__.py", printed, "import snapshots")


def _check_serve(installed: Environment) -> None:
    """Add the extra as the error message advises; the installed program itself must satisfy that requirement."""
    refused = installed.run("serve", expected=1)
    expect("pip install 'cowrie-snapshots[serve]'", refused, "snapshots serve")
    installed.install("cowrie-snapshots[serve]")
    page, code = installed.served("network/4134")
    expect("<html", page, "snapshots serve, a page")
    document, _ = installed.served("api/v1/groups/country")
    expect('"groups"', document, "snapshots serve, a document")
    expect("0", str(code), "snapshots serve, SIGTERM")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--python", default=sys.executable, help="Python of the empty environment")
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="folder for the sdist and the wheel")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))  # for tests.cowrieprocessor
    try:
        built = build(ROOT, options.to)
        print(f"built {built.sdist.name} and {built.wheel.name}; the files inside are those of the clone", flush=True)
        check_installed(built, options.python)
    except CheckFailed as exc:
        sys.exit(f"check_wheel: {exc}")


if __name__ == "__main__":
    main()
