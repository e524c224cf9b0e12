"""The documentation is run: every Python snippet, in order, page by page; what a page shows as output is compared."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import linecache
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_snippets_run_and_print_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    printed = ""
    for number, (language, code) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
        if language == "python":
            file = f"{page.name}, block {number}"
            linecache.cache[file] = (len(code), None, code.splitlines(True), file)
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, file, "exec"), scope)
            printed = out.getvalue()
        elif language == "text":
            assert code.strip() == printed.strip()


def test_shown_shapes_are_true():
    """Comments of the form '# (8, 100, 65): ...' behind an expression in the README."""
    scope: dict[str, object] = {}
    checked = 0
    for language, code in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        if language == "python":
            linecache.cache["README"] = (len(code), None, code.splitlines(True), "README")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, "README", "exec"), scope)
            for expression, shape in re.findall(r"^([\w.]+\.shape)\s+# (\([\d, ]+\))", code, re.M):
                assert str(tuple(eval(expression, scope))) == shape
                checked += 1
    assert checked >= 2


DOCTESTED = ["unrolled.circuits.circuit", "unrolled.nn.recurrent", "unrolled.nn.layers", "unrolled.nn.interop"]
DOCTESTED += ["unrolled.sequence.state", "unrolled.train.losses"]
DOCTESTED += ["unrolled.train.schedule", "unrolled.sequence.padded", "unrolled.tasks.sequences", "unrolled.nn.model"]
DOCTESTED += ["unrolled.nn.weight_drop", "unrolled.tasks.recordings"]


@pytest.mark.parametrize("name", DOCTESTED)
def test_docstring_examples(name):
    import unrolled
    from unrolled import circuit, losses, tanh

    torch.manual_seed(0)
    net = unrolled.Recurrent(unrolled.cells.elman, x=65, h=256, o=65)
    scope = {"torch": torch, "unrolled": unrolled, "circuit": circuit, "tanh": tanh, "losses": losses, "net": net}
    scope |= {"State": unrolled.State, "from_torch": unrolled.nn.interop.from_torch, "x_t": torch.randn(8, 65)}
    scope |= {"state": net.initial_state(8), "out": net(torch.randn(2, 4, 65)), "y": torch.randint(65, (2, 4))}
    module = importlib.import_module(name)
    scope |= {"cells": unrolled.cells} | {n: v for n, v in vars(module).items() if not n.startswith("__")}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    found = [t for t in doctest.DocTestFinder().find(module, globs=scope) if t.examples]
    report = io.StringIO()
    for test in found:
        runner.run(test, out=report.write)
    assert found and runner.failures == 0, report.getvalue()


def test_the_readmes_picture_is_what_is_drawn(golden):
    from unrolled import circuit, nll, softmax, tanh

    @circuit
    def elman(x, y, h, *, U, W, b, V, c):
        h = tanh(b + W @ h + U @ x)
        o = c + V @ h
        yhat = softmax(o)
        return {"h": h, "o": o, "yhat": yhat, "L": nll(o, y)}

    golden("../../docs/figures/elman.svg", elman.draw().svg)


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) < 80
