"""The pass of one layer over a batch, any part of which can be run again on the network's own engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..graph.bind import by_row
from ..graph.node import TOKEN
from ..nn.passes import Pass, recorded
from ..nn.recurrent import Recurrent
from ..nn.result import Result
from ..sequence.ragged import Ragged
from ..sequence.series import Series, in_layout_of, padded, select, values_of
from ..sequence.state import State

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Trajectory:
    """The pass of a layer over a batch. Scalar states have size 1 here.

    Attributes:
        layer: its name in the model.
        net: the layer.
        inputs: by name, (batch, time, ...).
        fixed: the inputs that are fixed in time, by name (batch, ...), or a Ragged of matrices.
        given: what replaces states, by name (batch, time, ...), and booleans (batch, time).
        shapes: the shape of each state for one sequence, as the network takes it.
        start: the initial states, by name (batch, size).
        out: the outputs and states, by name (batch, time, ...).
        fed: the states as the next step reads them: those in ``out``, or what was given.
        direct: the gradient of the loss with respect to ``out``, except through the layer's own recurrence.
        stretches: (sequence, first step, last step + 1) without a reset in between, the longest first.
    """

    layer: str
    net: Recurrent
    inputs: Values
    fixed: Mapping[str, Series]
    given: Mapping[str, tuple[Tensor, Tensor]]
    shapes: Mapping[str, tuple[int, ...]]
    start: Values
    out: Values
    fed: Values
    direct: Values
    stretches: tuple[tuple[int, int, int], ...]

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states through which gradients flow: all but tokens."""
        recurrence = self.net.circuit.recurrence
        return tuple(n for n in recurrence.states if n not in recurrence.tokens)

    @property
    def units(self) -> int:
        """The total size of the states."""
        return sum(self.start[n].shape[1] for n in self.states)

    @property
    def longest(self) -> int:
        """The length of the longest stretch."""
        return max((end - first for _, first, end in self.stretches), default=0)

    def before(self, rows: Tensor, steps: Tensor) -> Values:
        """The states before some steps of some sequences, without tokens.

        Args:
            rows: the sequences (points,).
            steps: the step of each (points,).

        Returns:
            by name, (points, size).
        """
        return self._before(self.states, rows, steps)

    def tokens_before(self, rows: Tensor, steps: Tensor) -> Values:
        """The states that are tokens, in the same form: (points, 1)."""
        return self._before(tuple(sorted(self.net.circuit.recurrence.tokens)), rows, steps)

    def _before(self, names: tuple[str, ...], rows: Tensor, steps: Tensor) -> Values:
        begins = {(row, first): first > 0 for row, first, _ in self.stretches}
        zero = [begins.get(at, False) for at in zip(rows.tolist(), steps.tolist(), strict=True)]
        reset, late = torch.tensor(zero)[:, None], (steps > 0)[:, None]
        found = {n: torch.where(late, self.fed[n][rows, steps - 1], self.start[n][rows]) for n in names}
        return {n: s.masked_fill(reset, 0) for n, s in found.items()}

    def memories(self, rows: Tensor) -> dict[str, Series]:
        """The inputs that are fixed in time of some sequences (points,), by name."""
        return {n: select(x, rows) for n, x in self.fixed.items()}

    def run(self, rows: Tensor, first: Tensor, steps: int, state: Values, learning: bool = False) -> Result:
        """Run part of some sequences again.

        Args:
            rows: the sequences (points,).
            first: the first step of each (points,).
            steps: number of steps.
            state: the state before, by name (points, size); tokens are those of the pass.
            learning: whether parameters get gradients; the state always does.
        """
        time = first[:, None] + torch.arange(steps)
        read = {n: x[rows[:, None], time] for n, x in self.inputs.items()}
        given = {n: tuple(x[rows[:, None], time] for x in pair) for n, pair in self.given.items()}
        held = [p for p in self.net.parameters() if p.requires_grad and not learning]
        for p in held:
            p.requires_grad_(False)
        try:
            begun = self.tokens_before(rows, first) | state
            start = State(**{n: s.view(len(s), *self.shapes[n]) for n, s in begun.items()})
            timed = None if read or given else steps
            result: Result = self.net(state=start, given=given, steps=timed, **read, **self.memories(rows))
            return Result(_wide(self.net, {n: result[n] for n in result}), State.of(_wide(self.net, result.state)))
        finally:
            for p in held:
                p.requires_grad_()


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """A model in evaluation mode, so that each of its calls sees the same masks and noise: their means."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def follow(model: nn.Module, loss: Callable[[], Tensor]) -> list[Trajectory]:
    """Record the passes of all recurrent layers while a loss is computed. The model is left unchanged."""
    frozen = [p for p in model.parameters() if not p.requires_grad]
    for p in frozen:  # otherwise no gradient would flow through frozen layers
        p.requires_grad_()
    try:
        with evaluated(model), recorded(model) as runs:
            total = loss()
    finally:
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
    _check(run)
    stretches = []
    for row, length in enumerate(run.lengths.tolist()):
        cuts = [0, *(t for t in run.reset[row, :length].nonzero().flatten().tolist() if t), length]
        stretches += [(row, a, b) for a, b in pairwise(cuts) if b > a]
    stretches.sort(key=lambda s: s[1] - s[2])
    inputs, start, out = ({n: v.detach() for n, v in of.items()} for of in (run.inputs, run.start, run.out))
    fixed: dict[str, Series] = {
        n: x.map(Tensor.detach) if isinstance(x, Ragged) else x.detach() for n, x in run.fixed.items()
    }
    given = {n: (values.detach(), there) for n, (values, there) in run.given.items()}
    shapes = {n: tuple(s.shape[1:]) for n, s in start.items()}
    fed = {n: run.fed(n, out[n]).detach() for n in run.net.circuit.states}
    start, out, fed, direct = (_wide(run.net, values) for values in (start, out, fed, direct))
    return Trajectory(run.layer, run.net, inputs, fixed, given, shapes, start, out, fed, direct, tuple(stretches))


def _check(run: Pass) -> None:
    """Refuse a layer whose steps are connected by no numbers."""
    recurrence = run.net.circuit.recurrence
    if not recurrence.states.keys() - recurrence.tokens:
        raise InputError(
            f"every state of '{recurrence.name}' is a token, and no gradient flows through tokens: there is nothing to "
            "diagnose"
        )
    ragged = [n for n, x in run.fixed.items() if isinstance(x, Ragged)]
    for n in recurrence.states:
        if ragged and n in by_row(recurrence):
            raise InputError(
                f"the state '{n}' of '{recurrence.name}' has one entry per row of a memory, and '{ragged[0]}' is "
                "Ragged. To diagnose it, give memories of one length: a tensor (batch, rows, size)"
            )


def _wide(net: Recurrent, values: Mapping[str, Tensor]) -> Values:
    """The same values as vectors: scalar states and tokens get a dimension of size 1, matrices are flattened."""
    types = {n: node.type for n, node in net.circuit.recurrence.returns.items()}

    def vector(n: str, v: Tensor) -> Tensor:
        single = n in net.circuit.states and (types[n].kind == TOKEN or not types[n].dims)
        return v[..., None] if single else v.flatten(-2) if len(types[n].dims) == 2 else v

    return {n: vector(n, v) for n, v in values.items()}
