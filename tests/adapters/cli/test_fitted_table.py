"""Tables fit the terminal, and cut nothing that is copied from them."""

import io
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from snapshots.adapters.cli.output.fitted_table import (
    NARROW_TEXT,
    SHORT_HASH,
    Content,
    FittedColumn,
    fitted,
    print_fitted,
)

LENGTHS = {Content.EXACT: 12, Content.NUMBER: 9, Content.TIME: 19, Content.HASH: 32, Content.TEXT: 60}
COLUMNS = st.lists(
    st.tuples(st.sampled_from(Content), st.lists(st.integers(0, 60), min_size=2, max_size=2)), min_size=1, max_size=9
)


def columns_of(found: Sequence[tuple[Content, list[int]]]) -> list[FittedColumn]:
    """Return columns named c0, c1 and so on, whose cells are texts without a repeated beginning."""
    digits = "0123456789abcdef" * 4
    columns = []
    for n, (content, lengths) in enumerate(found):
        sizes = [
            LENGTHS[content] if content in {Content.TIME, Content.HASH} else min(length, LENGTHS[content])
            for length in lengths
        ]
        columns.append(FittedColumn(f"c{n}", content, [Text(digits[:size]) for size in sizes]))
    return columns


def printed(columns: Sequence[FittedColumn], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_fitted(console, columns)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@given(COLUMNS, st.integers(40, 250))
def test_a_table_fits_unless_it_holds_too_much_that_must_be_whole(
    found: list[tuple[Content, list[int]]], width: int
) -> None:
    """Every row is one line; IDs and numbers are whole; a heading is never cut."""
    columns = columns_of(found)

    shown = fitted(columns, width, least=[column.title for column in columns[1:]])
    lines = printed(shown, width)

    assert len(lines) == 3
    assert all(len(line.rstrip()) <= width for line in lines) or len(shown) == 1
    for column in shown:
        assert column.title in lines[0]
        for cell, line in zip(column.cells, lines[1:], strict=True):
            if column.content in {Content.EXACT, Content.NUMBER}:
                assert cell.plain in line
            elif column.content is Content.HASH:
                assert cell.plain[:SHORT_HASH] in line
            elif column.content is Content.TEXT:
                assert cell.plain[: NARROW_TEXT - 1] in line


@given(COLUMNS)
def test_nothing_is_shortened_in_a_wide_terminal(found: list[tuple[Content, list[int]]]) -> None:
    """Nor left out."""
    columns = columns_of(found)

    assert fitted(columns, 10_000) == columns


def test_columns_are_shortened_in_steps() -> None:
    """Times first, then hashes; then empty columns go, then texts shrink, and last the least important column goes."""
    hash_, time, text = "f" * 32, "2026-11-24 02:35:40", "a long name of a network"
    columns = [
        FittedColumn("id", Content.EXACT, [Text("6fd9fea10ccd")]),
        FittedColumn("time", Content.TIME, [Text(time)]),
        FittedColumn("hash", Content.HASH, [Text(hash_)]),
        FittedColumn("gap", Content.EXACT, [Text("-")]),
        FittedColumn("name", Content.TEXT, [Text(text)]),
    ]

    def row(width: int) -> str:
        return printed(fitted(columns, width, least=["name"]), width)[1].rstrip()

    steps = [
        f"6fd9fea10ccd  {time}  {hash_}  -    {text}",
        f"6fd9fea10ccd  {time[:16]}  {hash_}  -    {text}",
        f"6fd9fea10ccd  {time[:10]}  {hash_}  -    {text}",
        f"6fd9fea10ccd  {time[:10]}  {hash_[:12]}…  -    {text}",
        f"6fd9fea10ccd  {time[:10]}  {hash_[:12]}…  {text}",
        f"6fd9fea10ccd  {time[:10]}  {hash_[:12]}…  a long na…",
        f"6fd9fea10ccd  {time[:10]}  {hash_[:12]}…",
    ]
    assert [row(len(step)) for step in steps] == steps


@given(COLUMNS, st.integers(10, 60))
def test_a_table_in_full_is_whole_in_a_narrow_terminal(found: list[tuple[Content, list[int]]], width: int) -> None:
    """Its lines are longer than the terminal is wide; no cell loses a character."""
    columns = columns_of(found)

    lines = printed(columns, width)

    assert len(lines) == 3
    for number, line in enumerate(lines[1:]):
        assert [cell.cells[number].plain for cell in columns if cell.cells[number].plain] == line.split()
