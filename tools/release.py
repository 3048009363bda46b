"""
Prepares a release: checks the clone, sets the version, builds and checks the wheel, commits, tags, writes the notes.

It uploads and pushes nothing; the commands that do are printed. A failure before the commit leaves the tracked files as
they were.

Usage: .venv/bin/python tools/release.py VERSION [--dry-run]
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
VERSION_FILE = "src/snapshots/version.py"
CHANGELOG = "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"
URLS = ("Homepage", "Issues", "Changelog")
"""Addresses that [project.urls] must have."""

RELEASED = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(rc[1-9]\d*)?")
"""Versions of releases, and of candidates for one."""

RESERVED = re.compile(r"(.*\.)?(example(\.(com|net|org))?|test|invalid|localhost)")
"""Hosts that RFC 2606 reserves: placeholders."""

Make = Callable[[Path, Path], object]
"""Builds the sdist and the wheel of a clone into a folder, and checks them."""


class ReleaseRefused(Exception):
    """Something must be done before the release; the message lists it."""


def release(root: Path, version: str, day: date, make: Make, *, is_dry_run: bool) -> Iterator[str]:
    """
    Prepare a release, and yield a line for each step.

    Args:
        root: The clone.
        version: The version to release.
        day: The day of the release.
        make: Builds and checks.
        is_dry_run: Check everything that needs no build, yield what would be done, and change nothing.

    Raises:
        ReleaseRefused: The clone is not ready; nothing was changed.
    """
    if found := [*problems(root, version)]:
        raise ReleaseRefused("\n".join(found))
    changelog = (root / CHANGELOG).read_text()
    notes = unreleased_notes(changelog)
    files = {VERSION_FILE: with_version(root, version), CHANGELOG: with_release(changelog, version, day)}
    if is_dry_run:
        yield f"dry run: would set {version} in {VERSION_FILE} and {version} - {day} in {CHANGELOG},"
        yield f"build and check dist/, commit 'Release {version}', tag v{version}, and write these notes:"
        yield notes
        return
    before = {name: (root / name).read_text() for name in files}
    try:
        for name, text in files.items():
            (root / name).write_text(text)
        yield "building and checking the sdist and the wheel"
        make(root, root / "dist")
        _git(root, "commit", "--quiet", "--message", f"Release {version}", "--", *files)
    except BaseException:
        for name, text in before.items():
            (root / name).write_text(text)
        raise
    _git(root, "tag", "--annotate", f"v{version}", "--message", f"snapshots {version}")
    file = root / "dist" / f"release-notes-{version}.md"
    file.write_text(notes)
    yield f"committed, tagged v{version}, and wrote dist/{file.name}"
    yield f"next: git push origin main v{version}"
    yield f"The release workflow then publishes the files. Without it: twine upload dist/cowrie_snapshots-{version}*"


def problems(root: Path, version: str) -> Iterator[str]:
    """Yield a sentence for each reason why the version cannot be released from this clone."""
    if _git(root, "status", "--porcelain"):
        yield "the clone has changes that are not committed"
    branch = _git(root, "branch", "--show-current").strip()
    if branch != "main":
        yield f"the branch is {branch or 'none'}, not main"
    yield from _problems_of_version(root, version)
    yield from _problems_of_urls(root)
    if not unreleased_notes((root / CHANGELOG).read_text()):
        yield f"{CHANGELOG} has no section '{UNRELEASED.strip()}' with changes"


def _problems_of_version(root: Path, text: str) -> Iterator[str]:
    if not RELEASED.fullmatch(text):
        yield f"{text!r} is not a version such as 1.2.0 or 1.2.0rc1"
        return
    version = Version(text)
    tags = [tag[1:] for tag in _git(root, "tag", "--list", "v*").split() if RELEASED.fullmatch(tag[1:])]
    newest = max(map(Version, tags), default=None)
    if newest is not None and version <= newest:
        yield f"{text} is not newer than the last release, {newest}"
    written = Version(_written_version(root))
    if version < written:
        yield f"{text} is older than the version in {VERSION_FILE}, {written}"


def _problems_of_urls(root: Path) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for name in URLS:
        url = urlsplit(project.get("urls", {}).get(name, ""))
        if url.scheme != "https" or not url.hostname or RESERVED.fullmatch(url.hostname):
            yield f"[project.urls] in pyproject.toml has no real address for {name}"


def unreleased_notes(changelog: str) -> str:
    """Return the text below the heading of unreleased changes; empty without one."""
    section = re.split(r"^## ", changelog.partition(f"\n{UNRELEASED}")[2], maxsplit=1, flags=re.MULTILINE)[0].strip()
    return f"{section}\n" if section else ""


def with_release(changelog: str, version: str, day: date) -> str:
    """Return the changelog with the unreleased changes under the heading of a version."""
    return changelog.replace(f"\n{UNRELEASED}", f"\n{UNRELEASED}\n## {version} - {day}\n", 1)


def with_version(root: Path, version: str) -> str:
    """Return the file of the version with another one."""
    return (root / VERSION_FILE).read_text().replace(f'"{_written_version(root)}"', f'"{version}"')


def _written_version(root: Path) -> str:
    found = re.search(r'^__version__ = "(.+)"$', (root / VERSION_FILE).read_text(), re.MULTILINE)
    assert found is not None, VERSION_FILE
    return found[1]


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603, S607
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("version")
    parser.add_argument("--dry-run", action="store_true", help="check, show the notes, and change nothing")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tools.check_wheel import CheckFailed, build, check_installed  # noqa: PLC0415 - found by the line above

    def make(root: Path, to: Path) -> None:
        check_installed(build(root, to), sys.executable)

    try:
        for line in release(ROOT, options.version, datetime.now(UTC).date(), make, is_dry_run=options.dry_run):
            print(line, flush=True)
    except (CheckFailed, ReleaseRefused, subprocess.CalledProcessError) as exc:
        sys.exit("\n".join(f"release: {line}" for line in str(exc).splitlines()))


if __name__ == "__main__":
    main()
