"""Saturated and dead units: the slope of every tanh, sigmoid and relu in the equations at some steps of a batch.

The slopes are the derivatives that ``differentiate`` uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..graph.node import TOKEN, Node, order
from ..graph.ops import constant
from ..transform.differentiate import VJP
from ..transform.evaluate import evaluate
from .trajectory import Trajectory

STEEPEST = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0}
FLAT, MOSTLY = 0.1, 0.9  # saturated: slope below a tenth of the steepest, at nine of ten steps or more
FEWEST, SAMPLED = 10, 2000  # least number of steps for a conclusion; most steps to look at


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
    step = path.net.circuit.recurrence
    nodes = [n for n in order([step.returns[s] for s in path.states]) if n.op in STEEPEST and _moves(n)]
    slopes = {node: VJP[node.op](constant(1.0, node.type.dims), node, *node.args)[0] for node in nodes}
    values = evaluate(
        [s for s in slopes.values() if s is not None], _known(path, generator), path.net._sizes, path.net._like()
    )
    names = {node: n for n, node in step.returns.items()} | dict(step.labels)
    found = []
    for node, slope in slopes.items():
        assert slope is not None
        flat = values[slope] < FLAT * STEEPEST[node.op]
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


def _known(path: Trajectory, generator: torch.Generator) -> dict[Node, Tensor]:
    """The inputs of the equations at some steps: (steps, size)."""
    step, (rows, times, _) = path.net.circuit.recurrence, every_step(path)
    chosen = torch.randperm(len(rows), generator=generator)[:SAMPLED]
    rows, times = rows[chosen], times[chosen]
    before = path.before(rows, times)
    known: dict[Node, Tensor] = {node: getattr(path.net, n).detach() for n, node in step.parameters.items()}
    known |= {node: before[n].view(-1, *node.type.shape(path.net._sizes)) for n, node in step.states.items()}
    return known | {step.inputs[n]: _vector(path, n, x[rows, times]) for n, x in path.inputs.items()}


def every_step(path: Trajectory) -> tuple[Tensor, Tensor, Tensor]:
    """All steps of all stretches.

    Returns:
        their sequences, their steps, and the number of earlier steps in the same stretch, all (steps,).
    """
    spans = [(torch.full((b - a,), row), torch.arange(a, b), torch.arange(b - a)) for row, a, b in path.stretches]
    rows, times, behind = (torch.cat(parts) for parts in zip(*spans, strict=True))
    return rows, times, behind


def _vector(path: Trajectory, name: str, value: Tensor) -> Tensor:
    """The value as a vector: tokens given for a vector become one-hot vectors."""
    if path.net.circuit.recurrence.inputs[name].type.kind == TOKEN or value.is_floating_point():
        return value
    return torch.nn.functional.one_hot(value.long(), path.net.sizes[name]).to(path.net._like().dtype)


def _moves(node: Node) -> bool:
    """Whether a value depends on an input or a state, not only on parameters."""
    return any(leaf.op in ("input", "state") for leaf in order([node]))


def _which(mask: Tensor) -> tuple[int, ...]:
    return tuple(mask.nonzero().flatten().tolist())
