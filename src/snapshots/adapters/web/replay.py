"""Replay the recordings of a session's terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from snapshots.adapters.web.access import POLICY
from snapshots.adapters.web.answers import Answers
from snapshots.adapters.web.problems import NotFound
from snapshots.adapters.web.recording import Recording, Recordings
from snapshots.adapters.web.rendering import Templates
from snapshots.adapters.web.selection import PageLinks, Selection, sent_path
from snapshots.adapters.web.services import SiteData, SiteOptions
from snapshots.domain.session.behaviour import Trait
from snapshots.domain.session.summary import SessionSummary

PLAYER_POLICY = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
"""The player's terminal is a WebAssembly module; pages without the player may not run any."""

LONGEST_TEXT = 100_000
"""Characters of a recording that the page shows as text."""


class Replay(NamedTuple):
    """
    A recording of a session.

    Attributes:
        session: The session.
        names: The names of all of its recordings that exist.
        number: The place of this one among them, from 1.
        recording: Its content.
    """

    session: SessionSummary
    names: Sequence[str]
    number: int
    recording: Recording

    @property
    def is_of_another_session(self) -> bool:
        """Whether the recording began at another time: Cowrie keeps one of those with equal input."""
        first, last = self.session.first_event_at, self.session.last_event_at
        began_at = self.recording.began_at
        return first is not None and last is not None and not _second(first) <= _second(began_at) <= _second(last)


class Replays:
    """
    Handlers of the page of a recording, and of the recording itself.

    Args:
        data: The queries.
        answers: Asks them in threads.
        options: How the page is served.
    """

    def __init__(self, data: SiteData, answers: Answers, options: SiteOptions) -> None:
        self._data = data
        self._answers = answers
        self._recordings = Recordings(options.tty)
        self._templates = Templates(options.version)

    def names(self, session: SessionSummary) -> Sequence[str]:
        """Return the names of a session's recordings that exist."""
        return [name for name in session.behaviour.texts(Trait.RECORDING) if self._recordings.has(name)]

    async def page(self, request: Request) -> Response:
        """Answer with a page that plays a recording."""
        found = await self._found(request)
        selection = Selection(sent_path(request.scope), (), {})
        text = self._templates.render(
            "replay.html",
            selection,
            replay=found,
            text=found.recording.text[:LONGEST_TEXT],
            now=self._data.now(),
            links=PageLinks(selection),
        )
        return HTMLResponse(text, headers={"Content-Security-Policy": PLAYER_POLICY})

    async def asciicast(self, request: Request) -> Response:
        """Answer with a recording in version 2 of asciinema's format."""
        found = await self._found(request)
        name = f"{found.names[found.number - 1]}.cast"
        return Response(
            found.recording.asciicast,
            media_type="application/x-asciicast",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def _found(self, request: Request) -> Replay:
        session_id, number = request.path_params["session_id"], request.query_params.get("recording", "1")
        return await self._answers.ask(lambda: self._replay(session_id, number))

    def _replay(self, session_id: str, number: str) -> Replay:
        explained = self._data.reports.explain(session_id)
        if explained is None:
            raise NotFound(f"there is no session {session_id[:80]!r} in {self._data.shown_database}")
        names = self.names(explained.session)
        if number in {str(each) for each in range(1, len(names) + 1)}:
            recording = self._recordings.read(names[int(number) - 1])
            if recording is not None:
                return Replay(explained.session, names, int(number), recording)
        raise NotFound(f"there is no recording {number[:20]!r} of session {session_id[:80]!r}")


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
