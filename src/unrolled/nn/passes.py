"""Passes of the recurrent layers of any model, recorded for diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..sequence.series import Series, lengths_of, padded, values_of
from .calls import parted
from .recurrent import Recurrent
from .result import Result

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Pass:
    """A pass of a recurrent layer over a batch.

    inputs, out: by name, padded with zeros: (batch, time, ...).
    start: the initial state, by name: (batch, ...).
    reset: where the state starts anew: booleans (batch, time).
    lengths: the steps of each sequence: (batch,).
    series: the outputs in the layout in which the layer returned them.
    """

    layer: str
    net: Recurrent
    inputs: Values
    start: Values
    out: Values
    reset: Tensor
    lengths: Tensor
    series: Mapping[str, Series]

    def rows(self, step: int) -> Tensor:
        """The sequences that have a step: (rows,)."""
        return (self.lengths > step).nonzero().flatten()


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
            start = {**net.initial_state(len(first)), **(state or {})}
            lengths, reset = lengths_of(first), kwargs.get("reset")
            longest = max(lengths.tolist(), default=0)
            begins = torch.zeros(len(lengths), longest, dtype=torch.bool) if reset is None else padded(reset)
            fixed = net.circuit.recurrence.fixed
            read = {n: values_of(v) if n in fixed else padded(v) for n, v in inputs.items()}
            returned = {n: padded(v) for n, v in series.items()}
            passes.append(Pass(layer, net, read, start, returned, begins.cpu(), lengths, series))

        return hook

    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, Recurrent)]
    handles = [module.register_forward_hook(recording(name), with_kwargs=True) for name, module in layers]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()
