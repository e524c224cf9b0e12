"""Every value and every gradient of one sequence: the unfolded graph evaluated by the definition of correct, in
float64, and torch's autograd through it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..draw.reduce import reduce
from ..graph.node import REAL, TOKEN, Node
from ..transform.evaluate import evaluate
from ..transform.unfold import Unfolded, unfold
from .subject import Layer, Subject


@dataclass(frozen=True)
class Problem:
    """The first number that is not finite: step, value or gradient, name and unit (from 1)."""

    step: int
    name: str
    unit: int
    kind: str  # NaN, ∞ or -∞
    gradient: bool

    def __str__(self) -> str:
        what = "On the way back, the" if self.gradient else "The"
        where = f"{'∇' * self.gradient}{self.name} at step {self.step}, unit {self.unit}"
        return f"Not all numbers are finite. {what} first is {self.kind}: {where}."


@dataclass(frozen=True)
class Measured:
    """values: by name (steps, units), tokens (steps, 1); gradients: of the total loss, likewise, for what it depends
    on; saliency: the length of the gradient at the first layer's input, step by step."""

    layer: Layer
    unfolded: Unfolded
    values: dict[str, Tensor]
    gradients: dict[str, Tensor]
    total: float
    saliency: Tensor
    problem: Problem | None


def measure(subject: Subject, layer: int) -> Measured:
    """The values of a layer (from 0) while all of them read the sequence, and their gradients."""
    graphs = [unfold(part.recurrence, subject.steps + (not part.recurrence.inputs)) for part in subject.layers]
    series = {n: list(values[:, None]) for n, values in subject.inputs.items()}  # by name and step: (1, size) or (1,)
    first: list[Tensor] = []
    for k, (part, graph) in enumerate(zip(subject.layers, graphs, strict=True)):
        leaves = _leaves(part, graph, series)
        first = first or [leaves[n] for n in graph.inputs.values() if n.type.kind == REAL]
        like = torch.empty(0, dtype=torch.float64)
        result = evaluate(_nodes(graph), leaves, part.sizes, like)
        series[part.reads] = [result[graph.values[part.gives, t]] for t in graph.times] if part.gives else []
        if k == layer:
            named, seen = _named(part, graph), result
    losses = [result[graph.values[subject.scored.loss, t]] for t in graph.times]
    total = losses[-1].sum() if subject.once else torch.stack([loss.sum() for loss in losses]).sum()
    computed = {node: k for k, node in enumerate(seen)}
    named = dict(sorted(named.items(), key=lambda item: computed[item[1][0]]))
    values = {n: _rows([seen[node] for node in nodes]) for n, nodes in named.items()}
    wanted = [n for n, nodes in named.items() if seen[nodes[-1]].requires_grad]
    found = _gradients(total, [seen[node] for n in wanted for node in named[n]] + first)
    steps, gradients = len(graphs[layer].times), {}
    for k, n in enumerate(wanted):
        pieces = found[k * steps : (k + 1) * steps]
        if any(g is not None for g in pieces):
            at = [seen[node] for node in named[n]]
            gradients[n] = _rows([torch.zeros_like(v) if g is None else g for g, v in zip(pieces, at, strict=True)])
    read = [g for g in found[len(wanted) * steps :] if g is not None]
    saliency = torch.stack([g.norm() for g in read]) if len(read) == steps else torch.zeros(0)
    values = {n: v.detach() for n, v in values.items()}
    problem = locate(values, gradients, graphs[layer].times[0])
    return Measured(subject.layers[layer], graphs[layer], values, gradients, float(total.detach()), saliency, problem)


def _gradients(total: Tensor, tensors: list[Tensor]) -> list[Tensor | None]:
    if not total.requires_grad:
        return [None] * len(tensors)
    return list(torch.autograd.grad(total, tensors, allow_unused=True))


def _nodes(graph: Unfolded) -> Iterable[Node]:
    return [*graph.values.values(), *(n for n in graph.labels if n.args)]


def _leaves(part: Layer, graph: Unfolded, series: dict[str, list[Tensor]]) -> dict[Node, Tensor]:
    step = part.recurrence
    leaves = {node: part.parameters[n].clone().requires_grad_() for n, node in step.parameters.items()}
    for name, node in graph.start.items():
        zero = torch.zeros(1, node.type.entries(part.sizes), dtype=torch.float64)
        leaves[node] = part.start.get(name, zero).clone().requires_grad_()
    for (name, t), node in graph.inputs.items():
        value = series[name][t - graph.times[0]]
        if node.type.kind == TOKEN:
            leaves[node] = value
        elif value.is_floating_point():
            copy = value.clone()  # its gradient is what this layer alone sends back
            leaves[node] = copy if copy.requires_grad else copy.requires_grad_()
        else:  # a whole number in the place of a vector is its one-hot vector
            size = node.type.dims[0].value(part.sizes)
            leaves[node] = torch.nn.functional.one_hot(value, size).double().requires_grad_()
    return leaves


def _named(part: Layer, graph: Unfolded) -> dict[str, list[Node]]:
    """The node of every value that is drawn, step by step."""
    at = {(name, t): node for node, (name, t) in graph.labels.items()}
    at |= {**graph.inputs, **graph.values}
    return {n: [at[n, t] for t in graph.times] for n in reduce(part.recurrence).values if (n, graph.times[-1]) in at}


def _rows(series: list[Tensor]) -> Tensor:
    """(steps, units)."""
    return torch.stack([v.reshape(-1).double() for v in series])


def locate(values: dict[str, Tensor], gradients: dict[str, Tensor], first: int) -> Problem | None:
    """Where the first number is that is not finite: forward, and, if all of those are finite, backward. Values come in
    the order in which they are computed."""
    for group, backward in ((values, False), (gradients, True)):
        found = []
        for order, (name, rows) in enumerate(reversed(group.items()) if backward else group.items()):
            bad = (~torch.isfinite(rows)).nonzero()
            if len(bad):
                t, unit = bad[bad[:, 0] == (bad[:, 0].max() if backward else bad[:, 0].min())][0].tolist()
                found.append((-t if backward else t, order, name, unit, float(rows[t, unit])))
        if found:
            t, _, name, unit, value = min(found)
            kind = "NaN" if value != value else "∞" if value > 0 else "-∞"
            return Problem(abs(t) + first, name, unit + 1, kind, backward)
    return None
