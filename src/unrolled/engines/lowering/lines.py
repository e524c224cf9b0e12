"""A group of entry-by-entry operations as one loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...graph.node import TOKEN, Node
from ...graph.size import Area, Size
from .fuse import ADDING
from .statements import START, Line, Literal, Local, Loop, Number, Part, Store, Total
from .storage import Storage, start

Argument = Part[Node] | Number[Node] | Local | Literal
SCALAR = Size.of(1)


def loop(group: Sequence[Node], storage: Storage) -> Loop[Node]:
    """One loop for a group of operations of one size, and for the sums of their results."""
    writer, stores, totals = _Lines(storage), list[Store[Node]](), list[Total[Node]]()
    for n in group:
        if n.op in ADDING:
            axis = dict(n.attrs).get("axis")
            totals += [Total(n.op, writer.computed(n.args[0]), to, axis) for to in storage.targets(n)]
        else:
            line = writer.computed(n)
            stores += [Store(line, to) for to in storage.targets(n)]
    dims = group[0].type.dims
    columns = dims[1] if len(dims) == 2 else None
    return Loop(dims[0] if dims else SCALAR, tuple(writer.lines), tuple(stores), tuple(totals), columns)


def size(n: Node) -> Size | Area:
    """The number of entries of a value; a token is one number."""
    if n.type.kind == TOKEN:
        return SCALAR
    return Area(*n.type.dims) if len(n.type.dims) == 2 else n.type.dims[0] if n.type.dims else SCALAR


class _Lines:
    """The lines of a loop, as they are written. An inlined value has a line for each part that is read."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.lines: list[Line[Node]] = []
        self.known: dict[tuple[Node, Size], int] = {}

    def computed(self, n: Node, offset: Size = START) -> int:
        """The line that computes entry j + offset of a value."""
        if (n, offset) not in self.known:
            op, args = n.op, tuple(self.argument(a, offset if a.type.dims else START) for a in n.args)
            if n.op == "repeat":
                op, args = "broadcast", (self.along(n.args[0], n["axis"]),)
            elif n.op == "outer":
                op, args = "mul", (self.along(n.args[0], 1), self.along(n.args[1], 0))
            self.known[n, offset] = len(self.lines)
            self.lines.append(Line(op, args))
        return self.known[n, offset]

    def argument(self, a: Node, offset: Size) -> Argument:
        """The argument of a line: entry j + offset of a value."""
        computed, inlined = a in self.storage.stage, a in self.storage.fusion.inlined
        if a.op == "slice" and computed:
            return self.argument(a.args[0], offset + start(a))
        if a.op == "broadcast" and (inlined or not (computed or a in self.storage.given)):
            return self.argument(a.args[0], START)
        if a.op == "repeat" and (inlined or not (computed or a in self.storage.given)):
            return self.along(a.args[0], a["axis"])
        if inlined or (a, offset) in self.known:
            return Local(self.computed(a, offset))
        if not computed and a not in self.storage.given:
            return Literal(a["value"] if a.op == "constant" else a["of"])
        part = self.storage.part(a, offset)
        return part if a.type.dims else Number(part.of)

    def along(self, x: Node, axis: int) -> Argument:
        """The entry of a vector that belongs to the current column (axis 0) or row (axis 1) of a matrix."""
        argument = self.argument(x, START)
        return replace(argument, along=axis) if isinstance(argument, Part) else argument
