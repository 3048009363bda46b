"""The documentation site in build/site, which `sh run docs` builds."""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import snapshots
from tests.documents import every_document

pytestmark = pytest.mark.site

SITE = Path("build/site")
LOADING = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("form", "action")}
"""Attributes whose URL a browser requests by itself, or sends what a reader types to."""

ADVERTISING = {"canonical", "next", "prev", "search", "index"}
"""Relations of `link` that request nothing."""


class Page(HTMLParser):
    """
    The anchors and URLs of a page.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.requests: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") not in ADVERTISING:
            self.requests.append(values.get("href", ""))
        self.requests += [values[name] for name in values if (tag, name) in LOADING]
        self.requests += re.findall(r"url\(['\"]?([^)'\"]+)", values.get("style", ""))


@cache
def page(path: Path) -> Page:
    return Page(path)


def pages() -> Iterator[Page]:
    assert (SITE / "index.html").exists(), "sh run docs builds the site"
    for path in sorted(SITE.rglob("*.html")):
        if "_static" not in path.parts:
            yield page(path)


def test_every_link_leads_to_a_file_of_the_site_and_an_anchor_in_it() -> None:
    """Links to other sites are not followed."""
    broken = []
    for each in pages():
        for link in {*each.links, *each.requests}:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (each.path.parent / unquote(parts.path)).resolve() if parts.path else each.path.resolve()
            if not target.is_file():
                broken.append(f"{each.path}: {link}")
            elif parts.fragment and target.suffix == ".html":
                anchors = page(SITE / target.relative_to(SITE.resolve())).anchors
                if unquote(parts.fragment) not in anchors:
                    broken.append(f"{each.path}: {link}")
    assert broken == []


def test_a_page_requests_nothing_from_elsewhere() -> None:
    """No font, no script, no picture: the site can be read without a network."""
    requested = {f"{each.path}: {url}" for each in pages() for url in each.requests}
    for style in SITE.rglob("*.css"):
        text = style.read_text()
        requested |= {f"{style}: {url}" for url in re.findall(r"(?:@import\s+(?:url\()?|url\()['\"]?([^)'\";]+)", text)}

    assert len(requested) > 100
    assert {each for each in requested if re.search(r": (?:\w+:)?//", each)} == set()


def test_every_document_is_a_page_that_the_navigation_names() -> None:
    """Also those that only a pattern includes."""
    index = page(SITE / "docs/README.html")
    named = {(index.path.parent / urlsplit(link).path).resolve() for link in index.links}
    decisions = page(SITE / "docs/decisions/README.html")
    named |= {(decisions.path.parent / urlsplit(link).path).resolve() for link in decisions.links}
    named.add(index.path.resolve())

    assert {
        str(document) for document in every_document() if (SITE / document.with_suffix(".html")).resolve() not in named
    } == set()


def test_every_page_has_a_title_of_its_own() -> None:
    """By which tabs and results of a search differ."""
    found = [re.search(r"<title>(.*?)</title>", each.path.read_text(), re.DOTALL) for each in pages()]
    titles = [match[1] for match in found if match is not None and match[1].strip()]

    assert len(titles) == len(found)
    assert len(set(titles)) == len(titles)


def test_every_public_name_is_described() -> None:
    """With its parameters, from its docstring."""
    described = page(SITE / "docs/reference/python-api.html").anchors

    assert {name for name in snapshots.__all__ if f"snapshots.{name}" not in described} == set()


def test_the_search_works_without_a_server() -> None:
    """Its index is a script of the site, and has the words of the pages."""
    index = (SITE / "searchindex.js").read_text()

    assert (SITE / "search.html").exists()
    for word in ("honeypot", "backfil", "dead", "inferred"):
        assert word in index
