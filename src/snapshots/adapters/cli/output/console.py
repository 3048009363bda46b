"""The console for tables, colors and progress bars."""

import sys
from collections.abc import Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from snapshots.adapters.cli.output.streams import SafeErrorStream, SafeStream


class _Styled:
    """A file object for rich that writes to a safe stream without escaping rich's own control sequences."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write_styled(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class SafeConsole(Console):
    """
    A console that sanitizes its text like the safe streams; only rich's own control sequences reach the terminal.

    Args:
        stderr: Whether it writes to stderr rather than to stdout.
        quiet: Whether it writes nothing.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        stream = getattr(stream, "rich_proxied_file", stream)
        self._clean = SafeErrorStream.clean if stderr else SafeStream.clean
        file = cast("IO[str]", _Styled(stream)) if isinstance(stream, SafeStream) else None
        super().__init__(file=file, stderr=stderr, quiet=quiet, markup=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render to segments, and sanitize their text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self._clean(segment.text))
