"""Draw sessions by country on a map of the world."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from snapshots.adapters.html.charts import linked, role_of
from snapshots.adapters.html.formats import counted, number
from snapshots.adapters.html.links import NO_LINKS, Links
from snapshots.adapters.html.looks import MAP_STEPS

LABELED = 4
"""Countries with the most sessions whose number is written on the map."""

ROOM = (90, 26)
"""Width and height that a label needs: none is written over another."""

FRAME = "40 24 900 420"
"""The part of the map that is shown: without the empty sea at its edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryOnMap:
    """
    A country with its sessions.

    Attributes:
        code: ISO 3166-1 alpha-2.
        name: Its name.
        sessions: At least 1.
        inferred: Sessions whose country was stated only after the attack.
    """

    code: str
    name: str
    sessions: int
    inferred: int

    @property
    def is_mostly_inferred(self) -> bool:
        """Whether the country of most sessions was stated only after the attack."""
        return 2 * self.inferred > self.sessions


def limits_of(most: int) -> Sequence[int]:
    """Return the upper limits of the tones: they grow by the same factor, and are rounded to one digit."""
    limits = []
    for step in range(1, MAP_STEPS):
        exact = most ** (step / MAP_STEPS)
        size = 10 ** (len(str(int(exact))) - 1)
        limits.append(max(step, round(exact / size) * size))
    return [*(min(limit, most) for limit in limits), most]


def map_file() -> str:
    """Return the outlines of all countries as an SVG, from which pages of a site draw their maps."""
    paths = Markup("").join(
        Markup('<path id="{}" d="{}"/>').format(code, outline["path"]) for code, outline in _outlines().items()
    )
    return Markup('<svg xmlns="http://www.w3.org/2000/svg" viewBox="{}"><g id="land">{}</g></svg>\n').format(
        FRAME, paths
    )


def world(countries: Sequence[CountryOnMap], links: Links = NO_LINKS, file: str | None = None) -> Markup:
    """
    Return the map: the more sessions, the darker; hatched where most are inferred.

    Args:
        countries: In the order of their sessions, the most first; codes without an outline are left out.
        links: Where a country leads.
        file: Address of the file with the outlines; None to draw them here.
    """
    outlines = _outlines()
    on_map = [country for country in countries if country.code in outlines]
    limits = limits_of(max((country.sessions for country in on_map), default=1))
    drawn = {country.code for country in on_map}
    land = "".join(outline["path"] for code, outline in outlines.items() if code not in drawn)
    shapes = (
        Markup('<path class="land" d="{}"/>').format(land)
        if file is None
        else Markup('<use class="land" href="{}#land"/>').format(file)
    )
    names, taken = Markup(""), list[tuple[int, int]]()
    for place, country in enumerate(on_map):
        outline = outlines[country.code]
        fill = tone(country.sessions, limits, hatched=country.is_mostly_inferred)
        x, y = outline["label"]
        point = Markup('<circle cx="{}" cy="{}" r="4.5" {}/>').format(x, y, fill) if outline["small"] else Markup("")
        area = (
            Markup('<path {} d="{}"/>').format(fill, outline["path"])
            if file is None
            else Markup('<use {} href="{}#{}"/>').format(fill, file, country.code)
        )
        shape = Markup("<g><title>{}</title>{}{}</g>").format(_title(country), area, point)
        shapes += linked(shape, links.filtered("country", country.code))
        if place < LABELED and not any(abs(x - left) < ROOM[0] and abs(y - top) < ROOM[1] for left, top in taken):
            taken.append((x, y))
            names += Markup('<text x="{}" y="{}" text-anchor="middle">{} {}</text>').format(
                x, y - 8 if outline["small"] else y, country.code, number(country.sessions)
            )
    return Markup(
        '<svg class="map" viewBox="{}" role="{}" aria-label="Sessions by country; the table has the numbers">'
        '{}<g class="names" aria-hidden="true">{}</g></svg>'
    ).format(FRAME, role_of(links.sessions()), shapes, names)


def map_key(countries: Sequence[CountryOnMap]) -> Markup:
    """Return the key of the tones."""
    limits = limits_of(max((country.sessions for country in countries), default=1))
    entries, least = Markup(""), 1
    for limit in limits:
        if limit < least:
            continue
        words = number(limit) if least == limit else f"{number(least)} to {number(limit)}"
        entries += _key_entry(tone(limit, limits, hatched=False), words)
        least = limit + 1
    if any(country.is_mostly_inferred for country in countries):
        entries += _key_entry(tone(limits[-1], limits, hatched=True), "hatched: most are inferred")
    entries += _key_entry(Markup('class="land"'), "none")
    return Markup('<p class="key">{}</p>').format(entries)


def tone(sessions: int, limits: Sequence[int], *, hatched: bool) -> Markup:
    """Return the attributes of a country with so many sessions."""
    step = next(step for step, limit in enumerate(limits, 1) if sessions <= limit)
    if hatched:
        return Markup('class="tone-{0}" fill="url(#tone-{0})"').format(step)
    return Markup('class="tone-{} full"').format(step)


def _title(country: CountryOnMap) -> str:
    if not country.inferred:
        return f"{country.name}: {counted(country.sessions, 'session')}"
    return f"{country.name}: {counted(country.sessions, 'session')}, of which {number(country.inferred)} inferred"


def _key_entry(fill: Markup, words: str) -> Markup:
    return Markup(
        '<span><svg width="20" height="12" aria-hidden="true"><rect width="20" height="12" {}/></svg>{}</span>'
    ).format(fill, words)


@cache
def _outlines() -> Mapping[str, Any]:
    """Return the outline of each country, the place of its label, and whether it needs a point to be seen."""
    text = resources.files("snapshots.adapters.html").joinpath("data/world.json").read_text(encoding="utf-8")
    outlines: Mapping[str, Any] = json.loads(text)
    return outlines
