"""How C99 spells the statements of a step: as engine c does, for one sequence and without its macros."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from ctypes import c_float
from dataclasses import dataclass, field

import numpy

from ...engines.c.forms import FOR_A_ROW
from ...engines.c.spelling import OPS, Spelling
from ...engines.lowering.buffers import Buffer
from ...engines.lowering.statements import Product, Statement, Take
from ...graph.size import Size
from .functions import CALL, portable
from .narrow import KINDS


@dataclass(frozen=True)
class Say(Spelling):
    """How C spells a step.

    name: the beginning of the file's names. static: loops of known size instead of a call for each product. narrow: by
    constant, the kind of its numbers if it is not float32.
    """

    name: str = "model"
    static: bool = False
    narrow: dict[str, str] = field(default_factory=dict)

    def literal(self, value: float | Size) -> str:
        number = float(self.number(value)) if isinstance(value, Size) else value
        rounded = c_float(number).value
        if math.isnan(number):
            return f"({self.name.upper()}_INFINITY - {self.name.upper()}_INFINITY)"
        if math.isinf(rounded):
            return f"{'-' * (rounded < 0)}{self.name.upper()}_INFINITY"
        text = str(numpy.float32(number))
        return f"({text}f)" if number < 0 else f"{text}f"


def say_for(name: str, sizes: dict[str, int], static: bool, narrow: dict[str, str]) -> Say:
    """The spelling of a file."""
    return Say(sizes, False, OPS, name, static, narrow)


def lines_of(statements: Iterable[Statement[Buffer]], say: Say) -> list[str]:
    """The statements as lines of C."""
    lines: list[str] = []
    for s in statements:
        form: Callable[..., list[str]] = OWN.get(type(s)) or FOR_A_ROW[type(s)]
        lines += form(s, say)
    return portable("\n".join(lines)).split("\n")


def named(text: str, name: str) -> str:
    """A text whose functions and macros begin with the name of the file."""
    text = re.sub(r"\b(INLINE|INFINITE)\b", lambda m: f"{name.upper()}_{MACROS[m.group()]}", text)
    return CALL.sub(lambda m: f"{name}_{m.group().removeprefix('u_')}", text)


MACROS = {"INLINE": "INLINE", "INFINITE": "INFINITY"}


def _product(s: Product[Buffer], say: Say) -> list[str]:
    """A matrix times a vector: a loop of known size, or a call."""
    rows, columns, matrix = say.number(s.rows), say.number(s.columns), s.matrix.name
    kind = say.narrow.get(matrix, "float32")
    scaled = KINDS[kind].scaled
    if not say.static:
        scale = f", {matrix}_scale" if scaled else ""
        call = f"u_product_{kind}" if kind != "float32" else "u_multiply"
        return [f"{call}({say.address(s.to)}, {matrix}{scale}, {say.address(s.x)}, {rows}, {columns});"]
    number = KINDS[kind].number.format(f"{matrix}[i * {columns} + k]")
    total = f"total * {matrix}_scale[i]" if scaled else "total"
    return [
        f"for (int i = 0; i < {rows}; i++) {{",
        "    float total = 0;",
        f"    for (int k = 0; k < {columns}; k++) total += {number} * {say.entry(s.x, 'k')};",
        f"    {say.entry(s.to, 'i')} = {total};",
        "}",
    ]


def _take(s: Take[Buffer], say: Say) -> list[str]:
    """A row of a table."""
    size, token, table = say.number(s.size), say.entry(s.token, "0"), s.x.of.name
    kind = KINDS[say.narrow.get(table, "float32")]
    number = kind.number.format(f"{table}[{token} * {size} + j]")
    scaled = f"{number} * {table}_scale[{token}]" if kind.scaled else number
    return [f"for (int j = 0; j < {size}; j++) {say.entry(s.to)} = {scaled};"]


OWN: dict[type, Callable[..., list[str]]] = {Product: _product, Take: _take}
