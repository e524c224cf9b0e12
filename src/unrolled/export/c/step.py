"""One step of a network as statements over named memory: what engine c computes for one sequence and one step, without
keeping anything of the past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...engines.lowering.assignment import Assignment
from ...engines.lowering.buffers import KEPT, LANE, SERIES, TABLE_ROW, Buffer
from ...engines.lowering.lower import lower
from ...engines.lowering.place import Ahead, Begin, End, Placed, place
from ...engines.lowering.refuse import Refused
from ...engines.lowering.statements import Copy, Part, Product, Statement, Take, rewritten
from ...errors import UsageError
from ...graph.bind import of_data
from ...graph.equations import readable, speller
from ...graph.node import TOKEN, Node, leaf, rewrite
from ...graph.notation import NOTATIONS
from ...graph.printer import Printer
from ...graph.recurrence import Recurrence
from ...graph.size import Area, Size
from ...plan.plan import Plan
from ...plan.regroup import regroup
from ...transform.evaluate import evaluate
from ...transform.masked import masked, valid
from ...transform.unfold import same_op
from ..network import Step
from .names import Names

GATHERED = " gathered "  # the beginning of the name of a copy that is not needed


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant of the file: its name, its value in float64, the equation that it is computed by, and whether products
    read it."""

    name: str
    value: Tensor
    comment: str
    product: bool
    node: Node


@dataclass(frozen=True, eq=False)
class Argument:
    """An input or output of a step: its name, its memory, and for a memory with rows the name of their number."""

    name: str
    buffer: Buffer
    rows: str = ""
    columns: int = 0


@dataclass(frozen=True, eq=False)
class Body:
    """A step of a network, ready to be printed.

    inputs: those of each step, then those that are fixed in time. masks: by name of a number of rows, the memory that
    tells which rows are valid. states: the memory of each state. local: memory of the step itself. constants: what is
    read and never changes. statements: in order. sizes: the limits of rows, by name. operations: multiply-adds.
    """

    recurrence: Recurrence
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    masks: Mapping[str, Buffer]
    states: Mapping[str, Buffer]
    local: tuple[Buffer, ...]
    constants: Mapping[Buffer, Constant]
    statements: tuple[Statement[Buffer], ...]
    sizes: Mapping[str, int]


def body(step: Step, rows: int | None, prefix: str) -> Body:
    """The statements of a step.

    Args:
        step: of a network.
        rows: the largest number of rows of an input that is fixed in time.
        prefix: the beginning of the names of constants.

    Raises:
        UsageError: the number of rows is missing, or an operation cannot be exported.
    """
    return _Builder(step, rows, prefix).body()


def outputs_of(recurrence: Recurrence) -> tuple[str, ...]:
    """The returned values that a step writes: its outputs, or its first state if it has none."""
    return tuple(recurrence.outputs) or tuple(recurrence.states)[:1]


