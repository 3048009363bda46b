"""A reader who follows a document from top to bottom, in a folder of its own and without a network."""

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Timer
from types import MappingProxyType

import click
import pytest
import yaml
from tools.build_docs import Folder, commands, examples

from snapshots.adapters.cli.config_file import ConfigFile
from snapshots.adapters.cli.main import cli
from tests.documents import Block
from tests.served import Served
from tests.waiting import wait_until

SYSTEM_FOLDER = re.compile(r"(?<![\w.:@/}])/(?=(?:var|etc|srv|home|usr/share)/)")
"""The beginning of an absolute path; it becomes a folder of the reader."""

PERIOD = re.compile(r"(--since |since=)\d+[mhd]\b")
"""A time before now; it becomes a day before the attacks in the log that comes with the program."""

HOST = re.compile(r"https?://(?!127\.0\.0\.1)([\w.-]+)")
"""The beginning of a URL of another machine; its host becomes a folder of the stand-in."""

SHELL = re.compile(r"[|<>;&`$(]")
"""What makes a command one for the shell: it needs processes and cannot run in this one."""

EXTRAS = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
DEADLINE = 60.0

TOOLS = ("curl", "openssl", "sqlite3")
"""Programs in documents that a machine for development may lack."""


def shell_commands(text: str) -> Iterator[str]:
    """Yield the commands of a block, each with its continued lines."""
    held = ""
    for line in text.splitlines():
        held += f"{line}\n"
        if line.endswith("\\"):
            continue
        try:
            words = shlex.split(held, comments=True)
        except ValueError:  # a quotation that ends in a later line
            continue
        if words:
            yield held.strip()
        held = ""
    assert not held, f"a command without an end: {held}"


