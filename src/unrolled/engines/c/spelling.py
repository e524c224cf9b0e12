"""How C spells operations and addresses: one row per op, and one per kind of buffer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from ctypes import c_float
from dataclasses import dataclass
from typing import ClassVar

from ...graph.size import Area, Size
from ..lowering.buffers import KEPT, LANE, PARTIALS, PREVIOUS, SEQUENCE, SERIES, STRETCH, TABLE_ROW, Buffer
from ..lowering.statements import Part

OPS = {
    "neg": "-{}",
    "tanh": "u_tanh({})",
    "sigmoid": "u_sigmoid({})",
    "relu": "u_relu({})",
    "exp": "u_exp({})",
    "log": "u_log({})",
    "sqrt": "u_sqrt({})",
    "abs": "u_abs({})",
    "sign": "u_sign({})",
    "floor": "u_floor({})",
    "sin": "u_sin({})",
    "cos": "u_cos({})",
    "softplus": "u_softplus({})",
    "erf": "u_erf({})",
    "stop_gradient": "{}",
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "maximum": "u_maximum({}, {})",
    "minimum": "u_minimum({}, {})",
    "less": "({} < {} ? (real)1 : (real)0)",
    "less_equal": "({} <= {} ? (real)1 : (real)0)",
    "equal": "({} == {} ? (real)1 : (real)0)",
    "where": "({} != 0 ? {} : {})",
    "broadcast": "{}",
}
# A forward pass rounds products, so that a value is the same whatever else is kept of its step (see prelude.c)
ROUNDED = {**OPS, "mul": "ROUNDED({} * {})"}

# {x} and {to} are addresses, of {size} entries
REDUCTIONS = {
    "sum": "{to}[0] = u_sum({x}, {size});",
    "mean": "{to}[0] = u_mean({x}, {size});",
    "max": "{to}[0] = u_max({x}, {size});",
    "min": "{to}[0] = u_min({x}, {size});",
    "argmax": "{to}[0] = u_argmax({x}, {size});",
    "logsumexp": "{to}[0] = u_logsumexp({x}, {size});",
    "softmax": "u_softmax({to}, {x}, {size});",
    "cumsum": "u_cumsum({to}, {x}, {size});",
    "cumsum from the last": "u_cumsum_from_last({to}, {x}, {size});",
}
# over the rows (0) or the columns (1) of a matrix
OF_MATRICES = "u_{op}_over_{axis}({to}, {x}, {rows}, {columns});"
TOTALS = {"sum": "{total}", "mean": "{total} / {size}"}

# the address of the current row: row i of the stretch, which is lane r, and row at[i] of the series
ADDRESSES = {
    SERIES: "{name}_ + at[i] * {size}",
    KEPT: "{name}_ + at[i] * {size}",
    PREVIOUS: "before_{name}[i]",
    SEQUENCE: "{name}_ + of[i] * {size}",
    TABLE_ROW: "{table} + ({token})[0] * {size}",
    STRETCH: "{name}_ + i * {row}",
    LANE: "{name}_ + r * {row}",
}


@dataclass(frozen=True)
class Spelling:
    """How C spells a pass for given sizes and a precision.

    ops: the spelling of each operation. addresses: by kind of buffer, the address of the current row. entries: the head
    of a loop over independent entries.
    """

    addresses: ClassVar[Mapping[str, str]] = ADDRESSES
    entries: ClassVar[str] = "EACH for (int j = 0; j < {size}; j++)"

    sizes: Mapping[str, int]
    double: bool
    ops: Mapping[str, str]

    def number(self, size: Size | Area) -> int:
        """A size as a number."""
        return size.value(self.sizes)

    def address(self, part: Part[Buffer]) -> str:
        """The address of the first entry of a part of the current row."""
        offset = self.number(part.offset)
        return f"{part.of.name} + {offset}" if offset else part.of.name

    def entry(self, part: Part[Buffer], index: str = "j") -> str:
        """An entry of a part of the current row."""
        offset = self.number(part.offset)
        return f"{part.of.name}[{offset} + {index}]" if offset else f"{part.of.name}[{index}]"

    def each(self, size: Size | Area, assignment: str) -> str:
        """A loop over entries with one assignment."""
        return f"{self.entries.format(size=self.number(size))} {assignment};"

    def row(self, buffer: Buffer) -> str:
        """The declaration of the address of a buffer's current row; empty if all rows are the same."""
        if buffer.kind not in self.addresses:
            return ""
        return f"{numbers(buffer)} *const {buffer.name} = {self.row_address(buffer)};"

    def row_address(self, buffer: Buffer) -> str:
        """The address of a buffer's current row."""
        table, token = buffer.row_of or (None, None)
        return self.addresses[buffer.kind].format(
            name=buffer.name,
            size=self.number(buffer.size),
            row="TOKEN_ROW" if buffer.token else f"ROW({self.number(buffer.size)})",
            table=table.name if table else "",
            token=self.row_address(token) if token else "",
        )

    def literal(self, value: float | Size) -> str:
        """A constant in the text of an expression."""
        number = float(self.number(value)) if isinstance(value, Size) else value
        if math.isnan(number):
            return "(real)NAN"
        if math.isinf(number if self.double else c_float(number).value):
            return "(real)-INFINITY" if number < 0 else "(real)INFINITY"
        return f"(real){number!r}"


def numbers(buffer: Buffer) -> str:
    """The type of a buffer's numbers."""
    number = "int64_t" if buffer.token else "real"
    return number if buffer.kind in (KEPT, STRETCH, LANE, PARTIALS) else f"const {number}"
