"""Passes of the recurrent layers of any model, recorded for diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..graph.node import TOKEN, Node
from ..graph.recurrence import Recurrence
from ..sequence.series import Series, lengths_of, padded, select
from ..transform.masked import masked
from .calls import parted
from .fixed import fixed_inputs
from .recurrent import Recurrent
from .result import Result

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Pass:
    """A pass of a recurrent layer over a batch.

    inputs, out: by name, padded with zeros: (batch, time, ...).
    fixed: the inputs that are fixed in time, by name: (batch, ...), or a Ragged of matrices.
    given: what replaces states (teacher forcing), by name: values (batch, time, ...), and booleans (batch, time).
    start: the initial state, by name: (batch, ...).
    reset: where the state starts anew: booleans (batch, time).
    lengths: the steps of each sequence: (batch,).
    series: the outputs in the layout in which the layer returned them.
    """

    layer: str
    net: Recurrent
    inputs: Values
    fixed: Mapping[str, Series]
    given: Mapping[str, tuple[Tensor, Tensor]]
    start: Values
    out: Values
    reset: Tensor
    lengths: Tensor
    series: Mapping[str, Series]

    def rows(self, step: int) -> Tensor:
        """The sequences that have a step: (rows,)."""
        return (self.lengths > step).nonzero().flatten()

    def fed(self, name: str, own: Tensor, *at: Any) -> Tensor:
        """A state as the next step reads it: what was given, or else the layer's own value.

        Args:
            name: the state.
            own: its value (batch, time, ...), or that at some sequences and steps.
            at: these sequences and steps; all by default.
        """
        if name not in self.given:
            return own
        values, there = (x[at] for x in self.given[name])
        return torch.where(there.view(*there.shape, *[1] * (own.ndim - there.ndim)), values, own)

    def memories(self, rows: Tensor) -> dict[str, Series]:
        """The inputs that are fixed in time of some sequences (rows,), by name."""
        return {n: select(x, rows) for n, x in self.fixed.items()}


@contextmanager
def recorded(model: nn.Module) -> Iterator[list[Pass]]:
    """Record every pass of every recurrent layer of a model while the block runs."""
    passes: list[Pass] = []

    def recording(layer: str) -> Callable[..., None]:
        def hook(net: Recurrent, args: tuple[Any, ...], kwargs: dict[str, Any], out: Result) -> None:
            given, state = parted(args, kwargs.get("state"))
            inputs = dict(zip(net.circuit.inputs, given, strict=False))
            inputs |= {n: v for n, v in kwargs.items() if n in net.circuit.inputs}
            series = {n: out[n] for n in out}
            first = next(iter(series.values()))
            lengths, reset = lengths_of(first), kwargs.get("reset")
            longest = max(lengths.tolist(), default=0)
            begins = torch.zeros(len(lengths), longest, dtype=torch.bool) if reset is None else padded(reset)
            fixed = net.circuit.recurrence.fixed
            read = {n: padded(v) for n, v in inputs.items() if n not in fixed}
            memories = {n: v for n, v in inputs.items() if n in fixed}
            returned = {n: padded(v) for n, v in series.items()}
            zero = {n: returned[n].new_zeros(len(first), *returned[n].shape[2:]) for n in net.circuit.states}
            start = {**zero, **(state or {})}
            forced = {n: _forced(x) for n, x in (kwargs.get("given") or {}).items()}
            passes.append(Pass(layer, net, read, memories, forced, start, returned, begins.cpu(), lengths, series))

        return hook

    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, Recurrent)]
    handles = [module.register_forward_hook(recording(name), with_kwargs=True) for name, module in layers]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()


def _forced(given: Any) -> tuple[Tensor, Tensor]:
    """The values that replace a state, and where they do: padded."""
    values, there = given if isinstance(given, tuple) else (given, None)
    values = padded(values)
    return values, torch.ones(values.shape[:2], dtype=torch.bool) if there is None else padded(there)


def step_with(net: Recurrent, fixed: Mapping[str, Series]) -> tuple[Recurrence, dict[Node, Tensor], dict[str, int]]:
    """The step that runs with some fixed inputs, the values of its leaves that do not change with time, and all sizes.

    >>> step_with(net, {"M": torch.randn(2, 7, 4)})[2]
    {'x': 3, 'h': 4, 'M': 4, 'M_rows': 7}

    Args:
        net: the network.
        fixed: as for a call.
    """
    checked, step = fixed_inputs(net._incoming(), net._sizes, fixed), net.circuit.recurrence
    if checked.ragged:
        step = masked(step, checked.ragged)
    known = {node: net._weights()[n].detach() for n, node in step.parameters.items()}
    known |= {
        step.inputs[n]: as_vectors(x.detach(), step.inputs[n], checked.sizes, net._like().dtype)
        for n, x in checked.values.items()
    }
    return step, known, checked.sizes


def as_vectors(value: Tensor, node: Node, sizes: Mapping[str, int], dtype: torch.dtype) -> Tensor:
    """The values of an input; tokens that are given for a vector as one-hot vectors."""
    if node.type.kind == TOKEN or value.is_floating_point():
        return value
    return nn.functional.one_hot(value.long(), node.type.dims[0].value(sizes)).to(dtype)
