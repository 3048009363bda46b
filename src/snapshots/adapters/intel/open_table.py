"""Files of facts that an operator has: of which kind they are, and of which date."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from snapshots.adapters.intel.mmdb import MmdbSource, open_mmdb
from snapshots.adapters.intel.ranges import RangeSource, is_ranges, open_list, open_ranges, sha256_of
from snapshots.app.errors import SettingRefused, SourceUnreadable
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.facts.observation import SourceBuild

OWN_LICENCE = "as granted to the operator by the maker of the file"
METADATA = b"\xab\xcd\xefMaxMind.com"
METADATA_WITHIN = 128 * 1024
DATE = re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
SUFFIXES = re.compile(r"(\.(mmdb|csv|txt|list|lst|netset|ipset|gz))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """
    What an operator says of a file.

    Attributes:
        name: The name of the source; None to take the file's.
        as_of: The date of the build; None to take the file's.
        ip_type: The type that a list of addresses states; None for other files.
    """

    name: str | None = None
    as_of: datetime | None = None
    ip_type: IpType | None = None


def open_table(path: Path, wish: ImportOptions) -> MmdbSource | RangeSource:
    """
    Open an MMDB file, a list of addresses of one type, or a CSV table of ranges.

    Raises:
        SourceUnreadable: The file is missing, damaged or none of these.
        SettingRefused: Its date is not known; the message says what to do.
    """
    if _is_mmdb(path):
        source = open_mmdb(path)
        named = replace(source.build, name=_name(wish.name or source.build.name), form="mmdb")
        return source.renamed(replace(named, built_at=wish.as_of or named.built_at))
    form = f"list {wish.ip_type.value}" if wish.ip_type is not None else "ranges"
    if wish.ip_type is None and not is_ranges(path):
        raise SourceUnreadable(
            f"{path} is neither an MMDB file nor a table of ranges; for a list of addresses, say --type"
        )
    build = SourceBuild(
        name=_name(wish.name or _stem(path)),
        built_at=wish.as_of or _date_in(path),
        licence=OWN_LICENCE,
        sha256=sha256_of(path),
        origin=str(path.absolute()),
        form=form,
    )
    return open_list(path, wish.ip_type, build) if wish.ip_type is not None else open_ranges(path, build)


def open_again(build: SourceBuild) -> MmdbSource | RangeSource:
    """
    Open the file of a registered build.

    Raises:
        SourceUnreadable: The file is gone, or is another by now.
    """
    path = Path(build.origin)
    if sha256_of(path) != build.sha256:
        raise SourceUnreadable(f"{path} is not the file any more that was imported as {build.label}")
    kind, _, word = build.form.partition(" ")
    if kind == "mmdb":
        return open_mmdb(path).renamed(build)
    return open_list(path, IpType(word), build) if kind == "list" else open_ranges(path, build)


def tables_below(folder: Path) -> Iterator[Path]:
    """
    Yield the files of a folder and its sub-folders of any depth that may be tables, in the order of their names.

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
                    elif not entry.name.startswith(".") and SUFFIXES.search(entry.name) and _is_file(entry):
                        found.append(entry.path)
        except OSError as exc:
            raise SourceUnreadable(f"{exc.filename} cannot be read: {exc.strerror or exc}") from exc
    yield from map(Path, sorted(found))


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


def _date_in(path: Path) -> datetime:
    found = DATE.findall(path.name)
    if not found:
        raise SettingRefused(
            f"the date of {path} is unknown: give --as-of YYYY-MM-DD, or put the date into the file's name"
        )
    year, month, day = found[-1]
    try:
        return datetime(int(year), int(month), int(day), tzinfo=UTC)
    except ValueError as exc:
        raise SettingRefused(f"the name of {path} contains an invalid date ({exc}): give --as-of YYYY-MM-DD") from exc


def _stem(path: Path) -> str:
    return DATE.sub("", SUFFIXES.sub("", path.name))


def _name(text: str) -> str:
    """Return the name of a source as it can stand in provenance: one word, at most 64 characters."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64] or "table"
