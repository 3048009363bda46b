"""Find the layout of a table."""

import re
from collections.abc import Mapping, Sequence

from snapshots.adapters.intel.layouts.cells import cells_of, delimiter_of, is_comment
from snapshots.adapters.intel.layouts.delimited import DELIMITED
from snapshots.adapters.intel.layouts.documents import DOCUMENTS
from snapshots.adapters.intel.layouts.headers import ASN, BLOCK, FIRST, HEADER, header_names
from snapshots.adapters.intel.layouts.headers import RECORDS as JSON_RECORDS
from snapshots.adapters.intel.layouts.lists import LISTS
from snapshots.adapters.intel.layouts.openasn import OPENASN
from snapshots.adapters.intel.layouts.records import RECORDS
from snapshots.adapters.intel.layouts.table import Layout, Reading, TableText
from snapshots.app.errors import SourceUnreadable

LAYOUTS: Sequence[Layout] = (OPENASN, *DOCUMENTS, JSON_RECORDS, *RECORDS, HEADER, *DELIMITED, *LISTS)
"""In this order, the first layout that a table has is used."""

BY_NAME: Mapping[str, Layout] = {layout.name: layout for layout in LAYOUTS}

SHOWN_COLUMNS, SHOWN_CHARACTERS = 12, 24


def reading_of(table: TableText, layout: str | None = None) -> tuple[str, Reading]:
    """
    Return the name of the layout of a table, and how it is read.

    Args:
        table: The table.
        layout: The name of the layout; None to detect it.

    Raises:
        SourceUnreadable: The table has none of the layouts, or not the named one.
    """
    _refuse_other_kinds(table)
    table.is_chosen = layout is not None
    candidates = LAYOUTS if layout is None else [BY_NAME[layout]]
    for each in candidates:
        reading = each.reading(table)
        if reading is not None:
            return each.name, reading
    seen = columns_seen(table)
    if layout is not None:
        raise SourceUnreadable(f"{table.path} does not have the layout {layout}; {seen}")
    raise SourceUnreadable(
        f"{table.path} is neither an MMDB file nor a table of a known layout; {seen}."
        " Name the layout with --layout, or add --type if it is a list of addresses; other tables need to be converted"
        " to lines of a block and an ASN, country or type"
    )


def _refuse_other_kinds(table: TableText) -> None:
    first = table.first_line
    if not first:
        raise SourceUnreadable(f"{table.path} is empty")
    if table.document is None and all(map(is_comment, table.head)):
        raise SourceUnreadable(f"{table.path} is empty: it contains only comments")
    if re.match(r"<(!doctype|html|head|body|\?xml|!--|title|error)", first, re.IGNORECASE):
        raise SourceUnreadable(f"{table.path} is a web page or XML and not a table of addresses")
    cells = header_names(cells_of(first, delimiter_of([first])))
    if re.match(r"AS\d+\b", first) or (cells[0] in ASN and not {*BLOCK, *FIRST} & {*cells}):
        raise SourceUnreadable(f"{table.path} lists networks by their ASN; only tables of addresses are read")
    if len(table.head) == 1 and {*BLOCK, *FIRST} & {*cells} and len(cells) > 1:
        raise SourceUnreadable(f"{table.path} contains a header and no rows")
    if table.name.endswith(".bin") and not first.startswith("OASN"):
        raise SourceUnreadable(f"{table.path} is a binary table of another program; use its CSV or MMDB file")


def columns_seen(table: TableText) -> str:
    """Return what a table contains, in words for a message."""
    document = table.document
    if isinstance(document, dict):
        return f"it is a JSON document with the keys {', '.join(_shown(str(key)) for key in list(document)[:8])}"
    if isinstance(document, list):
        keys = list(document[0])[:8] if document and isinstance(document[0], dict) else []
        return f"it is a JSON array of objects with the keys {', '.join(map(_shown, keys))}" if keys else "it is JSON"
    lines = [line for line in table.head if not is_comment(line)]
    cells = cells_of(lines[0], delimiter_of(lines))
    shown = ", ".join(_shown(cell) for cell in cells[:SHOWN_COLUMNS])
    return f"its first row has {len(cells)} columns: {shown}" if len(cells) > 1 else f"its first row is {shown}"


def _shown(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text.strip())
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}...")
