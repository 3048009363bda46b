"""
Draw charts as SVG: they need no script, print, and follow the colors of the page.

Widths are per cent of the chart and heights are pixels, so a chart has any width and its text keeps its size.
"""

from collections.abc import Sequence

from markupsafe import Markup

from snapshots.adapters.html.formats import number
from snapshots.adapters.html.looks import SLATE, Certainty, Look, Split, total_of

BAR_HEIGHT = 12
LEAST_WIDTH = 0.8
"""Width of the narrowest bar, in per cent."""

OUTLINED_FROM = 5
"""Height in pixels from which a segment has its pattern and its outline; they would cover a lower one."""


def percent(value: float) -> str:
    """Return a coordinate in per cent."""
    return f"{value:.4g}%"


def bar(split: Split, most: int) -> Markup:
    """
    Return the bar of a table row, with a segment per look; hidden from screen readers, as the row shows the number.

    Args:
        split: The sessions of the row.
        most: Sessions of the longest bar, which fills the width.
    """
    shapes, begin = Markup(""), 0.0
    for look, sessions in split:
        width = 100 * sessions / max(most, 1)
        shapes += _segment(begin, max(width, LEAST_WIDTH), look.fill)
        begin += width
    return _row(shapes)


def plain_bar(sessions: int, most: int, *, inferred: int = 0) -> Markup:
    """
    Return the bar of a table row in the color of totals.

    Args:
        sessions: The sessions of the row.
        most: Sessions of the longest bar, which fills the width.
        inferred: Those of them that are drawn as inferred.
    """
    shapes, begin = Markup(""), 0.0
    for count, certainty in ((sessions - inferred, Certainty.ASOF_ADDRESS), (inferred, Certainty.INFERRED_ADDRESS)):
        if count:
            width = 100 * count / max(most, 1)
            shapes += _segment(begin, max(width, LEAST_WIDTH), slate_fill(certainty))
            begin += width
    return _row(shapes)


def whole_bar(parts: Sequence[tuple[Certainty, int]]) -> Markup:
    """Return a bar of the full width that is divided by certainty."""
    whole = sum(count for _, count in parts)
    shapes, begin = Markup(""), 0.0
    for certainty, count in parts:
        if count:
            shapes += _segment(begin, 100 * count / whole, slate_fill(certainty))
            begin += 100 * count / whole
    return _row(shapes)


def slate_fill(certainty: Certainty) -> Markup:
    """Return the attributes of a shape in the color of totals."""
    if certainty is Certainty.UNKNOWN:
        return Look.of(None, certainty).fill
    if certainty in {Certainty.ASOF_ADDRESS, Certainty.ASOF_NETWORK}:
        return Markup('class="{} {}"').format(SLATE, certainty.look)
    return Markup('class="{0} {1}" fill="url(#{1}-{0})"').format(SLATE, certainty.look)


def spark(values: Sequence[int], *, old: int = 0, label: str) -> Markup:
    """
    Return small columns that show a course.

    Args:
        values: One number per column.
        old: Number of columns at the beginning that are drawn paler, because they precede the period.
        label: Words for readers of the screen, without the values.
    """
    height, most = 22, max((*values, 1))
    shapes = Markup("")
    for place, value in enumerate(values):
        tall = max(2, round((height - 2) * value / most)) if value else 1
        shapes += Markup('<rect x="{}" y="{}" width="6" height="{}" class="{}"/>').format(
            place * 8, height - 1 - tall, tall, ("old" if place < old else "new") if value else "none"
        )
    width = len(values) * 8 - 2
    return Markup(
        '<svg class="spark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}: {3}">{4}</svg>'
    ).format(width, height, label, ", ".join(map(number, values)), shapes)


def step_of(most: int, *, lines: int = 4) -> int:
    """Return the distance of grid lines: 1, 2 or 5 times a power of ten, so that at most *lines* are above 0."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if most <= factor * size * lines:
                return factor * size
        size *= 10


def column(split: Split, *, x: float, width: float, base: float, scale: float) -> Markup:
    """
    Return a column of segments.

    Args:
        split: The sessions.
        x: Left edge in per cent.
        width: Width in per cent.
        base: Height of the axis in pixels from above.
        scale: Pixels per session.
    """
    shapes, top = Markup(""), base
    for look, sessions in split:
        tall = sessions * scale
        top -= tall
        fill = Markup('class="thin {}"').format(look.css) if tall < OUTLINED_FROM else look.fill
        shapes += Markup('<rect x="{}" y="{}" width="{}" height="{}" {}/>').format(
            percent(x), f"{top:.1f}", percent(width), f"{max(tall - 0.5, 0.8):.1f}", fill
        )
    return shapes


def scale_of(splits: Sequence[Split], pixels: float) -> tuple[int, int, float]:
    """Return the distance of grid lines, the highest one, and pixels per session, for columns of at most *pixels*."""
    most = max((total_of(split) for split in splits), default=0)
    step = step_of(max(most, 1))
    top = max(step, -(-most // step) * step)
    return step, top, pixels / top


def axis(step: int, top: int, *, base: float, scale: float, height: int) -> Markup:
    """Return the numbers at the grid lines."""
    texts = Markup("")
    for value in range(0, top + 1, step):
        texts += Markup('<text x="40" y="{}" dy="4" text-anchor="end">{}</text>').format(
            f"{base - value * scale:.1f}", number(value)
        )
    return Markup('<svg class="axis" width="48" height="{}" aria-hidden="true">{}</svg>').format(height, texts)


def grid(step: int, top: int, *, base: float, scale: float) -> Markup:
    """Return the grid lines."""
    lines = Markup("")
    for value in range(0, top + 1, step):
        lines += Markup('<line x1="0" x2="100%" y1="{0}" y2="{0}" class="{1}"/>').format(
            f"{base - value * scale:.1f}", "base" if value == 0 else "grid"
        )
    return lines


def role_of(target: str | None) -> str:
    """Return the role of a chart whose shapes lead to a target: a picture has no links."""
    return "img" if target is None else "group"


def linked(shape: Markup, target: str | None) -> Markup:
    """Return a shape as a link; unchanged without a target. The table next to a chart has links for the keyboard."""
    return shape if target is None else Markup('<a href="{}" tabindex="-1">{}</a>').format(target, shape)


def _segment(begin: float, width: float, fill: Markup) -> Markup:
    return Markup('<rect x="{}" y="0.5" width="{}" height="{}" {}/>').format(
        percent(begin), percent(width), BAR_HEIGHT - 1, fill
    )


def _row(shapes: Markup) -> Markup:
    return Markup('<svg class="bar" width="100%" height="{}" aria-hidden="true">{}</svg>').format(BAR_HEIGHT, shapes)
