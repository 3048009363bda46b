"""Split lines of text into cells."""

import csv
from collections.abc import Iterator, Sequence

from snapshots.adapters.intel.layouts.table import TableText

DELIMITERS = ("\t", ",", ";", "|")
COMMENTS = ("#", "//", ";")


def is_comment(line: str) -> bool:
    """Whether a line is blank or a comment."""
    return not line or line.isspace() or line.lstrip().startswith(COMMENTS)


def delimiter_of(lines: Sequence[str]) -> str:
    """Return the delimiter that most lines contain, a tab rather than a comma; a comma if there is none."""
    counts = {each: sum(each in line for line in lines) for each in DELIMITERS}
    return max(DELIMITERS, key=counts.__getitem__) if any(counts.values()) else ","


def cells_of(line: str, delimiter: str) -> Sequence[str]:
    """Return the cells of one line; [] if its quotes are invalid."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line.replace("\r", " ")], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []


def records(table: TableText, delimiter: str, *, skip: int = 0) -> Iterator[Sequence[str]]:
    """Yield the cells of each line that is no comment, after the first *skip* of them."""
    for line in table.lines():
        if is_comment(line):
            continue
        if skip:
            skip -= 1
            continue
        yield cells_of(line, delimiter)
