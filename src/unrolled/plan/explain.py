"""A plan in words: what is computed once, before the loop, in it and after it, and what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..graph.equations import is_scalar, readable, speller
from ..graph.node import TOKEN, Node
from ..graph.notation import NOTATIONS
from ..graph.printer import Printer
from ..graph.size import Size, total

if TYPE_CHECKING:
    from .plan import Pass, Plan

PRODUCTS = ("matvec", "matmul", "take")
LOOP = "in the loop, step by step"
FREE = ("slice", "broadcast", "repeat", "constant", "size", "transpose", "concat", "stop_gradient")


def explain(plan: Plan) -> str:
    """The forward pass, the stored values and the backward pass. Sizes are expressions of the circuit's size names."""
    step = plan.step
    trained = [n for n in step.parameters if n not in step.constants]
    forward, backward = plan.forward(keep=True), plan.backward(step.returns, trained)
    adjoint = backward.recurrence
    arriving = {leaf: f"{name}(t+1)" for name, leaf in adjoint.states.items()}
    spell = speller(step, NOTATIONS["text"], "t", {**readable(step), **adjoint.labels})
    printer = Printer(NOTATIONS["text"], lambda node, *where: arriving.get(node) or spell(node, *where))
    kept = [f"  {printer.expression(n)}  ({_dims(n)})" for n in plan.kept if n.type.dims]
    return "\n".join(
        [
            f"{step.name}, forward",
            *_pass(forward, printer),
            "",
            "stored at every step, for the backward pass",
            *([*kept, f"  in total {_numbers(plan.kept)}"] if kept else ["  nothing"]),
            "",
            f"{step.name}, backward",
            *_pass(backward, printer),
            "  at the end, as one product or sum over all steps each",
            *(f"    ∇{name}" for name in backward.sums),
        ]
    )


def _pass(way: Pass, printer: Printer) -> list[str]:
    cut, loop = way.stages, way.loop
    lines = []
    for title, nodes in (
        ("once, from parameters alone", cut.once),
        ("once per sequence, from inputs that are fixed in time", cut.each),
        ("before the loop, for all steps at once", cut.before),
        (LOOP, cut.loop),
        ("after the loop, for all steps at once", cut.after),
    ):
        work = [n for n in nodes if n.op not in FREE]
        if not work and title != LOOP:
            continue
        lines.append(f"  {title}")
        products = [n for n in work if n.op in PRODUCTS]
        lines += [f"    {printer.expression(n)}  ({_work(n)})" for n in products]
        others = len(work) - len(products)
        if others:
            count = _count(n for n in work if n not in products)
            what = f"{others} operation{'s' * (others > 1)} entry by entry or over the features"
            lines.append(f"    {what}  ({count} numbers)")
        if not work:
            why = "values are only passed on" if loop.new else "no cycle is left"
            lines.append(f"    nothing: {why}")
    return lines


def _work(product: Node) -> str:
    dims = _dims(product.args[0])
    return {"matvec": f"{dims} multiply-adds", "take": f"a row of {dims}"}.get(product.op, f"{dims} matrix")


def _count(nodes: Iterable[Node]) -> str:
    """The number of entries of some values: a sum of sizes, and the products of those of matrices."""
    all_nodes = list(nodes)
    lines = [Size.of(1) if is_scalar(n) else n.type.dims[0] for n in all_nodes if len(n.type.dims) < 2]
    linear = total(lines)
    matrices = Counter(_dims(n) for n in all_nodes if len(n.type.dims) == 2)
    products = [f"{times} × {dims}" if times > 1 else dims for dims, times in matrices.items()]
    return " + ".join([str(linear)] * bool(linear.terms or linear.constant or not products) + products)


def _numbers(nodes: Iterable[Node]) -> str:
    count = _count(n for n in nodes if n.type.dims)
    return f"{count} numbers: 4 × ({count}) bytes in float32"


def _dims(node: Node) -> str:
    if node.type.kind == TOKEN:
        return "a token"
    return " × ".join(map(str, node.type.dims))
