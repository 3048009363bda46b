"""Links between the documents, as a code host follows them; tests/test_site.py has those of the site."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.documents import anchors, every_document, links, titles

FOLDERS_SHOWN_AS_LISTS = {Path("docs/decisions"), Path("docs/contributing")}
"""A code host lists their files below their README.md, and the site does as well."""


@pytest.mark.parametrize("document", every_document(), ids=str)
def test_every_link_leads_to_a_file(document: Path) -> None:
    """And to a heading, if it names one."""
    for link in links(document):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        path = document.parent / unquote(parts.path) if parts.path else document
        assert path.exists(), link
        assert path.resolve().is_relative_to(Path.cwd()), link
        if parts.fragment:
            assert parts.fragment in anchors(path), link


@pytest.mark.parametrize("document", every_document(), ids=str)
def test_every_document_has_one_title(document: Path) -> None:
    """In its first line."""
    (title,) = titles(document)

    assert document.read_text().startswith(f"# {title}\n")


def test_every_document_is_reached_from_the_index() -> None:
    """By links alone."""
    reached, new = set[Path](), {Path("docs/README.md")}
    while new:
        reached |= new
        targets = {
            (document.parent / urlsplit(link).path).resolve().relative_to(Path.cwd())
            for document in new
            for link in links(document)
            if not urlsplit(link).scheme
        }
        new = {target for target in targets if target.suffix == ".md"} - reached

    left = {each for each in every_document() if each.parent not in FOLDERS_SHOWN_AS_LISTS} - reached
    assert left == set()


def test_anchors_are_those_of_a_code_host(tmp_path: Path) -> None:
    """Without marks and punctuation, in lower case, and numbered where a title is repeated."""
    document = tmp_path / "x.md"
    document.write_text("# What `load` reads\n\n```sh\n# no title\n```\n\n## A, b-c_d: [e](f.md)!\n\n## E\n\n## E\n")

    assert list(anchors(document)) == ["what-load-reads", "a-b-c_d-e", "e", "e-1"]
