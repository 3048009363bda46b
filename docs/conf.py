"""
Configuration of the documentation site, which `sh run docs` builds into build/site.

The source folder is the clone, so a relative link leads to the same place on the site and on a code host. What a code
host shows without help (the sections of the index, the records of a folder, the API in the code) is added here.
"""

import inspect
import re
from enum import Enum, EnumType
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any, NewType

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes
from sphinx.application import Sphinx

import snapshots

ROOT = Path(__file__).parent.parent
project = "snapshots"
root_doc = "docs/README"
include_patterns = ["*.md", "docs/**/*.md", "docs/*.md"]
exclude_patterns = [".*", "build"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
default_role = "code"
highlight_language = "text"

nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(collections\.abc|datetime|enum|os|typing)\..*")]  # they are in Python's manual
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_use_ivar = True
napoleon_numpy_docstring = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "snapshots"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
html_domain_indices = False
html_baseurl = ""

SECTION = re.compile(r"^## (.+)\n((?:.+\n|\n(?!## ))*)", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([^)#]+)\.md\)")
OF_VALUES = (
    "domain.address.source_ip.Sighting",
    "domain.address.source_ip.SightingKind",
    "domain.session.session.SessionId",
    "domain.session.behaviour.Behaviour",
    "domain.session.behaviour.Trait",
    "domain.errors.InvalidFact",
)
"""Types of values that the public names have; they are read, and not imported."""

ENTRY = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Documentation of snapshots</title>
<meta http-equiv="refresh" content="0; url={target}">
<a href="{target}">Documentation of snapshots</a>
</html>
"""

MEMBERS = re.compile(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|$", re.MULTILINE)
PUBLIC = {
    name: re.findall(r"`(\w+)`", members)
    for name, members in MEMBERS.findall((ROOT / "docs/reference/stability.md").read_text())
}
"""The public members of the public classes."""

METHODS = (FunctionType, classmethod, property)

MADE = {"snapshots.SnapshotService"}
"""Classes whose objects a function of the API makes: their arguments are no part of it."""


def navigation(index: str) -> str:
    """
    Return the tables of contents of an index: its sections, with the documents that they name.

    The last one also has the documents about the project that no section names.
    """
    sections = {
        title: [f"{name.replace('`', '')} <{target}>" for name, target in LINK.findall(text)]
        for title, text in SECTION.findall(index)
    }
    named = {(ROOT / "docs" / f"{target}.md").resolve() for _, target in LINK.findall(index)}
    others = sorted({*(ROOT / "docs/contributing").glob("*.md"), *ROOT.glob("*.md")} - named)
    sections[list(sections)[-1]] += [f"/{path.relative_to(ROOT).with_suffix('')}" for path in others]
    return "".join(_contents(entries, f":caption: {title}\n:hidden:\n") for title, entries in sections.items())


def api() -> str:
    """Return the directives that describe the public names of the package, errors last, then the types of values."""
    names = sorted(snapshots.__all__, key=lambda name: (_is_error(getattr(snapshots, name)), name.lower()))
    public = [_directive(f"snapshots.{name}", getattr(snapshots, name)) for name in names]
    others = [_directive(f"snapshots.{name}", _imported(name)) for name in OF_VALUES]
    return (
        "\n```{eval-rst}\n.. py:currentmodule:: snapshots\n\n" + "\n".join(public) + "```\n"
        "\n## Types of values\n\nProperties and errors of the names above have these types.\n"
        "\n```{eval-rst}\n" + "\n".join(others) + "```\n"
    )


def _imported(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(f"snapshots.{module}"), attribute)


def _contents(entries: list[str], options: str) -> str:
    lines = "\n".join(entries)
    return f"\n```{{toctree}}\n{options}:glob:\n\n{lines}\n```\n"


def _is_error(what: object) -> bool:
    return isinstance(what, type) and issubclass(what, Exception)


def _directive(name: str, what: object) -> str:
    if inspect.isfunction(what):
        return f".. autofunction:: {name}\n"
    if isinstance(what, str):
        return f".. py:data:: {name.rpartition('.')[2]}\n   :type: str\n\n   The version of the distribution.\n"
    if _is_error(what):
        return f".. autoexception:: {name}\n   :show-inheritance:\n"
    if isinstance(what, NewType):
        return f".. autodata:: {name}\n"
    if isinstance(what, EnumType):
        members = [f"   .. autoattribute:: {name}.{each.name}\n\n{_explanation(each)}" for each in what]
        return f".. autoclass:: {name}\n\n{''.join(members)}"
    public = PUBLIC.get(name.rpartition(".")[2], [])
    methods = [each for each in public if isinstance(inspect.getattr_static(what, each), METHODS)]
    return f".. autoclass:: {name}\n" + (f"   :members: {', '.join(methods)}\n" if methods else "")


def _explanation(member: Enum) -> str:
    return f"      {member.explanation}\n\n" if isinstance(member, snapshots.Gap) else ""


def add_what_a_code_host_shows(app: Sphinx, document: str, source: list[str]) -> None:
    """Extend the text of a document before it is parsed."""
    if document == root_doc:
        source[0] += navigation(source[0])
    elif document == "docs/decisions/README":
        source[0] += _contents(["*"], ":titlesonly:\n")
    elif document == "docs/reference/python-api":
        source[0] += api()


def show_folders_as_text(app: Sphinx, doctree: nodes.document) -> None:
    """Show links to folders as their texts: the site has no page for a folder."""
    folder = Path(doctree["source"]).parent
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node["reftype"] == "myst" and (folder / node["reftarget"]).is_dir():
            node.replace_self(node.children)


def skip_fields_of_tuples(app: Sphinx, kind: str, name: str, member: object, skip: bool, options: Any) -> bool | None:
    """Leave fields of a named tuple to the list of its attributes."""
    return True if type(member).__name__ == "_tuplegetter" else None


def hide_constructor(
    app: Sphinx, kind: str, name: str, what: object, options: Any, signature: str, returns: str
) -> Any:
    """Show no arguments of a class that a function of the API makes."""
    return ("", "") if name in MADE else None


def shorten_docstring(app: Sphinx, kind: str, name: str, what: object, options: Any, lines: list[str]) -> None:
    """Leave out those arguments."""
    if name in MADE and "Args:" in lines:
        del lines[lines.index("Args:") :]


def add_entry(app: Sphinx, error: Exception | None) -> None:
    """Add a page at the top of the site that leads to its index."""
    target = f"{root_doc}.html"
    (Path(app.outdir) / "index.html").write_text(ENTRY.format(target=target))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the functions above."""
    app.connect("source-read", add_what_a_code_host_shows)
    app.connect("doctree-read", show_folders_as_text)
    app.connect("autodoc-skip-member", skip_fields_of_tuples)
    app.connect("autodoc-process-signature", hide_constructor)
    app.connect("autodoc-process-docstring", shorten_docstring, priority=400)  # before sections are parsed
    app.connect("build-finished", add_entry)
    app.add_lexer("crontab", TextLexer)
    return {"parallel_read_safe": True}
