"""Calls of a network that are like an earlier one, with as little Python around C as there can be: a dense batch of
vectors on engine ``c``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from ..engines.bound import run_bound
from ..engines.c.bound import Bound, bind
from ..engines.call import Call
from ..sequence.state import State

_hooks: Any = torch._C._autograd._top_saved_tensors_default_hooks


class BoundCall:
    """A call that is bound (``engines/c/bound.py``), from the arguments of a network to its results.

    Args:
        bound: the engine's part.
        zeros: the initial states if none are given.
    """

    def __init__(self, bound: Bound, zeros: list[Tensor]) -> None:
        self.bound, self.zeros = bound, zeros
        self.inputs, self.states, _ = bound.names
        self.returns = tuple(bound.kind.recurrence.returns)

    @staticmethod
    def of(call: Call, last_states: bool) -> BoundCall | None:
        """What runs calls like this one; None if they need more. last_states: for sequences, not for a step."""
        if call.layout.steps is None:
            return None
        lead = (call.layout.count, call.layout.steps) if last_states else (call.layout.count,)
        sizes = [[d.value(call.sizes) for d in node.type.dims] for node in call.recurrence.returns.values()]
        keep = torch.is_grad_enabled() and not call.narrow
        bound = bind(call, [(*lead, *size) for size in sizes], keep, last_states)
        return BoundCall(bound, [torch.zeros_like(s) for s in call.state.values()]) if bound else None

    def run(
        self, series: dict[str, Tensor], state: State | None, weights: Collection[Tensor]
    ) -> tuple[dict[str, Tensor], State] | None:
        """The results by name and the state after them. None if a tensor is to be saved in another way.

        Args:
            series: the inputs by name.
            state: all initial states, or None for zeros.
            weights: the parameters in the order of the circuit, all contiguous.
        """
        if _hooks(False):
            return None
        start = self.zeros if state is None else [state[n].contiguous() for n in self.states]
        values = run_bound(self.bound, [*[series[n].contiguous() for n in self.inputs], *start, *weights])
        found = dict(zip(self.returns, values, strict=False))
        ends = values[len(self.returns) :] or [found[n] for n in self.states]
        return found, State.of(dict(zip(self.states, ends, strict=True)))
