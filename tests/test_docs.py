"""Runs every Python snippet of the documentation, page by page in order, and compares the output that the pages
show."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.util
import io
import linecache
import re
import shlex
from pathlib import Path

import pytest
import torch

from cells_for_tests import needs_compiler
from unrolled.cli import main

ROOT = Path(__file__).parent.parent
_spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
assert _spec is not None and _spec.loader is not None
figures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(figures)
BLOCK = figures.BLOCK
AGAIN = "If the change is intended, run make figures and review it."


def marks(figure: Path) -> str:
    """A figure without its embedded pixels, whose compression differs between machines."""
    return re.sub(r"base64,[\w+/=]+", "base64,", figure.read_text(encoding="utf-8"))


ON_C = ("export.md", "length.md", "weights.md")  # show what only engine c has
PAGES = [pytest.param(p, id=p.name, marks=[needs_compiler] if p.name in ON_C else []) for p in figures.PAGES]


@pytest.mark.parametrize("page", PAGES)
def test_snippets_run_print_what_is_shown_and_draw_its_figures(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for shown, printed in figures.run(page):
        assert shown.strip() == printed.strip()
    for drawn in tmp_path.glob("*.svg"):
        kept = figures.FIGURES / drawn.name
        assert kept.exists() and marks(kept) == marks(drawn), f"{drawn.name} has changed. {AGAIN}"
    wanted = re.findall(r"\]\((?:docs/)?figures/([\w.]+)\)", page.read_text(encoding="utf-8"))
    assert {p.name for p in tmp_path.glob("*.svg")} >= set(wanted), "every figure is drawn by the page that shows it"


def test_the_gallery_has_every_cell_as_it_is():
    assert figures.GALLERY.read_text(encoding="utf-8") == figures.gallery(), f"docs/gallery.md has changed. {AGAIN}"


def test_links_between_pages_lead_somewhere():
    for page in figures.PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_shown_shapes_are_true(tmp_path, monkeypatch):
    """Comments of the form '# (8, 100, 65): ...' after an expression in docs/networks.md."""
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    checked = 0
    for language, code in BLOCK.findall((ROOT / "docs" / "networks.md").read_text(encoding="utf-8")):
        if language == "python":
            linecache.cache["networks.md"] = (len(code), None, code.splitlines(True), "networks.md")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, "networks.md", "exec"), scope)
            for expression, shape in re.findall(r"^([\w.]+\.shape)\s+# (\([\d, ]+\))", code, re.M):
                assert str(tuple(eval(expression, scope))) == shape
                checked += 1
    assert checked >= 2


COMMAND = re.compile(r"^\.venv/bin/unrolled (.+)$|`\.venv/bin/unrolled (.+?)`", re.M)
SLOW = ("doctor",)  # minutes; tested elsewhere


def readme_commands() -> list[list[str]]:
    """The commands in the blocks and in the text of README."""
    found = COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return [shlex.split(block or inline) for block, inline in found]


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    """In order, with fewer updates, on a table."""
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    rows = [f"2024-{i // 28 + 1:02}-{i % 28 + 1:02},{10 + i % 7}" for i in range(300)]
    (tmp_path / "my.csv").write_text("\n".join(["day,sales", *rows]))
    commands = readme_commands()
    for command in commands:
        if command[0] not in SLOW:
            assert main(shlex.split(" ".join(command).replace("--minutes 1", "--updates 3"))) == 0, command
    assert [command[0] for command in commands] == ["train", "look", "predict", "doctor"]
    assert len(opened) == 1 and (tmp_path / "answers.csv").exists()


def test_the_readme_calls_programs_where_make_puts_them():
    """Commands do not assume an active environment, or install the package from a registry that does not have it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [line for code in re.findall(r"^```\n(.*?)^```", text, re.M | re.S) for line in code.splitlines()]
    assert len(shown) > 3
    shown += re.findall(r"`([^`\n]+ [^`\n]+)`", text)
    for line in shown:
        assert not re.match(r"(unrolled|python|pip|torchrun) ", line) or line.startswith("pip install -e"), line
        assert 'install "unrolled' not in line, line
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)) | {".venv"}
    for target in re.findall(r"^make (\S+)|`make (\S+)`", text, re.M):
        assert "".join(target) in targets, target
    for script in re.findall(r"\.venv/bin/python (\S+\.py)", text):
        assert (ROOT / script).exists(), script


