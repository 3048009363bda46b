"""Charts, map and words of a page."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots.adapters.html import charts, formats
from snapshots.adapters.html.looks import Certainty, Look, Split, badge, looks_in, patterns, split_of, words_of
from snapshots.adapters.html.timeline import LONGEST_GAP, Periods, columns_of, timeline
from snapshots.adapters.html.world_map import CountryOnMap, limits_of, map_file, map_key, world
from snapshots.app.queries.country_names import COUNTRY_NAMES
from snapshots.app.queries.time_bucket import TimeBucket

DAY = timedelta(days=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
TYPES = ["DATACENTER", "RESIDENTIAL", "MOBILE", "VPN", "TOR", "PROXY", None, "of another loader"]
LOOKS = st.builds(Look.of, st.sampled_from(TYPES), st.sampled_from(Certainty))
SPLITS = st.lists(st.tuples(LOOKS, st.integers(0, 10_000)), max_size=8).map(split_of)


def one(sessions: int) -> Split:
    return split_of([(Look.of("TOR", Certainty.ASOF_ADDRESS), sessions)])


@pytest.mark.parametrize(
    ("method", "by_network", "certainty"),
    [
        ("asof", False, Certainty.ASOF_ADDRESS),
        ("asof", True, Certainty.ASOF_NETWORK),
        ("inferred", False, Certainty.INFERRED_ADDRESS),
        ("inferred", True, Certainty.INFERRED_NETWORK),
        ("corrected", False, Certainty.OTHER),
        ("adopted", True, Certainty.OTHER),
        (None, False, Certainty.UNKNOWN),
    ],
)
def test_only_facts_as_of_the_attack_look_certain(
    method: str | None,
    by_network: bool,
    certainty: Certainty,
) -> None:
    """Corrected and adopted facts have a look of their own: when they were stated is not known."""
    assert Certainty.of(method, by_network=by_network) is certainty


@pytest.mark.parametrize("kind", TYPES[:6])
@pytest.mark.parametrize("certainty", [each for each in Certainty if each is not Certainty.UNKNOWN])
def test_each_look_differs_in_its_words(kind: str, certainty: Certainty) -> None:
    """Color never stands alone: a badge and a bar say type and certainty in words."""
    look = Look.of(kind, certainty)

    assert (look.ip_type, look.certainty) == (kind, certainty)
    assert look.label.endswith(certainty.words)
    assert look.label in badge(look)
    assert ("inferred" in badge(look).split("</span>", 1)[1]) == certainty.is_inferred
    assert words_of([(look, 2)]).startswith("2 sessions: 2 ")


@given(LOOKS)
def test_every_pattern_that_is_used_is_defined(look: Look) -> None:
    """A missing pattern would be drawn as nothing."""
    used = re.findall(r"url\(#([^)]+)\)", look.fill + charts.slate_fill(look.certainty))

    assert all(f'id="{name}"' in patterns() for name in used)
    assert ("url(#" in look.fill) == (look.certainty.is_inferred or look.certainty is Certainty.OTHER)


@given(SPLITS, SPLITS)
def test_a_split_adds_up_and_is_in_the_order_of_the_stack(some: Split, others: Split) -> None:
    """Equal looks are added; zeros are left out."""
    both = split_of([*some, *others])

    assert sum(count for _, count in both) == sum(count for _, count in [*some, *others])
    assert [look for look, _ in both] == list(looks_in([some, others]))
    assert all(count for _, count in both)


@given(SPLITS.filter(bool))
def test_a_bar_is_as_long_as_its_share(split: Split) -> None:
    """Segments follow one another; only those too narrow to be seen are widened."""
    total = sum(count for _, count in split)

    shapes = re.findall(r'x="([\d.e+-]+)%"[^>]*width="([\d.e+-]+)%"', charts.bar(split, 2 * total))

    ends = [float(x) for x, _ in shapes]
    assert ends == sorted(ends)
    assert len(shapes) == len(split)
    for (_, count), (_, width) in zip(split, shapes, strict=True):
        assert float(width) == pytest.approx(max(50 * count / total, charts.LEAST_WIDTH), rel=1e-3)


@given(st.integers(1, 10**9))
def test_grid_lines_are_round_and_few(most: int) -> None:
    """At most four above 0, at 1, 2 or 5 times a power of ten."""
    step = charts.step_of(most)

    assert str(step).rstrip("0") in {"1", "2", "5"}
    assert most <= 4 * step
    assert most > 4 * step / 2.5 or step == 1


@given(st.integers(1, 10**9))
def test_map_tones_cover_all_numbers(most: int) -> None:
    """Five limits that rise, the last of which is the largest number."""
    limits = limits_of(most)

    assert list(limits) == sorted(limits)
    assert (len(limits), limits[-1]) == (5, most)


def test_a_short_gap_is_drawn_empty_and_a_long_one_as_a_break() -> None:
    """A quiet day is seen as quiet; quiet years take no room."""
    splits = {MONDAY: one(1), MONDAY + 3 * DAY: one(2), MONDAY + 3 * DAY + (LONGEST_GAP + 2) * DAY: one(3)}

    columns = columns_of(splits, TimeBucket.DAY)

    assert [column.begins for column in columns] == [*(MONDAY + n * DAY for n in range(4)), max(splits)]
    assert [sum(count for _, count in column.split) for column in columns] == [1, 0, 0, 2, 3]
    assert [column.follows_gap for column in columns] == [False, False, False, False, True]
    assert timeline(columns, TimeBucket.DAY).count('class="break"') == 1


@given(st.dictionaries(st.integers(0, 400).map(lambda n: MONDAY + n * DAY), SPLITS.filter(bool), min_size=1))
def test_a_timeline_has_every_session(splits: dict[datetime, Split]) -> None:
    """In order, and never more empty columns in a row than a short gap has."""
    columns = columns_of(splits, TimeBucket.DAY)

    assert {column.begins: column.split for column in columns if column.split} == splits
    assert [column.begins for column in columns] == sorted(column.begins for column in columns)
    empty = "".join("e" if not column.split else "f" for column in columns)
    assert "e" * (LONGEST_GAP + 1) not in empty


def test_the_axis_reaches_from_the_beginning_to_the_end_that_were_asked_for() -> None:
    """A quiet day at either end is drawn, a quiet year is not."""
    splits = {MONDAY: one(1)}

    asked = columns_of(splits, TimeBucket.DAY, since=MONDAY - 2 * DAY, until=MONDAY + 3 * DAY)
    too_long = columns_of(splits, TimeBucket.DAY, since=MONDAY - 400 * DAY, until=MONDAY + 400 * DAY)
    months = columns_of({MONDAY.replace(day=1): one(1)}, TimeBucket.MONTH, since=MONDAY - 40 * DAY)

    assert [column.begins for column in asked] == [MONDAY + n * DAY for n in range(-2, 3)]
    assert [column.begins for column in too_long] == [MONDAY]
    assert [f"{column.begins:%Y-%m}" for column in months] == ["2026-01", "2026-02", "2026-03"]
    assert columns_of({}, TimeBucket.DAY) == []


def test_the_compared_periods_are_named_above_the_timeline() -> None:
    """If both are on it."""
    columns = columns_of({MONDAY + n * DAY: one(n + 1) for n in range(4)}, TimeBucket.DAY)

    both = timeline(columns, TimeBucket.DAY, periods=Periods(begins=MONDAY + 2 * DAY, before="older", newest="newer"))
    one_only = timeline(columns, TimeBucket.DAY, periods=Periods(begins=MONDAY, before="older", newest="newer"))

    assert ">older<" in both
    assert ">newer<" in both
    assert "older" not in one_only


@pytest.mark.parametrize(
    ("bucket", "name"),
    [
        (TimeBucket.HOUR, "2 Mar 2026, 00:00"),
        (TimeBucket.DAY, "2 Mar 2026"),
        (TimeBucket.WEEK, "week of 2 Mar 2026"),
        (TimeBucket.MONTH, "March 2026"),
    ],
)
def test_a_column_is_named_by_its_time(bucket: TimeBucket, name: str) -> None:
    """So that its title is understood alone."""
    assert f"<title>{name}: 3 sessions: 3 Tor, by address</title>" in timeline(
        columns_of({MONDAY: one(3)}, bucket), bucket
    )


def test_the_map_shows_each_country_with_its_certainty() -> None:
    """Hatched where most sessions are inferred; small countries as a point; a code without an outline nowhere."""
    countries = [
        CountryOnMap(code="DE", name="Germany", sessions=50, inferred=26),
        CountryOnMap(code="SG", name="Singapore", sessions=9, inferred=4),
        CountryOnMap(code="ZZ", name="ZZ", sessions=1, inferred=0),
    ]

    drawn = world(countries)

    assert re.findall(r"<title>([^<]*)</title>", drawn) == [
        "Germany: 50 sessions, of which 26 inferred",
        "Singapore: 9 sessions, of which 4 inferred",
    ]
    assert drawn.count("url(#tone-") == 1
    assert drawn.count("<circle") == 1
    assert ">DE 50<" in drawn
    assert "most are inferred" in map_key(countries)
    assert "most are inferred" not in map_key(countries[1:])
    assert world([]).count("<title>") == 0


def test_labels_on_the_map_do_not_cover_each_other() -> None:
    """Of two neighbors, the one with more sessions is labeled."""
    neighbors = [CountryOnMap(code=code, name=code, sessions=9 - n, inferred=0) for n, code in enumerate(["NL", "BE"])]

    assert re.findall(r">([A-Z]{2}) \d<", world(neighbors)) == ["NL"]


def test_every_country_has_a_name_that_is_unlike_its_code() -> None:
    """The first one is shown; no two countries share it."""
    shown = [names[0] for names in COUNTRY_NAMES.values()]

    assert len(set(shown)) == len(shown) == 250
    assert all(len(name) > 3 for name in shown)
    assert {COUNTRY_NAMES[code][0] for code in ("US", "KR", "RU", "GB")} == {
        *("United States", "South Korea", "Russia", "United Kingdom"),
    }


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_share_is_0_or_100_only_where_it_is_exact(part: int, more: int) -> None:
    """Almost all is not all, and one session is not none."""
    shown = formats.share(part, part + more)

    assert (shown == "0\u202f%") == (part == 0)
    assert "100" not in shown
    assert formats.share(more, more) == "100\u202f%"
    assert formats.share(0, 0) == "-"


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(hours=47.4), "47 hours"),
        (timedelta(days=7), "7 days"),
    ],
)
def test_a_period_has_a_length_in_words(length: timedelta, shown: str) -> None:
    """Never "0 hours"."""
    assert formats.duration(length) == shown


def test_numbers_have_signs_and_groups() -> None:
    """In the typography of the page."""
    assert [formats.signed(value) for value in (-1234, 0, 5)] == ["\u22121\u202f234", "±0", "+5"]
    assert (formats.number(None), formats.moment(None)) == ("-", "-")
    assert formats.moment(MONDAY.astimezone()) == "2026-03-02 00:00"


@given(st.text(), st.integers(1, 20))
def test_invisible_characters_are_shown_as_escape_sequences(text: str, longest: int) -> None:
    """And no text is longer than asked for."""
    shown = formats.visible(text, longest)

    assert len(shown) <= longest
    assert shown == formats.visible(shown, longest)
    assert not {"\u202e", "\x1b", "\u200b", "\n"} & set(shown)


def test_a_map_of_a_site_uses_the_outlines_of_a_file() -> None:
    """With the same titles and tones, and without outlines of its own."""
    countries = [CountryOnMap(code="DE", name="Germany", sessions=50, inferred=26)]

    drawn = world(countries, file="/static/world.svg")

    assert re.findall(r'href="([^"]+)"', drawn) == ["/static/world.svg#land", "/static/world.svg#DE"]
    assert "<path" not in drawn
    assert re.findall(r"<title>.*?</title>", drawn) == re.findall(r"<title>.*?</title>", world(countries))
    assert all(f'id="{code}"' in map_file() for code in ("land", "DE", "SG"))


@pytest.mark.parametrize(
    ("compared", "words"),
    [((3, None), ""), ((3, 0), "none before"), ((3, 3), "±0 from 3"), ((3, 4), f"{formats.MINUS}1 from 4")],
)
def test_a_change_is_written_with_its_base(compared: tuple[int, int | None], words: str) -> None:
    """Nothing where nothing is compared."""
    assert formats.change_text(compared) == words


@given(LOOKS)
def test_a_look_has_the_filters_of_its_sessions(look: Look) -> None:
    """But for corrected and adopted types, of which one filter would select others too."""
    filters = dict(look.filters)

    assert ("ip-type" in filters) == (look.certainty is not Certainty.OTHER)
    assert filters.get("ip-type") == (look.ip_type if filters else None)
    assert ("method" in filters) == (look.certainty not in {Certainty.OTHER, Certainty.UNKNOWN})
