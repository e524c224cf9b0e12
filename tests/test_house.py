"""The house rules that a program can check: imports between rooms, names, and the cost of an import."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pace import unit

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "unrolled"

# A room may import from rooms of the same or a lower rank.
RANK = {
    "errors": 0,
    "files": 1,
    "graph": 1,
    "sequence": 1,
    "sources": 2,
    "transform": 2,
    "draw": 3,
    "plan": 3,
    "circuits": 4,
    "cells": 4,
    "engines": 5,
    "testing": 6,
    "nn": 6,
    "speed": 7,
    "train": 7,
    "data": 8,
    "run": 9,
    "tasks": 9,
    "export": 10,
    "stream": 10,
    "diagnosis": 10,
    "look": 11,
    "cli": 12,
}
FRONT_DOOR = {"__init__", "__main__"}  # may import from every room


def modules(package: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Every file of the package with its dotted name below the package: ``("graph", "node")``."""
    for path in sorted(package.rglob("*.py")):
        yield path, path.relative_to(package).with_suffix("").parts


def imported_rooms(path: Path, parts: tuple[str, ...], package: str) -> Iterator[tuple[int, str]]:
    """(line, room) of every import from the package, absolute or relative, anywhere in the file.

    ``import unrolled`` gives the name of the package itself. Rooms must not import from the front door, which reaches
    every room; only dunder names such as ``__version__`` are allowed.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from ..graph import node` in circuits/trace.py: circuits.trace without two levels, plus graph.
            above = [package, *parts][: len(parts) + 1 - node.level] if node.level else []
            base = above + (node.module.split(".") if node.module else [])
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            name = target[1] if len(target) > 1 else package
            if target[0] == package and not name.startswith("__"):
                yield node.lineno, name


def violations(package: Path) -> list[str]:
    """The violations of the layering in a package folder, one readable line each."""
    found = []
    for path, parts in modules(package):
        room = parts[0]
        if len(parts) == 1 and room in FRONT_DOOR:
            continue
        place = path.relative_to(package.parent)
        if room not in RANK:
            found.append(f"{place}: '{room}' has no rank. Give it one in tests/test_house.py.")
            continue
        for line, target in imported_rooms(path, parts, package.name):
            if target not in RANK:
                found.append(f"{place}:{line}: imports '{target}', not a room. Import from the room itself.")
            elif RANK[target] > RANK[room]:
                found.append(
                    f"{place}:{line}: {room} (rank {RANK[room]}) imports {target} (rank {RANK[target]}); "
                    "only the same or a lower rank is allowed."
                )
    return found


def test_rooms_import_only_from_the_same_or_a_lower_rank():
    assert not violations(SRC), "\n" + "\n".join(violations(SRC))


@pytest.mark.parametrize(
    "text",
    [
        "import unrolled.nn",
        "import unrolled.nn.recurrent as r",
        "from unrolled import nn",
        "from unrolled.nn import Recurrent",
        "from .. import nn",
        "from ..nn import Recurrent",
        "from ..nn.recurrent import Recurrent",
        "def late():\n    from unrolled.nn import Recurrent",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..nn import Recurrent",
    ],
)
def test_the_layering_test_sees_a_planted_violation(tmp_path: Path, text: str):
    package = tmp_path / "unrolled"
    for room in ("graph", "nn"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text("from . import node\nfrom .node import Node\n")
        (package / room / "node.py").write_text("import math\nfrom unrolled.errors import GraphError\n")
    (package / "__init__.py").write_text("from .nn import Recurrent\n")
    assert violations(package) == []

    (package / "nn" / "node.py").write_text("from ..graph import Node\nimport unrolled.graph.node\n")
    assert violations(package) == [], "downwards is allowed"

    (package / "graph" / "node.py").write_text(text + "\n")
    (found,) = violations(package)
    line = text.count("\n") + 1
    assert found.startswith(f"{Path('unrolled/graph/node.py')}:{line}: graph (rank 1) imports nn (rank 6)")


def test_the_layering_test_sees_unknown_rooms_and_the_front_door(tmp_path: Path):
    package = tmp_path / "unrolled"
    (package / "shed").mkdir(parents=True)
    (package / "shed" / "tool.py").write_text("")
    (package / "errors.py").write_text("from unrolled import Recurrent, __version__\nimport unrolled\n")
    (package / "loose.py").write_text("")
    found = "\n".join(violations(package))
    assert "'shed' has no rank" in found
    assert "'loose' has no rank" in found
    assert "errors.py:1: imports 'Recurrent', not a room" in found
    assert "errors.py:2: imports 'unrolled', not a room" in found
    assert "__version__" not in found


def imports_by_name(package: Path) -> list[str]:
    """Where a module is imported by its name at run time, which no other test of the layering can see. Only the front
    door does so, to load each room on first use."""
    found = []
    for path, parts in modules(package):
        if parts == ("__init__",):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if name in ("import_module", "__import__", "spec_from_file_location", "exec_module"):
                found.append(f"{path.relative_to(package.parent)}:{node.lineno}: {name}")
    return found


def test_no_module_is_imported_by_its_name():
    allowed = ("unrolled/cli/cell.py", "unrolled/circuits/circuit.py", "unrolled/nn/dynamo.py")  # not our modules
    found = [line for line in imports_by_name(SRC) if not line.startswith(allowed)]
    assert not found, "\n" + "\n".join(found)


def test_the_check_of_imports_by_name_sees_planted_ones(tmp_path: Path):
    package = tmp_path / "unrolled"
    package.mkdir()
    (package / "__init__.py").write_text("from importlib import import_module\nimport_module('.nn')\n")
    (package / "a.py").write_text("import importlib\nimportlib.import_module('.nn', __package__)\n")
    (package / "b.py").write_text("from importlib import import_module\n\nimport_module('.nn')\n__import__('nn')\n")
    names = [str(Path("unrolled") / line) for line in ("a.py:2: ", "b.py:3: ", "b.py:4: ")]
    assert [line.startswith(name) for line, name in zip(imports_by_name(package), names, strict=True)] == [True] * 3


def test_every_file_is_named_after_what_is_in_it():
    vague = {"utils", "helpers", "misc", "common"}
    found = [path for folder in (SRC, ROOT / "tests") for path in folder.rglob("*.py") if path.stem in vague]
    assert not found


def defined_twice(path: Path) -> list[str]:
    """Functions and classes that have the same name in the same scope of a file: the second silently replaces the
    first. Overloads and properties with a setter are allowed."""
    found = []
    for scope in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if not isinstance(scope, ast.Module | ast.ClassDef):
            continue
        seen: set[str] = set()
        for node in scope.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            again = [ast.unparse(d) for d in node.decorator_list]
            if node.name in seen and not {f"{node.name}.setter", f"{node.name}.register"} & set(again):
                found.append(f"{path.name}:{node.lineno}: '{node.name}' is defined a second time")
            if "overload" not in again:
                seen.add(node.name)
    return found


def test_no_test_takes_the_place_of_another():
    files = [path for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py")]
    twice = [line for path in files for line in defined_twice(path)]
    assert not twice, "\n" + "\n".join(twice)
    tests = [path.name for path in files if path.name.startswith("test_")]
    assert len(set(tests)) == len(tests), "two test files have one name"


def test_the_check_of_names_sees_a_planted_one(tmp_path: Path):
    path = tmp_path / "test_planted.py"
    path.write_text(
        "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n\n\ndef test_a():\n    pass\n\n\n"
        "class A:\n    def b(self): ...\n    @property\n    def a(self): ...\n    @a.setter\n    def a(self, v): ...\n"
        "    def b(self): ...\n"
    )
    assert defined_twice(path) == [
        "test_planted.py:9: 'test_a' is defined a second time",
        "test_planted.py:19: 'b' is defined a second time",
    ]


def test_the_sources_hold_no_unfinished_notes():
    note = re.compile(r"\b(TODO|FIXME)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, _ in modules(SRC)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if note.search(line)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("room", [name for name in RANK if name != "errors"])
def test_the_architecture_names_every_room(room: str):
    if not any((SRC / room).glob("**/*.py")):
        pytest.skip(f"src/unrolled/{room} does not exist yet")
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert re.search(rf"(?<![\w/]){room}/", text), f"ARCHITECTURE.md does not name {room}/"


def project_files() -> list[Path]:
    """The files of the project: tracked files, and new files that are not ignored."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of the project's files is not known")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_text_of_the_project_speaks_of_itself_alone():
    # in pieces, because this file is searched, too
    hosts = ["pypi" + r"\.org", "python" + r"hosted\.org", "download" + r"\.pytorch\.org", "index" + "-url"]
    homes = r"(?<![\w.}])/(?:" + "|".join(["work", "root", r"home/\w+", r"Users/\w+"]) + ")/"
    foreign = re.compile("|".join([homes, *hosts]))
    found = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image, not a text
        for number, line in enumerate(text.splitlines(), 1):
            if match := foreign.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert not found, "\n" + "\n".join(found)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)


def test_import_unrolled_loads_no_torch():
    run = python("-c", "import sys, unrolled; print(*sorted(m for m in sys.modules if '.' not in m))")
    assert run.returncode == 0, run.stderr
    assert not {"torch", "scipy", "matplotlib"} & set(run.stdout.split())


def test_help_loads_no_torch():
    run = python("-X", "importtime", "-m", "unrolled", "--help")
    lines = run.stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    complaints = [line for line in lines if not line.startswith("import time:")]
    assert run.returncode == 0, "\n".join(complaints)
    assert "unrolled" in run.stdout
    assert "unrolled" in loaded, "the list of imports was not found"
    assert not {"torch", "scipy", "matplotlib"} & loaded


def test_help_answers_at_once():
    processor = []
    for _ in range(4):  # the first run warms the caches
        before = os.times()
        run = python("-m", "unrolled", "--help")
        processor.append(os.times().children_user - before.children_user)
        assert run.returncode == 0, run.stderr
    # The goal is 0.3 s, 25 units of fixed work (tests/pace.py); the rest is slack for a busy machine.
    assert min(processor[1:]) < 60 * unit()
