"""Open the data of builds: bundled, in files of the operator, and in imported files."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from snapshots.adapters.intel.bundled import BUNDLED, open_bundled
from snapshots.adapters.intel.iporigin import IporiginSource
from snapshots.adapters.intel.mmdb import MmdbSource, open_mmdb
from snapshots.adapters.intel.network_types import NetworkTypesSource
from snapshots.adapters.intel.open_table import open_again
from snapshots.app.enrich.build_checks import implausible
from snapshots.app.errors import SourceUnreadable
from snapshots.app.ports.inventory import FactSource
from snapshots.domain.address.plausibility import PlausibleTimes
from snapshots.domain.facts.build_moment import moment_text
from snapshots.domain.facts.network_types import NO_NETWORK_TYPES, NetworkTypes
from snapshots.domain.facts.observation import SourceBuild

Signature = tuple[int, int, int]
Key = tuple[str, datetime, str]


class FileSourceRegistry:
    """
    Opens builds on first use and keeps them open.

    Args:
        mmdb: MMDB files of the operator, the most trusted first. They may be replaced while the program runs.
        warn: Called with a message, once for each build that cannot be opened.
        now: Returns the present time in UTC; a file from the future is refused. None to accept it.
        networks: Types by network, whose builds are registered too.
    """

    def __init__(
        self,
        mmdb: Sequence[Path],
        warn: Callable[[str], None],
        now: Callable[[], datetime] | None = None,
        *,
        networks: NetworkTypes = NO_NETWORK_TYPES,
    ) -> None:
        self._mmdb = mmdb
        self._networks = [NetworkTypesSource(build) for build in networks.builds]
        self._warn = warn
        self._now = now
        self._opened: dict[Path, tuple[Signature, MmdbSource]] = {}
        self._bundled: list[FactSource] = []
        self._registered: dict[Key, FactSource | None] = {}
        self._warned: set[str] = set()

    def current(self) -> Sequence[FactSource]:
        """Return the builds of the settings and the bundled ones, the most trusted first."""
        if not self._bundled:
            self._bundled = [*(open_bundled(table) for table in BUNDLED), IporiginSource()]
        return [*(self._newest(path) for path in self._mmdb), *self._bundled, *self._networks]

    def open(self, build: SourceBuild, *, is_overwritten: bool = False) -> FactSource | None:
        """Return the data of a registered build; None, after one warning, if its file is missing or has changed."""
        for source in self.current():
            own = source.build
            if own.name == build.name and (own.built_at == build.built_at or own.sha256 == build.sha256):
                return source
        key = _key(build)
        if key not in self._registered:
            self._registered[key] = self._open_again(build, is_overwritten=is_overwritten)
        return self._registered[key]

    def _newest(self, path: Path) -> MmdbSource:
        """Return the current build in a file; the previous one if the file cannot be read."""
        held = self._opened.get(path)
        try:
            signature = _signature(path)
            if held is None or held[0] != signature:
                if held is not None:  # the previous data still serves lookups in its build
                    self._registered[_key(held[1].build)] = held[1]
                # In memory, because a file that is overwritten in place would change under the reader.
                opened = self._checked(open_mmdb(path, in_memory=True))
                problem = implausible(opened, held[1]) if held is not None else ""
                if held is not None and problem:
                    self._opened[path] = (signature, held[1])  # not opened again until it changes
                    self._warn_once(f"{path} is implausible: {problem}; {held[1].build.label} stays in use")
                    return held[1]
                held = self._opened[path] = (signature, opened)
        except SourceUnreadable as exc:
            if held is None:
                raise
            self._warn_once(f"{exc}; {held[1].build.label}, which was read earlier, stays in use")
        return held[1]

    def _checked(self, source: MmdbSource) -> MmdbSource:
        """Return a source; raise SourceUnreadable if it is from the future."""
        if self._now is not None and source.build.built_at not in PlausibleTimes.seen_from(self._now()):
            raise SourceUnreadable(
                f"{source.build.origin} states a build time in the future ({moment_text(source.build.built_at)});"
                " if you know the date, import the file with --as-of (snapshots facts import)"
            )
        return source

    def _open_again(self, build: SourceBuild, *, is_overwritten: bool) -> FactSource | None:
        if not build.form:
            return None  # an older version of bundled data; its observations are stored
        try:
            return open_again(build)
        except SourceUnreadable as exc:
            if not is_overwritten:  # the import of the later build reported it
                self._warn_once(f"{exc}; new addresses are not looked up in {build.label}")
            return None

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._warn(message)


def _key(build: SourceBuild) -> Key:
    return build.name, build.built_at, build.sha256


def _signature(path: Path) -> Signature:
    try:
        state = path.stat()
    except OSError as exc:
        raise SourceUnreadable(f"{path} cannot be read: {exc.strerror or exc}") from exc
    return state.st_ino, state.st_size, state.st_mtime_ns
