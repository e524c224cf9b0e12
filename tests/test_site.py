"""The documentation site (`make docs`): what its pages must contain, checked without building it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import pytest

import unrolled
from unrolled.cli.app import COMMANDS

DOCS = Path(__file__).parent.parent / "docs"
_spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
assert _spec is not None and _spec.loader is not None
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

LINK = re.compile(r"\]\(([^):\s]+\.md)(?:#([^)\s]+))?\)|\]\(#([^)\s]+)\)")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


def value_at(path: str) -> object:
    """What users get by a path, such as 'unrolled.cells.elman': the circuit, not the module of its file."""
    package, _, name = path.rpartition(".")
    return getattr(pkgutil.resolve_name(package), name)


def without_entry(pages: dict[str, str]) -> list[str]:
    """The public names of the package and of its rooms that no page of the reference describes."""
    written = re.findall(r"^\.\. (?:autoclass|autofunction|py:data):: (\S+)", "\n".join(pages.values()), re.M)
    described = {id(value_at(path)) for path in written}
    rooms = [f"unrolled.{path.parent.name}" for path in Path(unrolled.__file__).parent.glob("*/__init__.py")]
    modules = [unrolled, *map(importlib.import_module, rooms)]
    names = [(module, name) for module in modules for name in getattr(module, "__all__", ()) if name != "__version__"]
    values = [(f"{module.__name__}.{name}", getattr(module, name)) for module, name in names]
    return [path for path, value in values if id(value) not in described and not inspect.ismodule(value)]


def test_every_public_name_has_an_entry(pages):
    assert without_entry(pages) == []


def test_a_name_without_an_entry_is_found(pages):
    assert "unrolled.tanh" in without_entry({"circuits.rst": pages["circuits.rst"].replace(":: unrolled.tanh", "")})


def test_every_command_and_every_option_is_described(pages):
    headings = re.findall(r"^## unrolled (\S+)$", pages["commands.md"], re.M)
    assert headings == [command.__name__ for command in COMMANDS]
    kinds = [kind.Options for kind in reference.KINDS.values()]
    for options in [reference.ModelOptions, reference.Reading, reference.Settings, *kinds]:
        for field in fields(options):
            assert f"\n| `{field.name}` |" in pages["options.md"], f"{options.__name__}.{field.name}"


def test_the_table_of_contents_has_every_page(pages):
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [
        name
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.M | re.S)
        for name in tree.splitlines()
        if not name.startswith(":")
    ]
    generated = {f"reference/{name.partition('.')[0]}" for name in pages}
    here = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    outside = {name for name in listed if name.startswith("../")}
    assert len(listed) == len(set(listed)), "a page is listed twice"
    assert sorted(set(listed) - outside) == sorted(here | generated), "add the page to docs/index.md, in both lists"
    for name in outside - {"../benchmarks/*"}:
        assert (DOCS / f"{name}.md").exists(), name
    for page in here:
        assert f"]({page}.md)" in index, f"docs/index.md does not link to {page}.md"


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as code hosts and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }


def dead_links(page: Path) -> list[str]:
    """The links of a page to files or headings that do not exist."""
    dead = []
    for file, heading, own in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        if not target.exists() or ((heading or own) and (heading or own) not in anchors(target)):
            dead.append(f"{page.name}: {file}#{heading or own}")
    return dead


def test_no_link_is_dead():
    assert [link for page in DOCS.glob("*.md") for link in dead_links(page)] == []


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "a.md").write_text("# A title\n\n[b](b.md) [a](a.md#a-title) [c](#a-titel) [d](a.md#no)\n")
    assert dead_links(tmp_path / "a.md") == ["a.md: b.md#", "a.md: #a-titel", "a.md: a.md#no"]