class _Builder:
    """Collects the memory and the statements of a step."""

    def __init__(self, step: Step, rows: int | None, prefix: str) -> None:
        self.whole = step.recurrence
        counts = sorted(of_data(self.whole))
        if counts and rows is None:
            fixed = next(n for n in self.whole.fixed if self.whole.inputs[n].type.dims[0].names)
            raise UsageError(
                f"the number of rows of '{fixed}' differs from sequence to sequence, and C needs a limit for it. Give "
                "the largest number: --rows N"
            )
        self.sizes = dict.fromkeys(counts, rows or 0)
        self.recurrence = masked(self.whole, tuple(counts)) if counts else self.whole
        self.names, self.prefix = Names(), prefix
        self.constant_names = Names(("state", "reset", "step", "run", "symbols", "classes", "text", "columns"))
        self.values = {self.whole.parameters[n]: value.double() for n, value in step.weights.items()}
        self.local: dict[Buffer, None] = {}
        self.constants: dict[Buffer, Constant] = {}
        self.by_node: dict[tuple[Node, bool], Buffer] = {}
        self.inputs: dict[str, Buffer] = {}
        self.given: dict[Node, Buffer] = {}
        self.masks: dict[str, Buffer] = {}
        self.states: dict[str, Buffer] = {}
        self.outputs: dict[str, Buffer] = {}
        self.statements: list[Statement[Buffer]] = []

    def body(self) -> Body:
        wanted = outputs_of(self.recurrence)
        self.name_leaves(wanted)
        given = dict(self.inputs) | {valid(n): b for n, b in self.masks.items()}
        self.add(_read_at_every_step(self.recurrence), given, {n: self.outputs[n] for n in wanted})
        return Body(
            self.recurrence,
            tuple(self.argument(n, b) for n, b in self.inputs.items()),
            tuple(Argument(n, b) for n, b in self.outputs.items()),
            self.masks,
            self.states,
            tuple(self.local),
            self.constants,
            tuple(self.statements),
            self.sizes,
        )

    def name_leaves(self, wanted: Iterable[str]) -> None:
        """Memory with names for the inputs, states and outputs."""
        whole = self.recurrence
        every = [*whole.series, *whole.fixed]
        for n in every:
            node = whole.inputs[n]
            if not (n.startswith("valid ") and n.removeprefix("valid ") in self.sizes):
                self.inputs[n] = _buffer(self.names.new(n), SERIES, node)
        for n in self.sizes:
            self.masks[n] = _buffer(self.names.new(f"valid_{n}"), LANE, whole.inputs[valid(n)])
        for n, node in whole.states.items():
            self.states[n] = _buffer(self.names.new(n), LANE, node)
        for n in wanted:
            name = self.names.new(f"{n}_out" if n in whole.states else n)
            self.outputs[n] = _buffer(name, KEPT, whole.returns[n])

    def argument(self, name: str, buffer: Buffer) -> Argument:
        """An input as an argument of the step."""
        dims = self.recurrence.inputs[name].type.dims
        counts = [n for d in dims[:1] for n in d.names]
        if not counts:
            return Argument(name, buffer)
        columns = dims[1].value(self.sizes) if len(dims) == 2 else 1
        return Argument(name, buffer, counts[0], columns)

    def add(self, recurrence: Recurrence, given: Mapping[str, Buffer], kept: Mapping[str, Buffer]) -> None:
        """Add the statements of a recurrence that computes ``kept`` from ``given``."""
        way = Plan(regroup(recurrence), ()).forward(keep=False)
        whole = way.recurrence
        wanted = tuple(dict.fromkeys(whole.returns[n] for n in kept))
        try:
            lowered = lower(way, wanted)
        except Refused as problem:
            raise UsageError(f"'{recurrence.name}' cannot be exported as C: {problem}") from None
        placement, assignment = place(lowered), Assignment(lowered)
        names = self.memory(whole, assignment, given, kept)
        labels = {b: label for n, b in assignment.own.items() if (label := readable(whole).get(n))}
        for b in placement.scratch:
            if b not in names:
                names[b] = self.named_scratch(b, labels.get(b, ""))
        for b in assignment.own.values():
            if b.kind == TABLE_ROW:
                names[b] = self.row(b, names)
        stages = (*placement.before, *placement.step, *placement.after)
        self.statements += _in_place(list(_renamed(stages, names)))
        self.copy_others(whole, assignment, names, kept)

    def memory(
        self, whole: Recurrence, assignment: Assignment, given: Mapping[str, Buffer], kept: Mapping[str, Buffer]
    ) -> dict[Buffer, Buffer]:
        """The named memory of everything that is read or returned."""
        own, names = assignment.own, dict[Buffer, Buffer]()
        names |= {own[x]: given[n] for n, x in whole.inputs.items() if x in own}
        self.given |= {x: given[n] for n, x in whole.inputs.items()}
        names |= {own[s]: self.states[n] for n, s in whole.states.items() if s in own}
        for n, target in kept.items():
            if (b := assignment.kept.get(whole.returns[n])) is not None:
                names.setdefault(b, target)
        names |= {own[n]: self.constant(whole, n, False) for n in assignment.made.fixed if own[n] not in names}
        names |= {b: self.constant(whole, n, True) for n, b in assignment.matrices.items()}
        return names

    def row(self, b: Buffer, names: Mapping[Buffer, Buffer]) -> Buffer:
        """Memory for the row of a table that a token names, with the statement that takes it."""
        assert b.row_of is not None and isinstance(b.size, Size)
        table, token = b.row_of
        local = self.named_scratch(b, "row")
        self.statements.append(Take(b.size, Part(names[table]), Part(names[token]), Part(local)))
        return local

    def named_scratch(self, b: Buffer, label: str) -> Buffer:
        """Memory of the step itself; a copy of the vector of a product, which is not needed, is only marked."""
        if b.name.startswith("g"):
            return Buffer(GATHERED + b.name, LANE, b.size)
        found = Buffer(self.names.new(label or f"t{len(self.local)}"), LANE, b.size, token=b.token)
        self.local[found] = None
        return found

    def constant(self, whole: Recurrence, node: Node, product: bool) -> Buffer:
        """A constant, computed in float64."""
        if (node, product) not in self.by_node:
            like = torch.zeros((), dtype=torch.float64)
            known = {whole.parameters[n]: v for n, v in self.parameters().items() if n in whole.parameters}
            value = evaluate([node], known, self.sizes, like)[node]
            printer = Printer(NOTATIONS["text"], speller(whole, NOTATIONS["text"], "t", {}))
            equation = "" if node.op == "parameter" else printer.expression(node)
            name = self.prefix + self.constant_names.new(node["name"] if node.op == "parameter" else _spelled(node))
            value = value.reshape(node.type.shape(self.sizes)) if node.type.kind != TOKEN else value
            found = _buffer(name, "matrix" if product else "fixed", node)
            self.by_node[node, product] = found
            self.constants[found] = Constant(name, value, equation, product, node)
        return self.by_node[node, product]

    def parameters(self) -> dict[str, Tensor]:
        return {node["name"]: value for node, value in self.values.items()}

    def copy_others(
        self, whole: Recurrence, assignment: Assignment, names: Mapping[Buffer, Buffer], kept: Mapping[str, Buffer]
    ) -> None:
        """Copy what is returned under a second name, and what is not computed: inputs and constants."""
        done: dict[Node, Buffer] = {}
        for n, target in kept.items():
            node = whole.returns[n]
            if node in assignment.kept and node not in done:
                done[node] = target
                continue
            source = done.get(node) or self.given.get(node)
            if source is None and (own := assignment.own.get(node)) is not None:
                source = names.get(own, own)
            if source is None:
                source = self.constant(whole, node, False)
            self.statements.append(Copy(source.size, Part(source), Part(target)))


