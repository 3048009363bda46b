"""The documents as Markdown: their blocks of code, their links and their headings."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable("table")
COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)


def every_document() -> list[Path]:
    """Return every document of the repository."""
    return [*sorted(Path().glob("*.md")), *sorted(Path("docs").rglob("*.md"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """
    A fenced block of a document.

    Attributes:
        document: The document.
        line: The line of its first fence, from 1.
        language: The word after the fence; empty without one.
        text: The lines between the fences.
        comment: The HTML comment directly before it, without its marks; empty without one.
    """

    document: Path
    line: int
    language: str
    text: str
    comment: str

    @property
    def reason_not_run(self) -> str | None:
        """Return why no test runs it, if its comment states so."""
        return self._after("not run: ")

    @property
    def test(self) -> Path | None:
        """Return the test that runs it, if its comment names one."""
        name = self._after("run by: ")
        return Path(name) if name is not None else None

    def _after(self, words: str) -> str | None:
        return self.comment.removeprefix(words) if self.comment.startswith(words) else None

    def __str__(self) -> str:
        """Return its place."""
        return f"{self.document}:{self.line}"


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document; one without a comment has that for all blocks, if there is one."""
    text = document.read_text()
    for_all = re.search(r"^<!-- all (run by: .*?) -->$", text, re.MULTILINE)
    before: Token | None = None
    for token in PARSER.parse(text):
        if token.type == "fence" and token.map is not None:
            comment = COMMENT.search(before.content) if before is not None and before.type == "html_block" else None
            yield Block(
                document=document,
                line=token.map[0] + 1,
                language=token.info.strip(),
                text=token.content,
                comment=next((found[1] for found in (comment, for_all) if found is not None), ""),
            )
        before = token


def links(document: Path) -> Iterator[str]:
    """Yield the targets of the links and pictures of a document."""
    for token in _inline(document):
        for name in ("href", "src"):
            if (target := token.attrGet(name)) is not None:
                yield str(target)


def _inline(document: Path) -> Iterator[Token]:
    for token in PARSER.parse(document.read_text()):
        yield from token.children or ()


def anchors(document: Path) -> Sequence[str]:
    """Return the anchors of the headings of a document, as a code host makes them."""
    found: list[str] = []
    tokens = PARSER.parse(document.read_text())
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            title = "".join(part.content for part in heading.children or () if part.type in {"text", "code_inline"})
            slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            repeated = sum(each == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", each) is not None for each in found)
            found.append(f"{slug}-{repeated}" if repeated else slug)
    return found


def titles(document: Path) -> Sequence[str]:
    """Return the headings of the first level."""
    tokens = PARSER.parse(document.read_text())
    pairs = pairwise(tokens)
    return [text.content for opening, text in pairs if (opening.type, opening.tag) == ("heading_open", "h1")]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables of a text, a list for each row, without their heads."""
    found: list[list[str]] = []
    is_body = False
    for token in PARSER.parse(text):
        if token.type in {"tbody_open", "tbody_close"}:
            is_body = token.type == "tbody_open"
        elif token.type == "tr_open" and is_body:
            found.append([])
        elif token.type == "inline" and is_body:
            found[-1].append(token.content)
    return found
