"""Docstrings and sizes, counted over the whole package: what is public says what it does and which shapes it takes."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import unrolled

SRC = Path(unrolled.__file__).parent

# The rooms whose public functions must all have docstrings with the shapes of their tensors, and those that are written
# in plain words throughout. Both lists may only grow.
HELD = {"", "errors", "graph", "sequence", "transform", "draw", "plan", "circuits", "cells"}
HELD |= {"nn", "engines", "testing", "speed", "diagnosis", "look"}
PLAIN = HELD - {"diagnosis"}

# A shape: "(batch, time, features)", "(n,)", "(rows, steps, ...)". At least one dimension goes by a known name.
SHAPE = re.compile(r"\((?:[\w.]+(?: [\w.]+){0,3}, ?)+(?:[\w.]+(?: [\w.]+){0,3})?\)")
DIMENSION = re.compile(r"\b(batch|time|time_i|steps|size|features?|rows|n|k|m|units|classes|layers|sum of times|T|B)\b")
TENSORS = re.compile(r"\b(Tensor|Ragged|PackedSequence)\b")


@dataclass(frozen=True)
class Public:
    """A public function, method, property or class: its name, the room that defines it, and its docstring."""

    name: str
    room: str
    doc: str
    annotations: tuple[str, ...]

    @property
    def takes_tensors(self) -> bool:
        return any(TENSORS.search(annotation) for annotation in self.annotations)

    @property
    def names_a_shape(self) -> bool:
        return any(DIMENSION.search(found) for found in SHAPE.findall(self.doc))


def room_of(value: object) -> str:
    """The room of the package in which a function or class is defined; '' for the front door, None-like outside."""
    parts = (getattr(value, "__module__", None) or "").split(".")
    return parts[1] if parts[0] == "unrolled" and len(parts) > 1 else "" if parts[0] == "unrolled" else "outside"


def annotations_of(function: object) -> tuple[str, ...]:
    return tuple(str(a) for a in getattr(function, "__annotations__", {}).values())


def members(cls: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties that a class defines itself."""
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, staticmethod | classmethod):
            yield name, member.__func__
        elif isinstance(member, property):
            yield name, member.fget
        elif inspect.isfunction(member) or hasattr(member, "func"):  # a cached_property has its function as .func
            yield name, getattr(member, "func", member)


def results(function: object) -> Iterator[type]:
    """The classes of the package that a function returns, by its annotation: users hold them, too."""
    names = re.findall(r"\b[A-Z]\w+", str(getattr(function, "__annotations__", {}).get("return", "")))
    for name in names:
        found = getattr(function, "__globals__", {}).get(name)
        if inspect.isclass(found) and room_of(found) != "outside":
            yield found