class Reader:
    """
    Does what the blocks of a document show; fails where something does not work as shown.

    Paths of the system lead into the folder, other machines are a server of the test, periods before now begin before
    the attacks of the bundled log. Installations, and words of `run` for developers, only have to name what exists.

    Args:
        folder: An empty folder: the clone of the reader.
        web: The URL of a server for everything that is elsewhere.
    """

    def __init__(self, folder: Path, web: str) -> None:
        self.folder = folder
        self.names: dict[str, Callable[[], str]] = {}
        self.environment = {"HOME": str(folder / "home/reader"), "BROWSER": "true", "NO_COLOR": "1"}
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.refusals: dict[str, str] = {}
        self.stack = ExitStack()
        self.web = web
        self._cwd = folder
        self._clone = Folder(folder)
        self._databases = 0
        self._kinds: Mapping[str, Callable[[Block], None]] = MappingProxyType(
            {
                "console": self._compare,
                "sh": lambda block: self._type(shell_commands(block.text)),
                "crontab": lambda block: self._type(line.split(None, 5)[5] for line in block.text.splitlines()),
                "sql": self._query,
                "toml": self._configure,
                "json": lambda block: json.loads(block.text),
                "yaml": lambda block: yaml.safe_load(block.text),
                "ini": lambda block: ConfigParser(interpolation=None, strict=False).read_string(block.text),
                "text": lambda _: None,  # what a program prints, or a figure
            }
        )
        for name in ("docs", "constraints.txt"):
            (folder / name).symlink_to(Path(name).resolve())
        (folder / "home/reader").mkdir(parents=True)

    @property
    def languages(self) -> frozenset[str]:
        """Return the languages of blocks that can be run or checked."""
        return frozenset(self._kinds)

    def follow(self, block: Block) -> None:
        """Do what a block shows."""
        self._cwd = self.folder
        self._kinds[block.language](block)

    def run(self, *arguments: object) -> str:
        """Run the program, which must end with exit code 0 unless a refusal is expected; return what it prints."""
        words = [str(argument) for argument in arguments]
        code, output = self._clone.run_program(words, self.environment, self._cwd)
        refusal = self.refusals.get(shlex.join(["snapshots", *words]))
        assert (code == 0) == (refusal is None), f"exit code {code} of snapshots {shlex.join(words)}\n{output}"
        assert refusal is None or refusal in output
        return output

    def _compare(self, block: Block) -> None:
        for example in examples(block.text):
            output = self._clone.run(example.command)
            assert example.matches(output), f"$ {example.command}\n{output}"

    def _type(self, lines: Iterator[str]) -> None:
        for line in lines:
            command = self._local(line)
            words = shlex.split(command, comments=True)
            if words[:3] == ["sh", "run", "demo"]:
                words = ["snapshots", *words[2:]]
            if words[0] == ".venv/bin/snapshots":
                words[0] = "snapshots"
            if words[:2] == ["sh", "run"]:
                assert f"\n{words[2]})\n" in Path("run").read_text(), f"`run` has no word {words[2]}"
            elif "pip" in words:
                check_installation(words)
            elif words[0] == "cd":
                self._cwd = (self._cwd / words[1]).resolve(strict=True)
            elif words[0] == "export":
                self.environment.update(dict(each.split("=", 1) for each in words[1:]))
            elif words[0] == "snapshots" and {"serve", "--serve", "--follow"} & set(words):
                self._run_for_a_while(words[1:])
            elif words[0] == "snapshots" and not SHELL.search(command.partition(" #")[0]):
                self.run(*words[1:])
            else:
                self._run_in_shell(command)

    def _local(self, command: str) -> str:
        """Return a command with what is on this machine in the place of what is elsewhere."""
        local = SYSTEM_FOLDER.sub(f"{self.folder}/", command)
        local = HOST.sub(rf"{self.web}/\1", local)
        local = PERIOD.sub(r"\g<1>2026-11-23", local)
        for name, value in self.names.items():
            local = local.replace(name, value()) if name in local else local
        return local

    def _run_in_shell(self, command: str) -> None:
        missing = [tool for tool in TOOLS if re.search(rf"\b{tool}\b", command) and shutil.which(tool) is None]
        if missing:
            pytest.skip(f"{', '.join(missing)} is not installed")
        done = subprocess.run(
            ["sh", "-e", "-c", command],
            cwd=self._cwd,
            env=os.environ | self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, f"exit code {done.returncode} of {command}\n{done.stdout}{done.stderr}"

    def serve(self, words: Sequence[str]) -> Served:
        """Run a command that serves the page, on a free port, until the document ends."""
        if "--listen" in words:
            words = [*words[: words.index("--listen")], *words[words.index("--listen") + 2 :]]
        process = self._start([*words, "--listen", "127.0.0.1:0"])
        return Served(process)

    def _run_for_a_while(self, words: Sequence[str]) -> None:
        """Run a command that ends by a signal until it does what it is for."""
        if "--follow" in words and "--db" not in words:
            self._databases += 1
            self.environment["SNAPSHOTS_DB"] = str(self.folder / f"followed-{self._databases}.db")
        if {"serve", "--serve"} & set(words):
            site = self.serve(words)
            process, answer = site.process, site.page("healthz")
            assert answer == "ok\n", answer
        else:
            process = self._start(words)
            file = Path(self.environment["SNAPSHOTS_DB"])
            wait_until(lambda: process.poll() is not None or _sessions(file) > 0, seconds=DEADLINE)
        process.send_signal(signal.SIGTERM)
        output = "".join(process.communicate(timeout=DEADLINE))
        assert process.returncode == 0, f"exit code {process.returncode} of snapshots {shlex.join(words)}\n{output}"
        self.environment.pop("SNAPSHOTS_DB", None)

    def _start(self, words: Sequence[str]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "snapshots", *words],
            cwd=self._cwd,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        timer = Timer(DEADLINE, process.kill)
        timer.start()
        self.stack.callback(process.communicate)
        self.stack.callback(process.kill)
        self.stack.callback(timer.cancel)
        return process

    def _query(self, block: Block) -> None:
        """Run the statements of a block; one that only reads must find something."""
        with closing(sqlite3.connect(self.folder / "snapshots.db", isolation_level=None)) as connection:
            statement = ""
            for line in block.text.splitlines(keepends=True):
                statement += line
                if sqlite3.complete_statement(statement):
                    found = connection.execute(statement).fetchall()
                    assert found or not statement.startswith("SELECT"), statement
                    statement = ""
            assert not statement.strip(), f"a statement without an end: {statement}"

    def _configure(self, block: Block) -> None:
        """Read a configuration file as each command does, which refuses what it does not know."""
        file = self.folder / "checked.toml"
        file.write_text(block.text)
        config = ConfigFile(file, set(cli.commands)).content
        used = {
            (*path, name)
            for path, command in commands(cli, ())
            for name in config.defaults(
                path, command.params, subcommands=command.commands if isinstance(command, click.Group) else ()
            )
        }
        assert used


def check_installation(words: Sequence[str]) -> None:
    """Check that an installation names extras and constraints that exist, or a package that the program uses."""
    extras = {name for word in words for names in re.findall(r"\[([\w,-]+)\]$", word) for name in names.split(",")}
    packages = {re.split(r"[>=<\[]", each)[0] for each in _requirements()}
    named = [word for word in words[words.index("install") + 1 :] if re.fullmatch(r"[a-z][\w-]+", word)]

    assert extras <= EXTRAS.keys(), words
    assert all(word in packages for word in named), words
    assert "-c" not in words or Path(words[words.index("-c") + 1]).name == "constraints.txt"


def _requirements() -> Sequence[str]:
    return tomllib.loads(Path("pyproject.toml").read_text())["project"]["dependencies"]  # type: ignore[no-any-return]


def _sessions(file: Path) -> int:
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM session_summaries").fetchone()[0])
        except sqlite3.OperationalError:  # the table is being made
            return 0
