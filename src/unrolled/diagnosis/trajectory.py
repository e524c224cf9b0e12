"""What one layer went through while its model read a batch, and any part of it again, on the network's own engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..nn.passes import Pass, recorded
from ..nn.recurrent import Recurrent
from ..nn.result import Result
from ..sequence.series import in_layout_of, padded, values_of
from ..sequence.state import State

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Trajectory:
    """A layer's pass over a batch.

    inputs, out: what it read and returned, by name (batch, time, ...). start: the states before (batch, size).
    direct: the gradient of the loss at what it returned, by whatever way but its own recurrence; like ``out``.
    States that are scalars have the size 1 here.
    stretches: (sequence, first step, step behind the last), without a reset in between; the longest first.
    """

    layer: str
    net: Recurrent
    inputs: Values
    start: Values
    out: Values
    direct: Values
    stretches: tuple[tuple[int, int, int], ...]

    @property
    def states(self) -> tuple[str, ...]:
        return self.net.circuit.states

    @property
    def units(self) -> int:
        """The size of all states together."""
        return sum(self.start[n].shape[1] for n in self.states)

    @property
    def longest(self) -> int:
        return max((end - first for _, first, end in self.stretches), default=0)

    def before(self, rows: Tensor, steps: Tensor) -> Values:
        """The states that some sequences had before some of their steps: (points, size)."""
        begins = {(row, first): first > 0 for row, first, _ in self.stretches}
        zero = [begins.get(at, False) for at in zip(rows.tolist(), steps.tolist(), strict=True)]
        reset, late = torch.tensor(zero)[:, None], (steps > 0)[:, None]
        found = {n: torch.where(late, self.out[n][rows, steps - 1], self.start[n][rows]) for n in self.states}
        return {n: s.masked_fill(reset, 0) for n, s in found.items()}

    def run(self, rows: Tensor, first: Tensor, steps: int, state: Values, learning: bool = False) -> Result:
        """Some sequences again, each from its own first step on, ``steps`` steps; rows, first: (points,).
        Gradients go to the states alone, unless there is ``learning``."""
        time = first[:, None] + torch.arange(steps)
        read = {n: x[rows[:, None], time] for n, x in self.inputs.items()}
        held = [p for p in self.net.parameters() if p.requires_grad and not learning]
        for p in held:
            p.requires_grad_(False)
        try:
            given = State(**{n: s[:, 0] if n in _scalars(self.net) else s for n, s in state.items()})
            result: Result = self.net(state=given, steps=None if read else steps, **read)
            return Result(_wide(self.net, {n: result[n] for n in result}), State.of(_wide(self.net, result.state)))
        finally:
            for p in held:
                p.requires_grad_()


def follow(model: nn.Module, loss: Callable[[], Tensor]) -> list[Trajectory]:
    """The trajectories of all recurrent layers while a loss is computed; the model is left as it was."""
    training, frozen = model.training, [p for p in model.parameters() if not p.requires_grad]
    model.eval()
    for p in frozen:  # the gradient of the loss passes through them
        p.requires_grad_()
    try:
        with recorded(model) as runs:
            total = loss()
    finally:
        model.train(training)
        for p in frozen:
            p.requires_grad_(False)
    series = [(run, n, values_of(v)) for run in runs for n, v in run.series.items() if values_of(v).requires_grad]
    wanted = [value for _, _, value in series]
    reached = wanted and total.requires_grad
    found = torch.autograd.grad(total, wanted, allow_unused=True) if reached else [None] * len(wanted)
    direct: dict[int, Values] = {id(run): {} for run in runs}
    for (run, name, _), gradient in zip(series, found, strict=True):
        if gradient is not None:
            direct[id(run)][name] = padded(in_layout_of(run.series[name], gradient))
    return [_trajectory(run, direct[id(run)]) for run in runs if run.lengths.any()]


def _trajectory(run: Pass, direct: Values) -> Trajectory:
    stretches = []
    for row, length in enumerate(run.lengths.tolist()):
        cuts = [0, *(t for t in run.reset[row, :length].nonzero().flatten().tolist() if t), length]
        stretches += [(row, a, b) for a, b in pairwise(cuts) if b > a]
    stretches.sort(key=lambda s: s[1] - s[2])
    inputs, start, out = ({n: v.detach() for n, v in of.items()} for of in (run.inputs, run.start, run.out))
    start, out, direct = (_wide(run.net, values) for values in (start, out, direct))
    return Trajectory(run.layer, run.net, inputs, start, out, direct, tuple(stretches))


def _scalars(net: Recurrent) -> set[str]:
    return {n for n, s in net.circuit.recurrence.states.items() if not s.type.dims}


def _wide(net: Recurrent, values: Mapping[str, Tensor]) -> Values:
    """The same with a size of 1 for the states that are scalars."""
    return {n: v[..., None] if n in _scalars(net) else v for n, v in values.items()}
