"""The console that tables, colours and progress bars are written by."""

import sys
from collections.abc import Iterable
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from snapshots.adapters.cli.streams import SafeErrorStream, SafeStream


class _Styled:
    """A safe stream for a console, which writes sequences for colours and progress bars around cleaned text."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write_styled(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class SafeConsole(Console):
    """
    A console whose text is cleaned as that of the streams; only its own styles and movements reach the terminal.

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
        """Return the segments of something, cleaned."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self._clean(segment.text))
