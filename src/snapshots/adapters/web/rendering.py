"""Render the templates of the pages."""

from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from snapshots.adapters.html import looks
from snapshots.adapters.html.environment import environment, text_of
from snapshots.adapters.html.page import LEGEND
from snapshots.adapters.html.world_map import map_file
from snapshots.adapters.web import view
from snapshots.adapters.web.selection import Selection, address_path, behaviour_path, href, session_path
from snapshots.app.queries.filters.filter_reader import FILTER_NAMES
from snapshots.app.queries.reports import FIELD_NAMES

HERE = Path(str(resources.files("snapshots.adapters.web")))

PLAYER = "asciinema-player-3.18.0"
"""Files of the player of recordings, and its version."""

FORM_FILTERS = tuple(name for name in FILTER_NAMES if not name.startswith("not-") and name not in {"since", "until"})
"""Filters that the form offers."""


def static_files() -> dict[str, tuple[str, bytes]]:
    """Return the media type and the content of each file that pages load, by its name."""
    return {
        "style.css": ("text/css", (text_of("style.css") + _text("page.css")).encode()),
        "page.js": ("text/javascript", (text_of("page.js") + _text("live.js")).encode()),
        "world.svg": ("image/svg+xml", map_file().encode()),
        "player.css": ("text/css", _text(f"{PLAYER}.css").encode()),
        "player.js": ("text/javascript", _text(f"{PLAYER}.min.js").encode()),
        "replay.js": ("text/javascript", _text("replay.js").encode()),
        "icon.svg": ("image/svg+xml", _text("icon.svg").encode()),
    }


class Templates:
    """
    The templates of the pages.

    Args:
        version: Version of the program.
    """

    def __init__(self, version: str) -> None:
        self._environment = environment(HERE / "templates")
        self._environment.filters |= {
            "address_path": address_path,
            "ago": view.ago,
            "behaviour_path": behaviour_path,
            "days_since": view.days_since,
            "did": view.did,
            "distance": view.distance,
            "doubts": view.doubts,
            "session_path": session_path,
            "short": view.short,
            "sentence": view.sentence,
        }
        versions = {name: sha256(content).hexdigest()[:12] for name, (_, content) in static_files().items()}
        self.files = {name: f"/static/{name}?v={version}" for name, version in versions.items()}
        self._environment.globals |= {
            "field_names": FIELD_NAMES,
            "form_filters": FORM_FILTERS,
            "href": href,
            "kinds": view.KINDS,
            "legend": LEGEND,
            "longest_hash": view.SHORT + 1,
            "patterns": looks.patterns(),
            "static": self.files,
            "type_badge": view.type_badge,
            "version": version,
        }

    def render(self, template: str, selection: Selection, **context: Any) -> str:
        """Render a template for a selection of sessions."""
        return self._environment.get_template(template).render(
            selection=selection,
            chips=view.chips(selection),
            empty=view.empty(selection),
            spans=view.spans(selection, begins_with_newest=selection.path == "/"),
            **context,
        )


def _text(name: str) -> str:
    return HERE.joinpath("static", name).read_text(encoding="utf-8")
