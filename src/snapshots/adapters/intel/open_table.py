"""Open tables of the operator: detect their format, name and date."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from snapshots.adapters.intel.mmdb import MmdbSource, open_mmdb
from snapshots.adapters.intel.moment_in_name import MOMENT, moment_in_name, name_without_moment
from snapshots.adapters.intel.ranges import RangeSource, is_ranges, open_list, open_ranges, sha256_of
from snapshots.app.errors import SourceUnreadable
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import SourceBuild

OWN_LICENCE = "as granted to the operator by the maker of the file"
METADATA = b"\xab\xcd\xefMaxMind.com"
METADATA_WITHIN = 128 * 1024
SUFFIXES = re.compile(r"(\.(mmdb|csv|txt|list|lst|netset|ipset|gz))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """
    Options of an import.

    Attributes:
        name: The name of the source; None to derive it from the file.
        as_of: The moment of the build, in UTC; None to derive it from the file.
        ip_type: The type of all addresses in a list; None for other formats.
    """

    name: str | None = None
    as_of: datetime | None = None
    ip_type: IpType | None = None


def open_table(path: Path, options: ImportOptions) -> MmdbSource | RangeSource:
    """
    Open an MMDB file, a list of addresses of one type, or a CSV table of ranges.

    Raises:
        SourceUnreadable: The file is missing, damaged or none of these.
        SettingRefused: Its date is unknown.
    """
    if _is_mmdb(path):
        source = open_mmdb(path, built_at=options.as_of)
        return source.renamed(replace(source.build, name=_name(options.name or source.build.name)))
    form = f"list {options.ip_type.value}" if options.ip_type is not None else "ranges"
    if options.ip_type is None and not is_ranges(path):
        raise SourceUnreadable(
            f"{path} is neither an MMDB file nor a table of ranges; for a list of addresses, add --type"
        )
    build = SourceBuild(
        name=_name(options.name or name_without_moment(path, SUFFIXES.sub("", path.name))),
        built_at=options.as_of or moment_in_name(path),
        licence=OWN_LICENCE,
        sha256=sha256_of(path),
        origin=str(path.absolute()),
        form=form,
    )
    return open_list(path, options.ip_type, build) if options.ip_type is not None else open_ranges(path, build)


def open_again(build: SourceBuild) -> MmdbSource | RangeSource:
    """
    Open the file of a registered build.

    Raises:
        SourceUnreadable: The file is missing or has changed.
    """
    path = Path(build.origin)
    if sha256_of(path) != build.sha256:
        raise SourceUnreadable(f"{path} has changed since it was imported as {build.label}")
    kind, _, word = build.form.partition(" ")
    if kind == "mmdb":
        return open_mmdb(path, built_at=build.built_at).renamed(build)
    return open_list(path, IpType(word), build) if kind == "list" else open_ranges(path, build)


def tables_below(folder: Path) -> Iterator[Path]:
    """
    Yield the files of a folder and all its sub-folders that may be tables, sorted by path.

    Links to folders are not followed: they may form a loop.

    Raises:
        SourceUnreadable: A folder cannot be read.
    """
    waiting, found = [str(folder)], list[str]()
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not entry.name.startswith(".") and _may_be_table(entry.name) and _is_file(entry):
                        found.append(entry.path)
        except OSError as exc:
            raise SourceUnreadable(f"{exc.filename} cannot be read: {exc.strerror or exc}") from exc
    yield from map(Path, sorted(found))


def _may_be_table(name: str) -> bool:
    """Whether a name has a suffix of tables, or ends with a date, as the lists of CollecTor do."""
    return bool(SUFFIXES.search(name)) or any(found.end() == len(name) for found in MOMENT.finditer(name))


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _is_mmdb(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - METADATA_WITHIN))
            return METADATA in file.read()
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _name(text: str) -> str:
    """Return a valid name of a source for provenance: one word of at most 64 characters."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64] or "table"
