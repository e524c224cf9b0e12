"""Every value and gradient of a layer for one sequence.

``evaluate`` runs the unfolded graph in float64, and torch's autograd differentiates it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..draw.numbers import special
from ..draw.reduce import reduce
from ..graph.node import REAL, TOKEN, Node
from ..transform.evaluate import dtype_of, evaluate
from ..transform.unfold import Unfolded, unfold
from .subject import Layer, Subject


@dataclass(frozen=True)
class Problem:
    """The first number that is not finite: its step, name and unit (from 1), and whether it is a gradient."""

    step: int
    name: str
    unit: int
    kind: str  # NaN, ∞ or -∞
    gradient: bool

    def __str__(self) -> str:
        what = "gradient" if self.gradient else "value"
        where = f"{'∇' * self.gradient}{self.name} is {self.kind} at step {self.step}, unit {self.unit}"
        return f"Not all numbers are finite. The first {what}: {where}."


@dataclass(frozen=True)
class LayerValues:
    """The values and gradients of one layer.

    Attributes:
        layer: the layer.
        unfolded: its unfolded graph.
        values: by name, (steps, units); tokens (steps, 1).
        gradients: of the total loss with respect to each value that it depends on, (steps, units).
        total: the total loss.
        saliency: the norm of the gradient with respect to the input of the first layer, (steps,).
        problem: the first number that is not finite.
    """

    layer: Layer
    unfolded: Unfolded
    values: dict[str, Tensor]
    gradients: dict[str, Tensor]
    total: float
    saliency: Tensor
    problem: Problem | None


def evaluate_layer(subject: Subject, layer: int) -> LayerValues:
    """Run all layers over the sequence and return the values and gradients of one.

    Args:
        subject: the layers and the sequence.
        layer: the index of the layer, from 0.
    """
    graphs = [unfold(part.recurrence, subject.steps + (not part.recurrence.series)) for part in subject.layers]
    fixed = {n for part in subject.layers for n in part.recurrence.fixed}
    series = {  # by name and step, (1, size) or (1,); of fixed inputs one value
        n: [values[None]] if n in fixed else list(values[:, None]) for n, values in subject.inputs.items()
    }
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
    return LayerValues(
        subject.layers[layer], graphs[layer], values, gradients, float(total.detach()), saliency, problem
    )


def tokens(subject: Subject, measured: LayerValues) -> dict[str, list[int]]:
    """The values that are tokens, by name: one number per step."""
    step, found = measured.layer.recurrence, dict[str, list[int]]()
    for name, rows in measured.values.items():
        node = step.returns.get(name) or step.inputs.get(name)
        given = subject.inputs.get(name)
        if node is not None and node.type.kind == TOKEN:
            found[name] = [int(k) for k in rows[:, 0]]
        elif given is not None and not given.is_floating_point():  # one-hot vectors
            found[name] = [int(k) for k in given.expand(len(rows))]
    return found


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
        zero = torch.zeros(1, *node.type.shape(part.sizes), dtype=dtype_of(node, torch.empty(0, dtype=torch.float64)))
        begun = part.start.get(name, zero).clone()
        leaves[node] = begun.requires_grad_() if node.type.kind == REAL else begun
    read = {node: series[name][t - graph.times[0]] for (name, t), node in graph.inputs.items()}
    read |= {node: series[name][0] for name, node in graph.fixed.items()}
    for node, value in read.items():
        if node.type.kind == TOKEN:
            leaves[node] = value
        elif value.is_floating_point():
            copy = value.clone()  # a leaf of its own, so that its gradient comes from this layer only
            leaves[node] = copy if copy.requires_grad else copy.requires_grad_()
        else:  # tokens given for a vector are one-hot vectors
            size = node.type.dims[0].value(part.sizes)
            leaves[node] = torch.nn.functional.one_hot(value, size).double().requires_grad_()
    return leaves


def _named(part: Layer, graph: Unfolded) -> dict[str, list[Node]]:
    """The node of every drawn value at every step."""
    at = {(name, t): node for node, (name, t) in graph.labels.items()}
    at |= {**graph.inputs, **graph.values, **{(n, t): node for n, node in graph.fixed.items() for t in graph.times}}
    return {n: [at[n, t] for t in graph.times] for n in reduce(part.recurrence).values if (n, graph.times[-1]) in at}


def _rows(series: list[Tensor]) -> Tensor:
    """The values of all steps as (steps, units)."""
    return torch.stack([v.reshape(-1).double() for v in series])


def locate(values: dict[str, Tensor], gradients: dict[str, Tensor], first: int) -> Problem | None:
    """The first number that is not finite: first in the forward pass, then in the backward pass.

    Args:
        values: by name (steps, units), in the order of computation.
        gradients: by name (steps, units), in the same order.
        first: the time of the first step.
    """
    for group, backward in ((values, False), (gradients, True)):
        found = []
        for order, (name, rows) in enumerate(reversed(group.items()) if backward else group.items()):
            bad = (~torch.isfinite(rows)).nonzero()
            if len(bad):
                t, unit = bad[bad[:, 0] == (bad[:, 0].max() if backward else bad[:, 0].min())][0].tolist()
                found.append((-t if backward else t, order, name, unit, float(rows[t, unit])))
        if found:
            t, _, name, unit, value = min(found)
            return Problem(abs(t) + first, name, unit + 1, special(value), backward)
    return None