DOCTESTED = ["unrolled.circuits.adjoint", "unrolled.circuits.circuit", "unrolled.nn.recurrent"]
DOCTESTED += ["unrolled.nn.torch_layers", "unrolled.nn.interop", "unrolled.sequence.rounding"]
DOCTESTED += ["unrolled.nn.acceleration", "unrolled.nn.stack", "unrolled.nn.torch_layout"]
DOCTESTED += [f"unrolled.sequence.{name}" for name in ("state", "ragged", "batching", "streams")]
DOCTESTED += ["unrolled.sequence.losses", "unrolled.look.explore", "unrolled.diagnosis.diagnose"]
DOCTESTED += ["unrolled.train.schedule", "unrolled.data.example", "unrolled.nn.model", "unrolled.nn.weight_drop"]
DOCTESTED += [f"unrolled.data.tables.{name}" for name in ("numbers", "dates", "labels", "encoding", "content")]
DOCTESTED += [f"unrolled.data.tables.{name}" for name in ("dialect", "found", "form", "json_records")]
DOCTESTED += ["unrolled.data.given", "unrolled.files.encoding"]
DOCTESTED += [f"unrolled.data.{name}" for name in ("texts", "records", "record_texts")]
DOCTESTED += ["unrolled.data.recordings", "unrolled.data.defaults", "unrolled.errors"]
DOCTESTED += ["unrolled.circuits.advice", "unrolled.cli.synonyms", "unrolled.plan.segments", "unrolled.draw.numbers"]


@pytest.mark.parametrize("name", DOCTESTED)
def test_docstring_examples(name):
    import unrolled
    from unrolled import circuit, losses, tanh

    torch.manual_seed(0)
    net = unrolled.Recurrent(unrolled.cells.elman, x=65, h=256, o=65)
    scope = {"torch": torch, "unrolled": unrolled, "circuit": circuit, "tanh": tanh, "losses": losses, "net": net}
    scope |= {"State": unrolled.State, "from_torch": unrolled.nn.interop.from_torch, "x_t": torch.randn(8, 65)}
    scope |= {"state": net.initial_state(8), "out": net(torch.randn(2, 4, 65)), "y": torch.randint(65, (2, 4))}
    scope |= {name: getattr(unrolled.sequence, name) for name in unrolled.sequence.__all__}
    scope["r"] = unrolled.Ragged([torch.randn(3, 8), torch.randn(0, 8), torch.randn(500, 8)])
    module = importlib.import_module(name)
    scope |= {"cells": unrolled.cells} | {n: v for n, v in vars(module).items() if not n.startswith("__")}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    found = [t for t in doctest.DocTestFinder().find(module, globs=scope) if t.examples]
    report = io.StringIO()
    for test in found:
        runner.run(test, out=report.write)
    assert found and runner.failures == 0, report.getvalue()


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 120


WRAPPED = [*figures.PAGES, *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING"))]


def too_long(text: str) -> list[str]:
    """The lines of prose that exceed the width. Code, tables, images and lines without a space may be longer."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "![")) and " " in line.strip("- ")]
    return [line for line in lines if len(line) > figures.WIDTH]


@pytest.mark.parametrize("page", WRAPPED, ids=lambda page: page.name)
def test_markdown_is_wrapped_at_one_width(page):
    assert not too_long(page.read_text(encoding="utf-8"))


def test_the_check_of_widths_sees_a_long_line():
    long = "word " * 21
    assert too_long(f"{long}\n\n| {long} |\n```\n{long}\n```\n![{long}](x.svg)\n") == [long]
