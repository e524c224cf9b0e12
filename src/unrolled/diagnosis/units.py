"""Saturated and dead units: the slope of every tanh, sigmoid and relu in the equations at some steps of a batch.

The slopes are the derivatives that ``differentiate`` uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..graph.bind import of_data
from ..graph.node import Node, order
from ..graph.ops import constant
from ..graph.recurrence import Recurrence
from ..nn.passes import as_vectors, step_with
from ..sequence.series import values_of
from ..transform.differentiate import VJP
from ..transform.evaluate import evaluate
from ..transform.masked import valid
from .trajectory import Trajectory

STEEPEST = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0}
FLAT, MOSTLY = 0.1, 0.9  # saturated: slope below a tenth of the steepest, at nine of ten steps or more
FEWEST, SAMPLED = 10, 2000  # least number of steps for a conclusion; most steps to look at
ENTRIES = 10_000_000  # most numbers in the memories of those steps


@dataclass(frozen=True)
class Activity:
    """One activation function of the equations.

    Attributes:
        name: its name in the circuit and the function, such as 'n (tanh)'; or an expression, such as 'tanh(c)'.
        function: 'tanh', 'sigmoid' or 'relu'.
        units: number of units.
        saturated: units (from 0) whose slope is below a tenth of the steepest at nine of ten steps or more.
        dead: relu units (from 0) that are zero at every step.
    """

    name: str
    function: str
    units: int
    saturated: tuple[int, ...]
    dead: tuple[int, ...]


def activities(path: Trajectory, generator: torch.Generator) -> tuple[Activity, ...]:
    """The activity of each tanh, sigmoid and relu that a state depends on, in order of computation."""
    step, known, sizes = _some_steps(path, generator)
    nodes = [n for n in order([step.returns[s] for s in path.states]) if n.op in STEEPEST and _moves(n)]
    slopes = {node: VJP[node.op](constant(1.0, node.type.dims), node, *node.args)[0] for node in nodes}
    values = evaluate([s for s in slopes.values() if s is not None], known, sizes, path.net._like())
    there = {n: known[x] > 0.5 for n in of_data(step) if (x := step.inputs.get(valid(n))) is not None}
    names = {node: n for n, node in step.returns.items()} | dict(step.labels)
    found = []
    for node, slope in slopes.items():
        assert slope is not None
        flat = _by_unit(slope, values[slope], there, of_data(step)) < FLAT * STEEPEST[node.op]
        share = flat.double().mean(0) if len(flat) >= FEWEST else torch.zeros(flat.shape[1])
        relu = node.op == "relu"
        saturated, dead = () if relu else _which(share >= MOSTLY), _which(share == 1) if relu else ()
        name = f"{names[node]} ({node.op})" if node in names else f"{node.op}({names.get(node.args[0], '...')})"
        found.append(Activity(name, node.op, len(share), saturated, dead))
    return tuple(found)


def unmoved(path: Trajectory) -> dict[str, tuple[int, ...]]:
    """For each state, the units that have the same value at every step of every sequence."""
    rows, times, _ = every_step(path)
    if len(rows) < FEWEST:
        return {n: () for n in path.states}
    return {n: _which((path.out[n][rows, times] == path.out[n][rows[0], times[0]]).all(0)) for n in path.states}


def _some_steps(path: Trajectory, generator: torch.Generator) -> tuple[Recurrence, dict[Node, Tensor], dict[str, int]]:
    """The step, the values of its leaves at some steps of some sequences (steps, ...), and all sizes."""
    rows, times, _ = every_step(path)
    each = max((values_of(x).numel() // len(x) for x in path.fixed.values()), default=1)
    chosen = torch.randperm(len(rows), generator=generator)[: max(FEWEST, min(SAMPLED, ENTRIES // each))]
    rows, times = rows[chosen], times[chosen]
    step, known, sizes = step_with(path.net, path.memories(rows))
    before = path.before(rows, times) | path.tokens_before(rows, times)
    for n, node in step.states.items():
        known[node] = before[n].flatten() if n in step.tokens else before[n].view(-1, *node.type.shape(sizes))
    for n, x in path.inputs.items():
        known[step.inputs[n]] = as_vectors(x[rows, times], step.inputs[n], sizes, path.net._like().dtype)
    return step, known, sizes


def _by_unit(node: Node, value: Tensor, there: dict[str, Tensor], of_memories: frozenset[str]) -> Tensor:
    """The values of a node by unit: (samples, units). Each row of a memory is a sample, not a unit.

    Args:
        node: the node.
        value: (steps, ...).
        there: by the name of a size that counts rows, which of them are valid, (steps, rows).
        of_memories: the names of all such sizes.
    """
    names = [next(iter({*d.names} & of_memories), "") for d in node.type.dims]
    real = torch.ones_like(value, dtype=torch.bool)
    for axis, name in enumerate(names, 1):
        if name in there:
            real &= there[name].unsqueeze(3 - axis) if value.ndim == 3 else there[name]
    samples = [0, *(axis for axis, name in enumerate(names, 1) if name)]
    others = [axis for axis in range(1, value.ndim) if axis not in samples]
    units = math.prod(value.shape[axis] for axis in others)
    value, real = (x.permute(*samples, *others).reshape(-1, units) for x in (value, real))
    return value[real.all(1)]


def every_step(path: Trajectory) -> tuple[Tensor, Tensor, Tensor]:
    """All steps of all stretches.

    Returns:
        their sequences, their steps, and the number of earlier steps in the same stretch, all (steps,).
    """
    spans = [(torch.full((b - a,), row), torch.arange(a, b), torch.arange(b - a)) for row, a, b in path.stretches]
    rows, times, behind = (torch.cat(parts) for parts in zip(*spans, strict=True))
    return rows, times, behind


def _moves(node: Node) -> bool:
    """Whether a value depends on an input or a state, not only on parameters."""
    return any(leaf.op in ("input", "state") for leaf in order([node]))


def _which(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero().flatten().tolist())
