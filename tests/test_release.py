"""The script that prepares releases, and the changelog from which it takes the notes."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import pytest
from tools.check_wheel import differences, in_package, in_wheel
from tools.release import CHANGELOG, VERSION_FILE, ReleaseRefused, release

import snapshots

DAY = date(2026, 12, 1)
PROJECT = """
[project]
name = "cowrie-snapshots"

[project.urls]
Homepage = "https://snapshots.internal"
Issues = "https://snapshots.internal/issues"
Changelog = "https://snapshots.internal/CHANGELOG.md"
"""
CHANGES = """\
# Changelog

## Unreleased

### Added

- Everything.

### Fixed

- A fault.
"""
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the files that a release reads and changes, ready for one."""
    if shutil.which("git") is None:
        pytest.skip("releases need git")
    folder = tmp_path / "clone"
    (folder / VERSION_FILE).parent.mkdir(parents=True)
    (folder / VERSION_FILE).write_text(Path(VERSION_FILE).read_text().replace(snapshots.__version__, "0.1.0"))
    (folder / CHANGELOG).write_text(CHANGES)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / ".gitignore").write_text("dist/\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    for name, value in (("name", "maintainers"), ("email", "maintainers@snapshots.invalid")):
        git(folder, "config", f"user.{name}", value)
    git(folder, "config", "core.hooksPath", "/dev/null")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Change")


def state(folder: Path) -> tuple[str, str, str]:
    return git(folder, "rev-parse", "HEAD"), git(folder, "tag"), git(folder, "status", "--porcelain", "--ignored")


def prepared(folder: Path, version: str = "0.9.0", *, is_dry_run: bool = False) -> str:
    def make(root: Path, to: Path) -> None:
        to.mkdir()
        (to / "built").write_text((root / VERSION_FILE).read_text())

    return "\n".join(release(folder, version, DAY, make, is_dry_run=is_dry_run))


def test_a_release_is_committed_tagged_and_described(clone: Path) -> None:
    """What is built has the new version; nothing is pushed."""
    output = prepared(clone)

    assert git(clone, "log", "-1", "--format=%s").strip() == "Release 0.9.0"
    assert git(clone, "tag", "--points-at", "HEAD").strip() == "v0.9.0"
    assert git(clone, "status", "--porcelain") == ""
    assert '__version__ = "0.9.0"' in (clone / "dist/built").read_text()
    assert (clone / "dist/release-notes-0.9.0.md").read_text() == CHANGES.partition("Unreleased\n\n")[2]
    assert "\n## Unreleased\n\n## 0.9.0 - 2026-12-01\n" in (clone / CHANGELOG).read_text()
    assert "next: git push origin main v0.9.0" in output


def test_a_dry_run_changes_nothing(clone: Path) -> None:
    """It shows the notes."""
    before = state(clone)

    output = prepared(clone, is_dry_run=True)

    assert state(clone) == before
    assert "- Everything." in output
    assert "would set 0.9.0" in output


@pytest.mark.skipif(
    shutil.which("git") is None or not Path(".git").exists(), reason="releases need git, and an sdist is no repository"
)
def test_the_script_checks_a_clone_of_this_repository(tmp_path: Path) -> None:
    """It refuses what is not ready, in one line each, and a dry run changes nothing."""
    git(Path(), "clone", "--quiet", "--shared", ".", str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    git(clone, "switch", "--quiet", "--force-create", "main")
    for name in ("release.py", "check_wheel.py"):
        shutil.copy(f"tools/{name}", clone / "tools")
    project = tomllib.loads((clone / "pyproject.toml").read_text())["project"]
    if "urls" not in project:
        with (clone / "pyproject.toml").open("a") as file:
            file.write(PROJECT.partition('"cowrie-snapshots"\n')[2])
    (clone / CHANGELOG).write_text(CHANGES)
    commit(clone)
    before = state(clone)

    done, refused = script(clone, "99.0.0"), script(clone, "0.0.1")

    assert state(clone) == before
    assert (done.returncode, "tag v99.0.0" in done.stdout, done.stderr) == (0, True, "")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(r"(release: 0\.0\.1 is .*\n)+", refused.stderr)


def script(clone: Path, version: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-B", "tools/release.py", version, "--dry-run"]
    return subprocess.run(command, cwd=clone, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("failure", [RuntimeError("the wheel lacks a file"), KeyboardInterrupt()])
def test_a_failed_build_leaves_the_clone_as_it_was(clone: Path, failure: BaseException) -> None:
    """Also an interrupted one."""
    before = state(clone)

    def fails(_root: Path, _to: Path) -> None:
        raise failure

    with pytest.raises(type(failure)):
        list(release(clone, "0.9.0", DAY, fails, is_dry_run=False))

    assert state(clone) == before


def test_the_next_release_has_the_changes_since_the_last(clone: Path) -> None:
    """And is refused if there are none, or if it is not newer."""
    prepared(clone)
    with pytest.raises(ReleaseRefused, match="has no section '## Unreleased' with changes"):
        prepared(clone, "0.10.0", is_dry_run=True)
    changelog = clone / CHANGELOG
    changelog.write_text(changelog.read_text().replace("## Unreleased\n", "## Unreleased\n\n### Fixed\n\n- A fault.\n"))
    commit(clone)
    for older in ("0.9.0", "0.8.9", "0.9.0rc1"):
        with pytest.raises(ReleaseRefused, match=r"is not newer than the last release, 0\.9\.0"):
            prepared(clone, older, is_dry_run=True)

    assert prepared(clone, "0.10.0", is_dry_run=True).endswith("### Fixed\n\n- A fault.\n")


@pytest.mark.parametrize("version", ["1", "v1.0.0", "1.0", "01.0.0", "1.0.0.dev1", "1.0.0+local", "soon"])
def test_an_unusual_version_is_refused(clone: Path, version: str) -> None:
    """Versions have three numbers, and perhaps rc1."""
    with pytest.raises(ReleaseRefused, match=re.escape(version)):
        prepared(clone, version, is_dry_run=True)


def test_everything_that_prevents_a_release_is_listed_at_once(clone: Path) -> None:
    """Uncommitted changes, another branch, an old version, placeholder addresses, and no changes."""
    project, changelog = clone / "pyproject.toml", clone / CHANGELOG
    project.write_text(project.read_text().replace("snapshots.internal", "www.example.org"))
    changelog.write_text("# Changelog\n\n## 0.0.9 - 2026-01-01\n\n### Added\n\n- All.\n")
    git(clone, "switch", "--quiet", "--create", "topic")
    before = state(clone)

    with pytest.raises(ReleaseRefused) as refused:
        prepared(clone, "0.0.1")

    assert state(clone) == before
    assert str(refused.value).splitlines() == [
        "the clone has changes that are not committed",
        "the branch is topic, not main",
        "0.0.1 is older than the version in src/snapshots/version.py, 0.1.0",
        "[project.urls] in pyproject.toml has no real address for Homepage",
        "[project.urls] in pyproject.toml has no real address for Issues",
        "[project.urls] in pyproject.toml has no real address for Changelog",
        "CHANGELOG.md has no section '## Unreleased' with changes",
    ]


def test_the_changelog_has_the_headings_of_keep_a_changelog() -> None:
    """Unreleased changes first, then versions with their days, each with kinds of changes."""
    text = Path(CHANGELOG).read_text()
    first, *releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    kinds = re.findall(r"^### (.*)$", text.partition("## Unreleased\n")[2].partition("\n## ")[0], re.MULTILINE)

    assert first == "Unreleased"
    assert [each for each in releases if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)? - \d{4}-\d\d-\d\d", each)] == []
    assert len(kinds) == len(set(kinds))
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= KINDS


def test_missing_superfluous_and_changed_files_of_a_wheel_are_found(tmp_path: Path) -> None:
    """Its metadata is not compared."""
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        for name in ("snapshots/a.py", "snapshots/b.py", "snapshots/c.py", "cowrie_snapshots-1.dist-info/RECORD"):
            wheel.writestr(name, name)
    expected = {f"src/snapshots/{name}.py": f"snapshots/{name}.py".encode() for name in "acd"}
    expected |= {"src/snapshots/c.py": b"other", "README.md": b""}

    assert differences("it", in_wheel(tmp_path / "x.whl"), in_package(expected)) == [
        "it lacks snapshots/d.py",
        "it has snapshots/b.py, which is not tracked",
        "it has another snapshots/c.py",
    ]
