"""Draw sessions over time, by IP type and certainty."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from snapshots.adapters.html.charts import axis, column, grid, linked, percent, role_of, scale_of
from snapshots.adapters.html.formats import day, number
from snapshots.adapters.html.links import NO_LINKS
from snapshots.adapters.html.looks import Split, total_of, words_of
from snapshots.app.queries.time_bucket import TimeBucket

HEIGHT = 232
LONGEST_GAP = 6
"""More empty buckets in a row than this are drawn as a break in the axis."""

LONGEST_LEAD = 16
"""More empty buckets than this at an end of the axis are left out: a period that was asked for is drawn whole."""

LABELS_WIDE, LABELS_NARROW = 12, 5
"""Maximum number of dates below the axis, on wide and on narrow screens."""

WIDEST_COLUMN = 12
"""Width of a column of few, in per cent."""

NUMBERED = 14
"""Up to this many columns have their number above them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    A bucket of the timeline.

    Attributes:
        begins: Its start, in UTC.
        split: Its sessions.
        follows_gap: Whether a break in the axis precedes it.
    """

    begins: datetime
    split: Split
    follows_gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """
    The two periods that are compared, above the timeline.

    Attributes:
        begins: Start of the newest one.
        before: Words for the one before.
        newest: Words for the newest one.
    """

    begins: datetime
    before: str
    newest: str


def columns_of(
    splits: Mapping[datetime, Split],
    bucket: TimeBucket,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[Column]:
    """
    Return the columns of a timeline in order: short gaps as empty columns, long ones as a break.

    Args:
        splits: The sessions by the start of their bucket.
        bucket: Length of the buckets.
        since: The axis begins with the bucket that contains it, if it is not too early; None for the first session.
        until: Exclusive end of the axis; None for the last session.
    """
    columns: list[Column] = []
    for begins in sorted(splits):
        gap = list(_between(columns[-1].begins, begins, bucket)) if columns else []
        is_long = len(gap) > LONGEST_GAP
        columns += [] if is_long else [Column(begins=each, split=()) for each in gap]
        columns.append(Column(begins=begins, split=splits[begins], follows_gap=is_long))
    return _padded(columns, bucket, since, until)


def _padded(
    columns: list[Column], bucket: TimeBucket, since: datetime | None, until: datetime | None
) -> Sequence[Column]:
    """Add the empty columns between the ends of the axis and the first and last session, unless they are many."""
    if not columns:
        return columns
    lead: list[Column] = []
    begins = _before(columns[0].begins, bucket)
    while since is not None and len(lead) <= LONGEST_LEAD and bucket.following(begins) > since:
        lead.insert(0, Column(begins=begins, split=()))
        begins = _before(begins, bucket)
    last = columns[-1].begins
    trail = [Column(begins=each, split=()) for each in _between(last, until or last, bucket, LONGEST_LEAD)]
    return [
        *(lead if len(lead) <= LONGEST_LEAD else ()),
        *columns,
        *(trail if len(trail) <= LONGEST_LEAD else ()),
    ]


def _between(begins: datetime, end: datetime, bucket: TimeBucket, longest: int = LONGEST_GAP) -> Iterator[datetime]:
    """Yield the starts of the buckets after *begins* and before *end*, at most one more than *longest*."""
    count = 0
    while (begins := bucket.following(begins)) < end and count <= longest:
        yield begins
        count += 1


def _before(begins: datetime, bucket: TimeBucket) -> datetime:
    """Return the start of the bucket before the one that starts at *begins*."""
    if bucket is TimeBucket.MONTH:
        return (begins - timedelta(days=1)).replace(day=1)
    return begins - (bucket.following(begins) - begins)


def timeline(
    columns: Sequence[Column],
    bucket: TimeBucket,
    *,
    periods: Periods | None = None,
    link: Callable[[datetime, datetime], str | None] = NO_LINKS.period,
) -> Markup:
    """
    Return the chart.

    Args:
        columns: At least one.
        bucket: Length of the columns.
        link: Returns where a column leads, by its start and its end.
        periods: The compared periods; left out if no column begins within the older one.
    """
    head = 34 if periods else 24 if len(columns) <= NUMBERED else 10
    base = HEIGHT - 44
    step, top, scale = scale_of([each.split for each in columns], base - head)
    width = 100 / len(columns)
    thick = min(width * 0.8, WIDEST_COLUMN)
    shapes = grid(step, top, base=base, scale=scale)
    if periods is not None:
        shapes += _periods(columns, periods, base, width)
    for place, each in enumerate(columns):
        x = place * width
        if each.follows_gap:
            shapes += Markup(
                '<svg x="{}" y="{}" width="1" height="1" overflow="visible"><path d="M-5,6L-1,-6M1,6L5,-6"'
                ' class="break"/></svg>'
            ).format(percent(x), base)
        drawn = Markup("<g><title>{}: {}</title>{}</g>").format(
            name_of(each.begins, bucket),
            words_of(each.split),
            column(each.split, x=x + (width - thick) / 2, width=thick, base=base, scale=scale),
        )
        shapes += linked(drawn, link(each.begins, bucket.following(each.begins)) if each.split else None)
        if len(columns) <= NUMBERED and each.split:
            shapes += Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                percent(x + width / 2),
                f"{base - total_of(each.split) * scale - 6:.1f}",
                number(total_of(each.split)),
            )
    shapes += _labels(columns, bucket, width)
    return Markup(
        '<div class="plot">{}<svg class="columns" width="100%" height="{}" role="{}"'
        ' aria-label="Sessions by {} and IP type; the table below has the numbers">{}</svg></div>'
    ).format(
        axis(step, top, base=base, scale=scale, height=HEIGHT),
        HEIGHT,
        role_of(link(columns[0].begins, columns[-1].begins)),
        bucket.value,
        shapes,
    )


def _periods(columns: Sequence[Column], periods: Periods, base: float, width: float) -> Markup:
    older = sum(each.begins < periods.begins for each in columns)
    if not 0 < older < len(columns):
        return Markup("")
    cut = older * width
    return Markup(
        '<line x1="0" x2="{0}" y1="22" y2="22" class="period old"/><line x1="{1}" x2="100%" y1="22" y2="22"'
        ' class="period"/><line x1="{2}" x2="{2}" y1="22" y2="{3}" class="cut"/>'
        '<text x="{4}" y="13" text-anchor="middle" class="soft">{5}</text>'
        '<text x="{6}" y="13" text-anchor="middle" class="strong">{7}</text>'
    ).format(
        percent(max(cut - 0.6, 0)),
        percent(cut),
        percent(cut),
        base,
        percent(cut / 2),
        periods.before,
        percent((100 + cut) / 2),
        periods.newest,
    )


def _labels(columns: Sequence[Column], bucket: TimeBucket, width: float) -> Markup:
    """Return the dates below the axis: as many as fit, and the year where it changes."""
    wide, narrow = (-(-len(columns) // labels) for labels in (LABELS_WIDE, LABELS_NARROW))
    narrow = -(-narrow // wide) * wide
    shapes, year = Markup(""), None
    for place in range(0, len(columns), wide):
        begins = columns[place].begins
        x = percent((place + 0.5) * width)
        css = "tick" if place % narrow == 0 else "tick wide"
        shapes += Markup('<text x="{}" y="{}" text-anchor="middle" class="{}">{}</text>').format(
            x, HEIGHT - 25, css, _tick(begins, bucket)
        )
        if begins.year != year:
            shapes += Markup('<text x="{}" y="{}" text-anchor="middle" class="soft {}">{}</text>').format(
                x, HEIGHT - 8, css, f"{begins.year:04}"
            )
            year = begins.year
    return Markup('<g aria-hidden="true">{}</g>').format(shapes)


def _tick(begins: datetime, bucket: TimeBucket) -> str:
    if bucket is TimeBucket.MONTH:
        return f"{begins:%b}"
    if bucket is TimeBucket.HOUR:
        return f"{begins.day} {begins:%b %H}h"
    return f"{begins.day} {begins:%b}"


def name_of(begins: datetime, bucket: TimeBucket) -> str:
    """Return the name of a bucket, such as "5 Mar 2026" or "week of 2 Mar 2026"."""
    if bucket is TimeBucket.MONTH:
        return f"{begins:%B} {begins.year:04}"
    if bucket is TimeBucket.HOUR:
        return f"{day(begins)}, {begins:%H:%M}"
    return f"week of {day(begins)}" if bucket is TimeBucket.WEEK else day(begins)
