"""Lines with matrices for random circuits (``strategies.py``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

Dims = tuple[int, int]

# {A} and {B} are matrices of the same dimensions, {a} is a vector of their rows and {b} of their columns, {s} is a
# scalar. N is a new matrix of their dimensions, L and R are new square matrices.
MATRIX = (
    "{A} + rows({b})", "columns({a}) * {B}", "{A} - 0.5 * columns({a})", "rows({b}) * {A} + {B}",
    "0.3 * {A} + outer({a}, {b})",
    "outer({a}, {b}) * {A}", "softmax({A}, axis=0)", "softmax({A}, axis=1) * {B}", "{s} * {A} + {B}", "N * {A}",
    "{A} + tanh(N)", "L @ {A}", "{A} @ R.T", "tanh(L @ {A} + N)", "({A} @ {B}.T) @ {A}", "{A} @ ({B}.T @ {A})",
    "where({A} > {B} + 0.0317, {A}, 0.5 * {B})", "mean({A}) * {B}", "tanh({A}) + {B}", "sigmoid({A})", "-{A}",
    "{A} / (1 + {B} * {B})", "maximum({A}, {B} + 0.0317)", "exp(-{A} * {A})", "{A} * {B}", "{A} ** 2", "{A}.T.T",
    "normalised({A} + N, axis=0)", "normalised({A} + N, axis=1)",
)  # fmt: skip
OF_ROWS = (
    "{A} @ {b}", "tanh({A}) @ {b}", "sum({A}, axis=1)", "mean({A}, axis=1)", "max({A}, axis=1)", "min({A}, axis=1)",
    "logsumexp({A}, axis=1)", "sum({A} * rows({b}), axis=1)", "(0.5 * {A} + {B}) @ {b}", "softmax({A} @ {b})",
)  # fmt: skip
OF_COLUMNS = (
    "{A}.T @ {a}", "{A}.T @ softmax({a})", "sum({A}, axis=0)", "mean({A}, axis=0)", "max({A}, axis=0)",
    "min({A}, axis=0)", "logsumexp({A}, axis=0)", "sum({A} * columns({a}), axis=0)",
)  # fmt: skip
TOTAL = ("sum({A})", "mean({A})", "max({A})", "min({A})", "logsumexp({A})", "sum({A} * {B})", "sum({A} @ {b})")
# {M} is a memory: a fixed matrix with any number of rows. {b} and {c} are vectors of its columns.
OF_MEMORY = (
    "{M}.T @ softmax({M} @ {b})", "sum(tanh({M} + rows({b})), axis=0)", "max({M}, axis=0) * {c}", "mean({M}, axis=0)",
    "{M}.T @ tanh({M} @ {b})", "softmax({M}, axis=0).T @ ({M} @ {b})", "logsumexp(tanh({M} @ N.T) + rows({b}), axis=0)",
    "{M}.T @ softmax(tanh({M} @ N.T + {M}) @ {c})", "({M}.T @ {M}) @ {b}", "min({M} * rows({b}), axis=0)",
    "sum(columns({M} @ {b}) * {M}, axis=0) / 9", "mean({M} @ {b}) * {c}",
)  # fmt: skip
STATE = ("0.5 * {A} + {new}", "tanh({new})", "columns({a}) * {A} + {new}", "{s} * {A} + 0.5 * {new}")


class Lines(Protocol):
    """What is used of the writer of a circuit."""

    @property
    def choose(self) -> Any: ...

    values: list[Any]
    lines: dict[str, str]
    dims: dict[str, Dims]

    def fresh(self, letter: str, *shape: int) -> str: ...
    def line(self, expression: str, size: int, label: str = "a") -> None: ...
    def vectors(self, size: int | None = None) -> list[Any]: ...


class Matrices:
    """The matrices of a circuit that is being drawn: their text, with their dimensions."""

    def __init__(self, writer: Lines, given: dict[str, Dims]) -> None:
        self.writer, self.given = writer, given
        self.found = [(name, dims) for name, dims in given.items() if name == "S"]
        for name, dims in given.items():
            if name != "S":  # an input alone might be read as a vector
                self.add(f"{name} + rows({self.vector(dims[1])})", dims)

    def vector(self, size: int) -> str:
        """A vector of some size: one that exists, or a new parameter."""
        w = self.writer
        return str(w.choose([*(v.text for v in w.vectors(size)), w.fresh("v", size)]))

    def matrix(self, dims: Dims) -> str:
        """A matrix of these dimensions."""
        found = [text for text, d in self.found if d == dims]
        return str(self.writer.choose(found + 2 * found[-2:]))

    def fill(self, rules: Sequence[str], text: str, dims: Dims, **more: str) -> str:
        """One of the rules for a matrix."""
        w, (rows, columns) = self.writer, dims
        scalars = [v.text for v in w.values if not v.size] or ["0.7"]
        rule = w.choose(rules)
        given = {"A": text, "B": self.matrix(dims), "s": w.choose(scalars), **more}
        given |= {n: self.vector(size) for n, size in (("a", rows), ("b", columns)) if f"{{{n}}}" in rule}
        line = rule.format(**given)
        for letter, shape in (("N", dims), ("L", (rows, rows)), ("R", (columns, columns))):
            if re.search(rf"\b{letter}\b", line):
                line = re.sub(rf"\b{letter}\b", w.fresh(letter, *shape), line)
        return str(line)

    def any(self) -> tuple[str, Dims]:
        text, dims = self.writer.choose(self.found + 2 * self.found[-2:])
        return text, dims

    # one more line

    def looked(self, memory: str, size: int) -> None:
        """A vector that is read from a memory."""
        w = self.writer
        line = w.choose(OF_MEMORY).format(M=memory, b=self.vector(size), c=self.vector(size))
        w.line(re.sub(r"\bN\b", w.fresh("N", size, size), line) if "N" in line else line, size)

    def entrywise(self, rules: Sequence[str]) -> None:
        """An entry-by-entry operation of the language on matrices."""
        text, dims = self.any()
        rule = self.writer.choose([r for r in rules if "stop" not in r])
        scalars = [v.text for v in self.writer.values if not v.size]
        self.add(rule.format(a=text, b=self.writer.choose([self.matrix(dims), *scalars])), dims)

    def more(self) -> None:
        text, dims = self.any()
        self.add(self.fill(MATRIX, text, dims), dims)

    def outer(self) -> None:
        w = self.writer
        a, b = (w.choose([v for v in w.vectors() if v.size <= 33] or w.vectors()) for _ in range(2))
        self.add(f"outer({a.text}, {b.text})", (a.size, b.size))

    def reduced(self) -> None:
        text, dims = self.any()
        rules, size = self.writer.choose([(OF_ROWS, dims[0]), (OF_COLUMNS, dims[1]), (TOTAL, 0)])
        self.writer.line(self.fill(rules, text, dims), size)

    def add(self, expression: str, dims: Dims) -> None:
        """A line that computes a matrix."""
        name = f"A{len(self.found)}"
        self.writer.lines[name], self.writer.dims[name] = expression, dims
        self.found.append((name, dims))

    def state(self, name: str) -> str:
        """The new value of a state, which cannot be read as a vector."""
        dims = self.given[name]
        new = f"({self.matrix(dims)} + outer({self.vector(dims[0])}, {self.vector(dims[1])}))"
        return self.fill(STATE, name, dims, new=new)