def exported(module: ModuleType) -> Iterator[object]:
    """What a module lists in ``__all__``, and what its listed modules list."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        yield from exported(value) if inspect.ismodule(value) else (value,)


def public() -> list[Public]:
    """Every function and class that is reached from the ``__all__`` of the package or of one of its rooms."""
    rooms = [path.parent.name for path in SRC.glob("*/__init__.py")]
    modules = [unrolled, *(importlib.import_module(f"unrolled.{room}") for room in sorted(rooms))]
    queue = [value for module in modules for value in exported(module)]
    found: dict[int, Public] = {}
    for value in queue:
        value = getattr(value, "function", value) if not inspect.isclass(value) else value  # the cells are Circuits
        if id(value) in found or room_of(value) == "outside" or not callable(value):
            continue
        name, room = getattr(value, "__qualname__", repr(value)), room_of(value)
        is_class = inspect.isclass(value)
        arguments = () if is_class else annotations_of(value)
        found[id(value)] = Public(name, room, own_doc(value), arguments)
        functions = [("", value)] if not is_class else list(members(value))
        for member, function in functions:
            if is_class:
                overridden = any(member in vars(base) for base in value.__mro__[1:-1])
                doc = inspect.getdoc(getattr(value, member)) if overridden else function.__doc__
                found[id(function)] = Public(f"{name}.{member}", room, doc or "", annotations_of(function))
            queue += results(function)
    return list(found.values())


def own_doc(value: object) -> str:
    """The docstring; not the signature that dataclasses write where there is none."""
    doc = getattr(value, "__doc__", None) or ""
    return "" if inspect.isclass(value) and doc.startswith(f"{value.__name__}(") else doc


PUBLIC = public()


def test_everything_public_has_a_docstring():
    missing = [f"{p.room}: {p.name}" for p in PUBLIC if p.room in HELD and not p.doc.strip()]
    assert not missing, "\n" + "\n".join(sorted(missing))


def test_every_public_function_of_tensors_names_a_shape():
    missing = [f"{p.room}: {p.name}" for p in PUBLIC if p.room in HELD and p.takes_tensors and not p.names_a_shape]
    assert not missing, "\n" + "\n".join(sorted(missing))


def test_the_public_functions_are_found():
    names = {p.name for p in PUBLIC}
    assert names >= {"Circuit.unfold", "Graph.evaluate", "Ragged.from_padded", "Recurrent.step", "nll", "elman"}
    assert len(PUBLIC) > 150 and sum(p.takes_tensors for p in PUBLIC) > 30
    assert not any(name.rpartition(".")[2].startswith("_") for name in names)


@pytest.mark.parametrize(
    ("doc", "named"),
    [
        ("x: (batch, time, features).", True),
        ("The states (batch, size), or (batch,) for scalars.", True),
        ("(sum of times, ...)", True),
        ("Loss per step (see below).", False),
        ("An array (a tensor, a numpy array, nested lists).", False),
        ("Call f(x, y).", False),
        ("", False),
    ],
)
def test_what_counts_as_a_shape(doc: str, named: bool):
    assert Public("f", "", doc, ()).names_a_shape is named


# words

# Phrases that a reader has to decode. CONTRIBUTING.md says how to write instead.
RIDDLES = re.compile(
    r"\b(so many(?! \w+ that)|foretold|(is|are) told|(goes?|gone|going) on (with|where)|one behind the other|anew"
    r"|in (the|its|their) place of|unless given|some (hundred|thousand)|each its own|held-out part"
    r"|a word of the interface|not of (math|torch))\b",
    re.I,
)


def riddles(text: str) -> list[str]:
    return [match[0] for line in text.splitlines() for match in RIDDLES.finditer(line)]


def test_the_sources_say_nothing_in_riddles():
    rooms = [path for path in SRC.rglob("*.py") if path.relative_to(SRC).parts[0].removesuffix(".py") in PLAIN]
    found = {path.name: riddles(path.read_text(encoding="utf-8")) for path in rooms}
    assert len(rooms) > 60 and not any(found.values()), {name: words for name, words in found.items() if words}


def test_the_check_of_words_sees_a_riddle():
    assert riddles("a batch of so many steps") == ["so many"] and riddles("foretold, and gone on with")
    assert not riddles("Where there are so many arrows that letters overlap, it stands on its own.")


# sizes

MEDIAN, LONGEST = 90, 400  # lines of a file: the median without docstrings, the longest with all
USUAL, MOST = (
    20,
    70,
)  # lines of a function without its docstring: nine in ten, and the longest without its arguments too

# What is longer, and by how much. A line here may only shrink or go: the tests fail when it is no longer needed.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}


def docstring_lines(node: ast.AST) -> int:
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if not documented or not ast.get_docstring(node):
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def measure_files() -> dict[str, tuple[int, int]]:
    """Lines of every file: without docstrings, and all."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        documentation = sum(docstring_lines(node) for node in ast.walk(ast.parse(text)))
        found[path.relative_to(SRC).as_posix()] = lines - documentation, lines
    return found


def measure_functions() -> dict[str, tuple[int, int]]:
    """Lines of every function, without its docstring: with its list of arguments, and without."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
                key = f"{path.relative_to(SRC).as_posix()}:{node.name}"
                found[f"{key}:{node.lineno}"] = lines, lines - (node.body[0].lineno - node.lineno)
    return found


def compare(found: dict[str, int], allowed: dict[str, int]) -> list[str]:
    """What is longer than it may be, and which exceptions could be smaller."""
    wrong = [f"{n}: {lines} lines, at most {allowed[n]}" for n, lines in found.items() if lines > allowed.get(n, 10**6)]
    wrong += [f"{n}: {lines} lines. Split it" for n, lines in found.items() if n not in allowed]
    wrong += [f"{n}: the exception is no longer needed" for n in allowed if n not in found]
    return wrong + [f"{n}: lower the exception to {found[n]}" for n in found if found[n] < allowed.get(n, 0)]


def test_files_are_short():
    files = measure_files()
    long = {name: lines for name, (_, lines) in files.items() if lines > LONGEST}
    assert not compare(long, LONG_FILES), "\n" + "\n".join(compare(long, LONG_FILES))
    assert statistics.median(code for code, _ in files.values()) <= MEDIAN


def test_functions_are_short():
    functions = measure_functions()
    long = {key.rpartition(":")[0]: body for key, (_, body) in functions.items() if body > MOST}
    assert not compare(long, LONG_FUNCTIONS), "\n" + "\n".join(compare(long, LONG_FUNCTIONS))
    ordered = sorted(lines for lines, _ in functions.values())
    assert ordered[int(0.9 * len(ordered))] <= USUAL


def test_the_measure_of_sizes_sees_what_is_too_long():
    assert compare({"a.py": 410}, {}) == ["a.py: 410 lines. Split it"]
    assert compare({"a.py": 410}, {"a.py": 405}) == ["a.py: 410 lines, at most 405"]
    assert compare({"a.py": 402}, {"a.py": 405}) == ["a.py: lower the exception to 402"]
    assert compare({}, {"a.py": 405}) == ["a.py: the exception is no longer needed"]
    function = ast.parse('def f(\n    a,\n    b,\n):\n    """Two\n    lines."""\n    return a\n').body[0]
    assert docstring_lines(function) == 2