def _read_at_every_step(recurrence: Recurrence) -> Recurrence:
    """The recurrence with inputs that may change at every step in place of those that are fixed in time, so that all
    that depends on them is computed in the step."""
    new = {
        n: leaf("input", x.type, x.source, name=n, delayed=True) if n in recurrence.fixed else x
        for n, x in recurrence.inputs.items()
    }
    leaves = {x: x for x in recurrence.leaves.values()} | {recurrence.inputs[n]: x for n, x in new.items()}
    done = rewrite(recurrence.returns.values(), leaves, same_op)
    labels = {done[node]: n for node, n in recurrence.labels.items() if node in done}
    returns = {n: done[node] for n, node in recurrence.returns.items()}
    return replace(recurrence, inputs=new, returns=returns, labels=labels)


def _renamed(statements: Iterable[Placed], names: Mapping[Buffer, Buffer]) -> Iterator[Statement[Buffer]]:
    """The statements with names for their memory, without those about many steps."""
    for s in statements:
        if not isinstance(s, Ahead | Begin | End):

            def read(part: Part[Buffer]) -> Part[Buffer]:
                return Part(names.get(part.of, part.of), part.offset)

            yield rewritten(s, read, lambda part: [read(part)], names)


def _in_place(statements: list[Statement[Buffer]]) -> Iterator[Statement[Buffer]]:
    """The statements, where products read their vectors in place: those of one sequence need no regular rows."""
    copied = {s.to.of: s.x for s in statements if isinstance(s, Copy) and s.to.of.name.startswith(GATHERED)}
    for s in statements:
        if isinstance(s, Copy) and s.to.of in copied:
            continue
        yield replace(s, x=copied[s.x.of]) if isinstance(s, Product) and s.x.of in copied else s


def _buffer(name: str, kind: str, n: Node) -> Buffer:
    dims = n.type.dims
    size: Size | Area = Size.of(1) if n.type.kind == TOKEN or not dims else Area(*dims) if len(dims) == 2 else dims[0]
    return Buffer(name, kind, size, token=n.type.kind == TOKEN)


def _spelled(node: Node) -> str:
    """A name for a computed constant: the parameters that it is computed from."""
    found: list[str] = []

    def visit(n: Node) -> None:
        if n.op == "parameter" and n["name"] not in found:
            found.append(n["name"])
        for a in n.args:
            visit(a)

    visit(node)
    return "_".join(found[:3]) or "constant"
