"""Types that networks state themselves, from a package that is an extra."""

import os
import sys
from datetime import date
from pathlib import Path

import pytest

from snapshots.adapters.intel.network_types import open_network_types
from snapshots.adapters.intel.stated_types import write_stated_types
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType

PACKAGE = """
from typing import NamedTuple


class Facts(NamedTuple):
    asn: int
    category: str


class Table:
    def facts(self, rank):
        return [Facts(4134, "isp"), Facts(14061, "isp"), Facts(64500, "hosting"), Facts(64501, "enterprise")][rank]


table = Table
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages with one of the same structure."""
    folder = tmp_path / "packages"
    (folder / "whereip_network").mkdir(parents=True)
    (folder / "whereip_network" / "__init__.py").write_text(PACKAGE)
    (folder / "whereip_network-0.1.0.dist-info").mkdir()
    (folder / "whereip_network-0.1.0.dist-info" / "METADATA").write_text("Name: whereip-network\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "whereip_network", raising=False)
    return folder


@pytest.mark.usefixtures("installed")
def test_the_types_are_written_once_as_a_table(tmp_path: Path) -> None:
    """It is dated by the release; a data center that calls itself an access network has the type in its name."""
    path = write_stated_types(tmp_path / "store")
    assert path is not None
    before = path.stat()

    assert path.name == "network-types-stated-2026-08-31.csv"
    build = open_network_types([path]).builds[0]
    assert build.build.label == "network-types-stated@2026-08-31"
    assert dict(build.types) == {4134: IpType.RESIDENTIAL, 14061: IpType.DATACENTER, 64500: IpType.DATACENTER}
    assert write_stated_types(tmp_path / "store") == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_an_unknown_version_is_dated_by_its_installation(installed: Path, tmp_path: Path) -> None:
    """It states no date."""
    (installed / "whereip_network-0.1.0.dist-info" / "METADATA").write_text("Name: whereip-network\nVersion: 0.2.0\n")
    os.utime(installed / "whereip_network" / "__init__.py", (1_800_000_000, 1_800_000_000))

    path = write_stated_types(tmp_path / "store")

    assert path is not None
    assert path.name == f"network-types-stated-{date(2027, 1, 15)}.csv"


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        ("table = list", "has an unknown structure"),
        ("table = type('Table', (), {'facts': lambda self, rank: [][rank]})", "states no type of a network"),
        (PACKAGE.replace("64500", "None"), "has an unknown structure"),
    ],
)
def test_a_package_of_another_structure_is_an_error(
    installed: Path, tmp_path: Path, package: str, problem: str
) -> None:
    """In one sentence."""
    (installed / "whereip_network" / "__init__.py").write_text(package)

    with pytest.raises(SourceUnreadable, match=problem):
        write_stated_types(tmp_path / "store")


@pytest.mark.usefixtures("installed")
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Nothing is left of the table."""
    (tmp_path / "store").write_text("a file")

    with pytest.raises(SourceUnreadable, match="cannot be written"):
        write_stated_types(tmp_path / "store")


def test_without_the_package_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "whereip_network", None)

    assert write_stated_types(tmp_path / "store") is None
    assert not (tmp_path / "store").exists()
