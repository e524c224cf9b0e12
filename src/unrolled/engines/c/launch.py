"""How a compiled pass is run on a batch: who takes which lanes, and where its series go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor

from ...graph.node import TOKEN, Node, is_fixed, order
from ...plan.plan import make_plan
from ...sequence.layout import Layout
from ...sequence.rounding import Narrow
from ...transform.evaluate import execute, instructions
from ..call import Call
from ..lowering.assignment import is_turned
from ..lowering.lower import Lowered
from ..lowering.schedule import Schedule
from .blocks import block
from .kernel import Kernel, kernel
from .lanes import Groups, deal
from .narrow import Readings
from .prepared import Prepared, pack, prepared
from .render import LANES
from .series import Addresses, Block, Tensors

ENOUGH = 2**21  # operations that are worth a thread
FEW = 4  # rows for which matrices are not packed
FEW_TURNED = 32  # the same if all of them are transposes, which are as fast as panels
SMALL = 2**16  # rows times numbers of the largest matrix, the same
LARGE = 2**18  # numbers of a matrix of which threads take parts


@dataclass(frozen=True, eq=False)
class Launch:
    """A compiled pass for one layout.

    groups: the lanes, for ``threads`` threads. given: by node, the shapes of the series that the caller gets. block:
    where all others go. ends_in_block: whether the last states go there, too; otherwise, after a single step, the last
    values are all values. direct: whether C reads matrices as they are, and nothing is prepared.
    """

    kernel: Kernel
    groups: Groups
    threads: int
    given: dict[Node, tuple[int, ...]]
    block: Block
    ends_in_block: bool
    direct: bool

    def room(self, call: Call) -> Tensors:
        """Memory for the series: tensors for those that the caller receives, and a block."""
        rows, of_tokens = call.layout.rows, torch.int64
        made: Tensors = {
            n: call.like.new_empty(rows, *shape, dtype=of_tokens if n.type.kind == TOKEN else None)
            for n, shape in self.given.items()
        }
        return made | {self.block: block(self.block.size)} if self.block.size else made

    def ends(self, room: Tensors, at: Addresses) -> list[int]:
        """The addresses for the last states."""
        if not self.ends_in_block:
            return [at[n] for n in self.kernel.schedule.new]
        if not self.block.ends:
            return []
        base = room[self.block].data_ptr()
        return [base + first for first in self.block.ends]

    def run(self, call: Call, at: Addresses, start: list[int], previous: Addresses, ends: list[int]) -> Tensors:
        """Run the pass. Returns the fixed values.

        Args:
            at: addresses of the series.
            start: addresses of the starting states; none in a pass backward.
            previous: in a pass backward, the addresses of the states that the forward pass started from.
            ends: addresses for the last states.
        """
        made, parameters = self.kernel.schedule, call.parameters
        owner: object  # of the memory that C reads, while it does
        if not self.direct:
            owner = ready = prepared_for(self.kernel, call)
            values, fixed = ready.values, ready.addresses
        elif call.narrow:
            owner = readings = Readings([call.narrow[leaf(n)["name"]] for n in made.matrices])
            values, fixed = {}, [parameters[n["name"]].data_ptr() for n in made.fixed] + readings.addresses
        else:
            read = [parameters[leaf(n)["name"]] for n in (*made.fixed, *made.matrices)]
            owner = [p.untyped_storage() for p in read]
            values, fixed = {n: parameters[leaf(n)["name"]].mT for n in made.once}, [p.data_ptr() for p in read]
        pointers = [at[n] for n in made.moving]
        for n in made.previous:
            pointers += (at[n], previous[n])
        each = of_sequences(made, values, call) if made.each else []
        pointers += [value.data_ptr() for value in each]
        pointers += fixed + start + ends
        pointers += [at[n] for n in made.keep]
        self.kernel.run(self.groups, pointers, self.threads)
        del owner, each
        return values


def leaf(fixed: Node) -> Node:
    """The parameter of a fixed value that is a parameter or its transpose."""
    return fixed.args[0] if is_turned(fixed) else fixed


def launch_for(lowered: Lowered, given: tuple[Node, ...], call: Call, once_in_c: bool = False) -> Launch:
    """How a call runs a pass; the caller receives the series in ``given``. ``once_in_c``: C may compute fixed values
    from parameters in each call."""
    return _launch(
        lowered,
        given,
        tuple(call.sizes.items()),
        call.like.dtype == torch.float64,
        call.layout,
        torch.get_num_threads(),
        False not in [p.is_contiguous() for p in call.parameters.values()],
        once_in_c,
        tuple(call.narrow),
    )


@lru_cache(maxsize=64)
def _launch(
    lowered: Lowered,
    given: tuple[Node, ...],
    sizes: tuple[tuple[str, int], ...],
    double: bool,
    layout: Layout,
    most_threads: int,
    as_they_are: bool,
    once_in_c: bool,
    narrow: tuple[str, ...],
) -> Launch:
    """``as_they_are``: C can read the parameters where they are. ``narrow``: the names of those that are narrow."""
    made = lowered.schedule
    single = layout.longest == 1 and not (layout.empty or made.reverse)
    compiled = kernel(lowered, sizes, double)
    direct = as_they_are and (bool(narrow) or _few(layout, compiled)) and _ready(lowered, once_in_c, narrow)
    if narrow:
        compiled = compiled.with_narrow_matrices()
    elif direct:
        compiled = compiled.with_matrices_as_they_are()
    threads = most_threads if layout.rows * compiled.work >= ENOUGH else 1
    groups = deal(layout, threads, LANES, made.reverse)
    if len(groups) == 1 and not (compiled.largest >= LARGE and made.states):
        threads = 1
    received = {n: n.type.shape(dict(sizes)) for n in made.keep if n in given or n.type.kind == TOKEN}
    others = {n: compiled.sizes[n] for n in made.keep if n not in received}
    ends_in_block = not (single and all(n in made.keep for n in made.new))
    width = {n: 1 if double or n.type.kind != TOKEN else 2 for n in made.states}  # a token takes 8 bytes
    ends = [layout.count * compiled.sizes[n] * width[n] for n in made.states] if ends_in_block else []
    inside = Block.of(others, layout.rows, ends, 8 if double else 4)
    return Launch(compiled, groups, threads, received, inside, ends_in_block, direct)


def _few(layout: Layout, compiled: Kernel) -> bool:
    """Whether products with matrices as they are, without preparation, are faster."""
    turned = all(map(is_turned, compiled.schedule.matrices))
    return layout.rows <= (FEW_TURNED if turned else FEW) or layout.rows * compiled.largest <= SMALL


def _ready(lowered: Lowered, once_in_c: bool, narrow: tuple[str, ...]) -> bool:
    """Whether a pass can run without preparing anything. If there are narrow parameters, it reads them, and no others,
    as matrices."""
    made = lowered.schedule
    if any(leaf(n).op != "parameter" for n in made.matrices):
        return False
    if narrow:
        others = names_of_parameters((*made.fixed, *made.each, *(n for n in made.once if not is_turned(n))))
        if not all(leaf(n)["name"] in narrow for n in made.matrices) or not others.isdisjoint(narrow):
            return False
    if not all(n.op == "parameter" for n in made.fixed):
        return once_in_c and lowered.once is not None
    return once_in_c or all(map(is_turned, made.once))


def prepared_for(compiled: Kernel, call: Call) -> Prepared:
    """The prepared values of a pass for the parameters of a call."""
    if not call.narrow:
        return prepared(compiled, call.parameters, lambda: prepare(compiled, call))
    made, contents = compiled.schedule, dict(call.parameters)
    for n in _widened(compiled, call):
        contents |= {f"{n}, {i}": t for i, t in enumerate(call.narrow[n].tensors)}
    beside = [t for n in made.matrices if (w := _narrow(n, call)) for t in w.tensors]
    return prepared(compiled, contents, lambda: prepare(compiled, call), beside)


def prepare(compiled: Kernel, call: Call) -> Prepared:
    made, step = compiled.schedule, make_plan(call.recurrence).step
    given = call.values((*call.parameters, *_widened(compiled, call)))
    values: dict[Node, Any] = {step.parameters[n]: p.detach() for n, p in given.items()}
    once = [
        n for n in made.once if not _reads_fixed(n) and (not call.narrow or names_of_parameters([n]) <= given.keys())
    ]
    execute(instructions(once, call.sizes, call.like), values)
    fixed = [_whole(values[n], n, call) for n in made.fixed]
    matrices = [_narrow(n, call) or pack(values[n]) for n in made.matrices]
    packed = Readings(matrices) if call.narrow else cast(list[Tensor], matrices)
    return Prepared(fixed, packed, {n: values[n] for n in made.once if n in values})


def _narrow(matrix: Node, call: Call) -> Narrow | None:
    """The narrow parameter that a matrix is, or is the transpose of."""
    return call.narrow.get(leaf(matrix)["name"]) if leaf(matrix).op == "parameter" else None


def _widened(compiled: Kernel, call: Call) -> list[str]:
    """The narrow parameters that are read otherwise than as matrices."""
    made = compiled.schedule
    read = [
        *made.fixed,
        *(n for n in made.once if not is_turned(n)),
        *(n for n in made.matrices if not _narrow(n, call)),
    ]
    return [n for n in names_of_parameters(read) if n in call.narrow]


def names_of_parameters(values: Iterable[Node]) -> set[str]:
    """The names of the parameters that values depend on."""
    return {n["name"] for n in order(list(values)) if n.op == "parameter"}


@lru_cache(maxsize=4096)
def _reads_fixed(node: Node) -> bool:
    return any(is_fixed(n) for n in order([node]))


def of_sequences(made: Schedule, values: Mapping[Node, Tensor], call: Call) -> list[Tensor]:
    """The values that are the same at every step of a sequence: (sequences, ...), contiguous."""
    step = make_plan(call.recurrence).step
    given = call.values(names_of_parameters((*made.once, *made.each))) if call.narrow else call.parameters
    known: dict[Node, Any] = {**values, **{step.parameters[n]: p for n, p in given.items()}}
    known |= {step.inputs[n]: call.inputs[n] for n in step.fixed}
    execute(instructions([n for n in made.once if n not in known], call.sizes, call.like), known)
    return [
        known[n].to(_dtype(n, call)).expand(call.layout.count, *n.type.shape(call.sizes)).contiguous()
        for n in made.each
    ]


def _whole(value: Tensor, node: Node, call: Call) -> Tensor:
    return value.to(_dtype(node, call)).expand(node.type.shape(call.sizes)).contiguous()


def _dtype(node: Node, call: Call) -> torch.dtype:
    """The dtype in which C reads a value: that of the parameters, also for masks, or integers for tokens."""
    return torch.int64 if node.type.kind == TOKEN else call.like.dtype
