"""How types and their certainty look: the same classes and words in badges, bars, maps and keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from markupsafe import Markup

from snapshots.adapters.html.formats import counted, number
from snapshots.domain.facts.ip_type import IpType
from snapshots.domain.snapshot.snapshot import Method


class Certainty(Enum):
    """How certain a fact is, from the most certain to unknown: the CSS class of its look, and its words."""

    ASOF_ADDRESS = ("asof-address", "by address")
    ASOF_NETWORK = ("asof-network", "by network")
    OTHER = ("other", "corrected or adopted")
    INFERRED_ADDRESS = ("inferred-address", "by address, inferred")
    INFERRED_NETWORK = ("inferred-network", "by network, inferred")
    UNKNOWN = ("unknown", "not known")

    def __init__(self, look: str, words: str) -> None:
        self.look = look
        self.words = words

    @property
    def is_inferred(self) -> bool:
        """Whether the fact was stated only after the attack."""
        return self in {Certainty.INFERRED_ADDRESS, Certainty.INFERRED_NETWORK}

    @classmethod
    def of(cls, method: str | None, *, by_network: bool = False) -> "Certainty":
        """
        Return the certainty of a fact.

        Args:
            method: The method of the fact, as stored; None without the fact.
            by_network: Whether it is known of the network only.
        """
        if method is None:
            return cls.UNKNOWN
        if method == Method.ASOF.value:
            return cls.ASOF_NETWORK if by_network else cls.ASOF_ADDRESS
        if method == Method.INFERRED.value:
            return cls.INFERRED_NETWORK if by_network else cls.INFERRED_ADDRESS
        return cls.OTHER


LABELS = {
    IpType.DATACENTER.value: "Data center",
    IpType.RESIDENTIAL.value: "Residential",
    IpType.MOBILE.value: "Mobile",
    IpType.VPN.value: "VPN",
    IpType.TOR.value: "Tor",
    IpType.PROXY.value: "Proxy",
    None: "Unknown",
}
"""Labels of the types, in the order in which charts stack them. Other values are shown as unknown types."""

TYPES = tuple(LABELS)


@dataclass(frozen=True, slots=True, order=True)
class Look:
    """A type with its certainty; ordered as charts stack them."""

    place: int
    certainty_place: int

    @classmethod
    def of(cls, ip_type: str | None, certainty: Certainty) -> "Look":
        """Return the look of a type; an unknown type has no certainty."""
        if ip_type not in LABELS or ip_type is None or certainty is Certainty.UNKNOWN:
            return cls(TYPES.index(None), list(Certainty).index(Certainty.UNKNOWN))
        return cls(TYPES.index(ip_type), list(Certainty).index(certainty))

    @property
    def ip_type(self) -> str | None:
        """Return the type; None if it is unknown."""
        return TYPES[self.place]

    @property
    def certainty(self) -> Certainty:
        """Return the certainty."""
        return list(Certainty)[self.certainty_place]

    @property
    def label(self) -> str:
        """Return the words for keys, such as "Mobile, by network"."""
        label = LABELS[self.ip_type]
        return label if self.ip_type is None else f"{label}, {self.certainty.words}"

    @property
    def css(self) -> str:
        """Return the CSS classes of text and swatches."""
        return f"{self.type_css} {self.certainty.look}"

    @property
    def type_css(self) -> str:
        """Return the CSS class of the type alone."""
        return f"type-{(self.ip_type or 'unknown').lower()}"

    @property
    def filters(self) -> Sequence[tuple[str, str | None]]:
        """Return the filters that select its sessions; none for a type that was corrected or adopted."""
        if self.certainty is Certainty.UNKNOWN:
            return [("ip-type", None)]
        if self.certainty is Certainty.OTHER:
            return []
        method = Method.INFERRED if self.certainty.is_inferred else Method.ASOF
        by = "network" if self.certainty in {Certainty.ASOF_NETWORK, Certainty.INFERRED_NETWORK} else "address"
        return [("ip-type", self.ip_type), ("type-by", by), ("method", f"type={method.value}")]

    @property
    def fill(self) -> Markup:
        """Return the attributes of a filled shape in a chart: a pattern if the certainty has one."""
        if self.certainty in PATTERNS:
            return Markup('class="{}" fill="url(#{}-{})"').format(self.css, self.certainty.look, self.type_css)
        return Markup('class="{}"').format(self.css)


Split = Sequence[tuple[Look, int]]
"""Sessions by look, without zeros, in the order of the stack."""

PATTERNS = {
    Certainty.INFERRED_ADDRESS: (5, "2.6", "5"),
    Certainty.INFERRED_NETWORK: (7, "1.4", "7"),
    Certainty.OTHER: (5, "2.2", "2.2"),
}
"""Size of the pattern's tile, and width and height of its mark in pixels: dense and wide lines, and dots."""

SLATE = "slate"
"""The color of totals, which are not of any type."""

MAP_STEPS = 5
"""Number of tones on the map."""


def split_of(counts: Iterable[tuple[Look, int]]) -> Split:
    """Return the sums by look."""
    sums: dict[Look, int] = {}
    for look, sessions in counts:
        if sessions:
            sums[look] = sums.get(look, 0) + sessions
    return sorted(sums.items())


def total_of(split: Split) -> int:
    """Return the number of sessions."""
    return sum(sessions for _, sessions in split)


def words_of(split: Split) -> str:
    """Return a split in words, as the title of a bar and for readers of the screen."""
    if not split:
        return "no sessions"
    parts = ", ".join(
        f"{number(sessions)} {look.label[0].lower() if look.ip_type is None else look.label[0]}{look.label[1:]}"
        for look, sessions in split
    )
    return f"{counted(total_of(split), 'session')}: {parts}"


def badge(look: Look) -> Markup:
    """Return a type as a badge: filled if known of the address, outlined if of the network, dashed if inferred."""
    shown = Markup('<span class="badge {}" title="{}">{}</span>').format(look.css, look.label, LABELS[look.ip_type])
    return shown + (Markup('<span class="inferred">inferred</span>') if look.certainty.is_inferred else Markup(""))


def swatch(look: Look) -> Markup:
    """Return the sample of a look for a key."""
    return Markup(
        '<svg class="swatch" width="20" height="12" aria-hidden="true">'
        '<rect x=".5" y=".5" width="19" height="11" {}/></svg>'
    ).format(look.fill)


def looks_in(splits: Iterable[Split]) -> Sequence[Look]:
    """Return the looks that occur, in the order of the stack."""
    return sorted({look for split in splits for look, _ in split})


def patterns() -> Markup:
    """Return the definitions of all patterns, once per page."""
    shapes = []
    colors = [f"type-{kind.lower()}" for kind in LABELS if kind is not None] + [SLATE]
    for certainty, (tile, width, height) in PATTERNS.items():
        shapes += [_pattern(f"{certainty.look}-{color}", color, tile, width, height) for color in colors]
    shapes += [_pattern(f"tone-{step}", f"tone-{step}", 4, "2.4", "4") for step in range(1, MAP_STEPS + 1)]
    return Markup('<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>{}</defs></svg>').format(
        Markup("").join(shapes)
    )


def _pattern(name: str, color: str, tile: int, width: str, height: str) -> Markup:
    return Markup(
        '<pattern id="{0}" class="{1}" width="{2}" height="{2}" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><rect width="{2}" height="{2}" class="paper"/>'
        '<rect width="{3}" height="{4}" fill="currentColor"/></pattern>'
    ).format(name, color, tile, width, height)
