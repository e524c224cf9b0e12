"""Where the first NaN or infinity of a batch comes from: the time step, the state or gate, and the sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..graph.node import Node, order
from ..nn.passes import Pass, Values, as_vectors, recorded, step_with
from ..sequence.series import Series, in_layout_of, padded, values_of
from ..sequence.state import State
from ..transform.evaluate import evaluate


@dataclass(frozen=True)
class Fault:
    """The first NaN or infinity. ``name`` is that of the circuit, or the model's name of a parameter; ``step`` and
    ``sequence`` count from 0, or are None."""

    name: str
    value: float
    layer: str = ""
    circuit: str = ""
    step: int | None = None
    sequence: int | None = None

    def __str__(self) -> str:
        where = f" in layer '{self.layer}' ({self.circuit})" if self.circuit else ""
        when = f" at time step {self.step} of sequence {self.sequence}" if self.step is not None else ""
        return f"{self.name} is {self.value}{when}{where}"


def find_fault(model: nn.Module, loss: Callable[[], Tensor]) -> Fault | None:
    """The first NaN or infinity when a loss is computed and differentiated; None if all numbers are finite.

    The forward pass is searched first, in the order of time, then the backward pass, in reverse; within a step in the
    order of computation.

    Args:
        model: with recurrent layers.
        loss: computes the loss of the model, a scalar. Its gradient is added to ``.grad`` of the parameters.
    """
    for name, parameter in model.named_parameters():
        if bad := _first(parameter.detach()):
            return Fault(f"parameter {name}", bad[0])
    with recorded(model) as runs:
        total = loss()
    runs = [run for run in runs if run.lengths.any()]
    found = [(step, i, run) for i, run in enumerate(runs) if (step := _first_step(run)) is not None]
    if found:
        found = [entry for entry in found if _starts_finite(entry[2])] or found
        step, _, run = min(found, key=lambda entry: entry[:2])
        return _within_step(run, step)
    if bad := _first(total.detach().reshape(1)):
        return Fault("the loss", bad[0])
    series = [{n: v for n, v in run.series.items() if values_of(v).requires_grad} for run in runs]
    for value in (v for named in series for v in named.values()):
        values_of(value).retain_grad()
    total.backward()
    for run, named in reversed(list(zip(runs, series, strict=True))):
        if fault := _in_gradient(run, _gradients(named)):
            return fault
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and (bad := _first(parameter.grad)):
            return Fault(f"∇{name}", bad[0])
    return None


def _gradients(series: Mapping[str, Series]) -> Values:
    """The gradients that have arrived at series, padded: (batch, time, ...)."""
    arrived = {n: values_of(v).grad for n, v in series.items()}
    return {n: padded(in_layout_of(series[n], g)) for n, g in arrived.items() if g is not None}


def _first(values: Tensor) -> tuple[float, int] | None:
    """The first value that is NaN or infinite, and its row."""
    wrong = ~torch.isfinite(values)
    if not wrong.any():
        return None
    at = int(wrong.flatten().int().argmax())
    return values.flatten()[at].item(), at // max(values[0].numel(), 1) if values.ndim else 0


def unmasked(node: Node, values: Tensor) -> Tensor:
    """The values of a node, with infinities that its equation writes on purpose, such as a mask, replaced by zero."""
    written = [a["value"] for a in node.args[1:] if a.op == "constant"] if node.op == "where" else []
    for infinity in filter(math.isinf, written):
        values = values.masked_fill(values == infinity, 0)
    return values


def _first_step(run: Pass) -> int | None:
    """The first step at which an input or a value of a layer is NaN or infinite."""
    steps = []
    returns = run.net.circuit.recurrence.returns
    given = [value.detach() for value in run.inputs.values()]
    for value in (*given, *(unmasked(returns[n], value.detach()) for n, value in run.out.items())):
        wrong = ~torch.isfinite(value).flatten(2).all(2) if value.ndim > 2 else ~torch.isfinite(value)
        if wrong.any():
            steps.append(int(wrong.any(0).int().argmax()))
    return min(steps, default=None)


def _starts_finite(run: Pass) -> bool:
    """Whether all is finite that a layer gets before its first step, such as what another network has read."""
    begun = *run.start.values(), *map(values_of, run.fixed.values())
    return all(bool(torch.isfinite(x).all()) for x in begun)


def _within_step(run: Pass, step: int) -> Fault:
    """The first value of a step that is NaN or infinite, in the order of computation."""
    net, rows = run.net, run.rows(step)
    recurrence, known, sizes = step_with(net, run.memories(rows))
    before = run.start if step == 0 else {n: run.fed(n, run.out[n])[:, step - 1] for n in recurrence.states}
    state = State(**{n: before[n].detach() for n in recurrence.states}).select(rows).reset(run.reset[rows, step])
    for n, node in recurrence.states.items():
        known[node] = state[n] if node.type.dims or n in recurrence.tokens else state[n][:, None]
    for n, value in run.inputs.items():
        known[recurrence.inputs[n]] = as_vectors(
            value[rows, step].detach(), recurrence.inputs[n], sizes, net._like().dtype
        )
    reachable = [node for node in recurrence.returns.values() if _given(node, known)]
    values = evaluate(reachable, known, sizes, net._like().detach())
    names = {node: name for name, node in (*recurrence.leaves.items(), *recurrence.returns.items())} | dict(
        recurrence.labels
    )
    leaves = [*recurrence.inputs.values(), *recurrence.states.values()]
    for node in (*leaves, *order(reachable)):
        if node not in names or node not in values or not values[node].is_floating_point():
            continue
        if bad := _first(unmasked(node, values[node])):
            late = f"{names[node]}(t-1)" if node in recurrence.states.values() else names[node]
            return Fault(late, bad[0], run.layer, net.circuit.name, step, int(rows[bad[1]]))
    return Fault("a value", torch.nan, run.layer, net.circuit.name, step, int(rows[0]))


def _given(node: Node, known: Mapping[Node, Tensor]) -> bool:
    """Whether all inputs of a node are known: those that only a loss needs may be absent."""
    return all(leaf in known for leaf in order([node]) if leaf.op in ("input", "state"))


def _in_gradient(run: Pass, direct: Mapping[str, Tensor]) -> Fault | None:
    """The last step at which the gradient of a state is NaN or infinite: the first that back-propagation reaches."""
    for name, gradient in direct.items():
        wrong = ~torch.isfinite(gradient).flatten(2).all(2) if gradient.ndim > 2 else ~torch.isfinite(gradient)
        if wrong.any():
            step = gradient.shape[1] - 1 - int(wrong.any(0).flip(0).int().argmax())
            bad = _first(gradient[:, step])
            assert bad is not None
            return Fault(f"∂L/∂{name}", bad[0], run.layer, run.net.circuit.name, step, bad[1])
    if not direct:
        return None
    with torch.enable_grad():
        states, total = _step_by_step(run, direct)
    moving = [n for n in run.start if n not in run.net.circuit.recurrence.tokens]
    leaves = [state[n] for state in states for n in moving]
    gradients = iter(torch.autograd.grad(total, leaves, allow_unused=True))
    flow = [{n: next(gradients) for n in moving} for _ in states]
    for step in reversed(range(len(flow))):
        for name, value in flow[step].items():
            if value is not None and (bad := _first(value)):
                sequence = int(run.rows(step)[bad[1]])
                return Fault(f"∇{name}", bad[0], run.layer, run.net.circuit.name, step, sequence)
    return None


def _step_by_step(run: Pass, direct: Mapping[str, Tensor]) -> tuple[list[State], Tensor]:
    """Run a pass again, step by step. Returns the states, and a number that has the gradients of the loss."""
    state = State(**{n: v.detach().requires_grad_(v.is_floating_point()) for n, v in run.start.items()})
    states, total = [], torch.zeros(())
    alive = torch.arange(len(run.lengths))
    for step in range(int(run.lengths.max())):
        state, alive = state.select(run.lengths[alive] > step), run.rows(step)
        inputs = {n: v[alive, step].detach() for n, v in run.inputs.items()}
        out = run.net.step(state=state.reset(run.reset[alive, step]), **inputs, **run.memories(alive))
        total = total + torch.stack([(out[n] * g[alive, step]).sum() for n, g in direct.items()]).sum()
        states.append(out.state)
        state = State(**{n: run.fed(n, v, alive, step) for n, v in out.state.items()})
    return states, total
