"""The pass of one layer over a batch, any part of which can be run again on the network's own engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..nn.passes import Pass, recorded
from ..nn.recurrent import Recurrent
from ..nn.result import Result
from ..sequence.series import in_layout_of, padded, values_of
from ..sequence.state import State

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Trajectory:
    """The pass of a layer over a batch. Scalar states have size 1 here.

    Attributes:
        layer: its name in the model.
        net: the layer.
        inputs: by name, (batch, time, ...).
        start: the initial states, by name (batch, size).
        out: the outputs and states, by name (batch, time, ...).
        direct: the gradient of the loss with respect to ``out``, except through the layer's own recurrence.
        stretches: (sequence, first step, last step + 1) without a reset in between, the longest first.
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
        """The names of the states."""
        return self.net.circuit.states

    @property
    def units(self) -> int:
        """The total size of the states."""
        return sum(self.start[n].shape[1] for n in self.states)

    @property
    def longest(self) -> int:
        """The length of the longest stretch."""
        return max((end - first for _, first, end in self.stretches), default=0)

    def before(self, rows: Tensor, steps: Tensor) -> Values:
        """The states before some steps of some sequences.

        Args:
            rows: the sequences (points,).
            steps: the step of each (points,).

        Returns:
            by name, (points, size).
        """
        begins = {(row, first): first > 0 for row, first, _ in self.stretches}
        zero = [begins.get(at, False) for at in zip(rows.tolist(), steps.tolist(), strict=True)]
        reset, late = torch.tensor(zero)[:, None], (steps > 0)[:, None]
        found = {n: torch.where(late, self.out[n][rows, steps - 1], self.start[n][rows]) for n in self.states}
        return {n: s.masked_fill(reset, 0) for n, s in found.items()}

    def run(self, rows: Tensor, first: Tensor, steps: int, state: Values, learning: bool = False) -> Result:
        """Run part of some sequences again.

        Args:
            rows: the sequences (points,).
            first: the first step of each (points,).
            steps: number of steps.
            state: the state before, by name (points, size).
            learning: whether parameters get gradients; the state always does.
        """
        time = first[:, None] + torch.arange(steps)
        read = {n: x[rows[:, None], time] for n, x in self.inputs.items()}
        held = [p for p in self.net.parameters() if p.requires_grad and not learning]
        for p in held:
            p.requires_grad_(False)
        try:
            given = State(**_narrow(self.net, state))
            result: Result = self.net(state=given, steps=None if read else steps, **read)
            return Result(_wide(self.net, {n: result[n] for n in result}), State.of(_wide(self.net, result.state)))
        finally:
            for p in held:
                p.requires_grad_()


def follow(model: nn.Module, loss: Callable[[], Tensor]) -> list[Trajectory]:
    """Record the passes of all recurrent layers while a loss is computed. The model is left unchanged."""
    training, frozen = model.training, [p for p in model.parameters() if not p.requires_grad]
    model.eval()
    for p in frozen:  # otherwise no gradient would flow through frozen layers
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
    if fixed := run.net.circuit.recurrence.fixed:
        raise InputError(
            f"'{run.net.circuit.name}' reads '{fixed[0]}', which is fixed in time; diagnose examines only networks "
            "whose inputs have a value at each step"
        )
    if tokens := sorted(run.net.circuit.recurrence.tokens):
        raise InputError(
            f"the state '{tokens[0]}' of '{run.net.circuit.name}' is a token, through which no gradient flows; "
            "diagnose examines only networks whose states are numbers"
        )
    stretches = []
    for row, length in enumerate(run.lengths.tolist()):
        cuts = [0, *(t for t in run.reset[row, :length].nonzero().flatten().tolist() if t), length]
        stretches += [(row, a, b) for a, b in pairwise(cuts) if b > a]
    stretches.sort(key=lambda s: s[1] - s[2])
    inputs, start, out = ({n: v.detach() for n, v in of.items()} for of in (run.inputs, run.start, run.out))
    start, out, direct = (_wide(run.net, values) for values in (start, out, direct))
    return Trajectory(run.layer, run.net, inputs, start, out, direct, tuple(stretches))


def _ranks(net: Recurrent) -> dict[str, int]:
    return {n: len(node.type.dims) for n, node in net.circuit.recurrence.returns.items()}


def _wide(net: Recurrent, values: Mapping[str, Tensor]) -> Values:
    """The same values as vectors: scalar states get a dimension of size 1, matrices are flattened."""
    rank, states = _ranks(net), net.circuit.states

    def vector(n: str, v: Tensor) -> Tensor:
        return v.flatten(-2) if rank[n] == 2 else v[..., None] if n in states and rank[n] == 0 else v

    return {n: vector(n, v) for n, v in values.items()}


def _narrow(net: Recurrent, states: Mapping[str, Tensor]) -> Values:
    """The states of ``_wide``, (points, size), as the network takes them."""
    types = {n: node.type for n, node in net.circuit.recurrence.states.items()}
    return {n: s.view(len(s), *(d.value(net._sizes) for d in types[n].dims)) for n, s in states.items()}
