"""Where the data of builds stands: with the program, in the operator's files, in imported files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from snapshots.adapters.intel.bundled import BUNDLED, open_bundled
from snapshots.adapters.intel.iporigin import IporiginSource
from snapshots.adapters.intel.mmdb import MmdbSource, open_mmdb
from snapshots.adapters.intel.open_table import open_again
from snapshots.app.errors import SourceUnreadable
from snapshots.app.ports.inventory import FactSource
from snapshots.domain.facts.observation import SourceBuild

Signature = tuple[int, int, int]


class FileSourceRegistry:
    """
    Opens each build when it is first asked for, and keeps it open.

    Args:
        mmdb: The operator's files, the most trusted first. They may be replaced while the program runs.
        warn: Is told one sentence about a build that cannot be opened, once for each.
    """

    def __init__(self, mmdb: Sequence[Path], warn: Callable[[str], None]) -> None:
        self._mmdb = mmdb
        self._warn = warn
        self._opened: dict[Path, tuple[Signature, MmdbSource]] = {}
        self._bundled: list[FactSource] = []
        self._registered: dict[tuple[str, str], FactSource | None] = {}
        self._told: set[str] = set()

    def current(self) -> Sequence[FactSource]:
        """Return the builds that come with the program and the settings, the most trusted first."""
        if not self._bundled:
            self._bundled = [*(open_bundled(table) for table in BUNDLED), IporiginSource()]
        return [*(self._newest(path) for path in self._mmdb), *self._bundled]

    def open(self, build: SourceBuild) -> FactSource | None:
        """Return a registered build; None, told once, if its file is gone or another."""
        for source in self.current():
            if (source.build.name, source.build.built_at) == (build.name, build.built_at):
                return source
        key = _key(build)
        if key not in self._registered:
            self._registered[key] = self._open_again(build)
        return self._registered[key]

    def _newest(self, path: Path) -> MmdbSource:
        """Return what a file holds now; if that cannot be read, what it held before."""
        held = self._opened.get(path)
        try:
            signature = _signature(path)
            if held is None or held[0] != signature:
                if held is not None:  # what was read before still answers for the build that it is
                    self._registered[_key(held[1].build)] = held[1]
                # In memory: a file that is overwritten in place would else change under the reader.
                held = self._opened[path] = (signature, open_mmdb(path, in_memory=True))
        except SourceUnreadable as exc:
            if held is None:
                raise
            self._tell(f"{exc}; {held[1].build.label}, which was read before, stays in use")
        return held[1]

    def _open_again(self, build: SourceBuild) -> FactSource | None:
        if not build.form:
            return None  # an older version of what comes with the program; what it said is stored
        try:
            return open_again(build)
        except SourceUnreadable as exc:
            self._tell(f"{exc}; new addresses are not looked up in {build.label}")
            return None

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._warn(sentence)


def _key(build: SourceBuild) -> tuple[str, str]:
    return build.label, build.sha256


def _signature(path: Path) -> Signature:
    try:
        state = path.stat()
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    return state.st_ino, state.st_size, state.st_mtime_ns
