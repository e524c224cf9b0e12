"""Sphinx's settings for the documentation site (`make docs`).

The sources are the Markdown files as they are, from the root of the repository, so that links between docs, benchmarks
and examples hold in both places. The pages of the reference are written when a build begins: see ``reference.py``.
"""

import dataclasses
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

import unrolled

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

project, author, release = "unrolled", "the unrolled authors", unrolled.__version__
copyright = author  # the name that Sphinx reads
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/reference/*", "benchmarks/*.md", "*.md"]
exclude_patterns = ["README.md", "**/.*"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

myst_heading_anchors = 4
highlight_language = "none"
napoleon_use_rtype = False
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
viewcode_line_numbers = True

html_theme = "furo"
html_title = f"unrolled {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_permalinks_icon = "#"
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f8b", "color-brand-content": "#1f5f8b"},
    "dark_css_variables": {"color-brand-primary": "#8cc4ea", "color-brand-content": "#8cc4ea"},
}
FRONT = '<!doctype html><html lang="en"><meta charset="utf-8"><title>unrolled</title>'
FRONT += (
    '<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">Documentation</a></html>\n'
)


def write_reference(app: Sphinx) -> None:
    """Write the pages that are generated from the sources."""
    import reference

    reference.write(DOCS / "reference")


def write_front(app: Sphinx, problem: Exception | None) -> None:
    """Lead from the site's folder to its first page."""
    if problem is None and app.builder.format == "html":
        (Path(app.outdir) / "index.html").write_text(FRONT, encoding="utf-8")


def list_keys(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Make a list of the lines 'key, key: text' of a docstring, which explain the fields of a dataclass."""

    def item(found: re.Match[str]) -> str:
        return f"\n* ``{found[1]}``: {' '.join(found[2].split())}\n"

    if dataclasses.is_dataclass(value):
        text = re.sub(r"^((?:\w+, )*\w+): (.*(?:\n {4}.*)*)", item, "\n".join(lines), flags=re.M)
        lines[:] = text.splitlines()


def help_readers(app: Sphinx, page: str, template: str, context: dict[str, str], tree: object) -> None:
    """Give the headings of the table of contents a level, for screen readers; let keys scroll wide code and tables;
    and load pictures when they come into view."""
    contents, body = context.get("furo_navigation_tree", ""), context.get("body", "")
    context["furo_navigation_tree"] = contents.replace('role="heading"', 'role="heading" aria-level="2"')
    body = body.replace("<pre>", '<pre tabindex="0">').replace("<img ", '<img loading="lazy" ')
    context["body"] = body.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", help_readers, priority=900)  # after the theme
    app.connect("autodoc-process-docstring", list_keys, priority=100)  # before napoleon
    app.connect("builder-inited", write_reference)
    app.connect("build-finished", write_front)
