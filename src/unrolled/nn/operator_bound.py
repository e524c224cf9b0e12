"""Calls of operators (``operator.py``) that are bound (``engines/c/bound.py``): a call like an earlier one skips the
checks, which take longer than some steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..engines.border import Guards, as_given, guards
from ..engines.c.bound import Bound, backward, bind
from ..engines.kept import whole
from ..engines.registry import ENGINES
from .description import STEP
from .memory import Store
from .operator_call import Made

MOST = 256  # kinds of calls in the cache


@dataclass(frozen=True, eq=False)
class Ready:
    """A kind of call.

    Attributes:
        bound: what runs it.
        guards: the kinds of its tensors.
        order: for each leaf of the call, its position among the tensors; -1 for a state that is not given.
        zeros: the states that are not given, by their position among the leaves.
        returns: the number of returned values.
        ends: whether the states after the last steps are returned, too.
    """

    bound: Bound
    guards: Guards
    order: list[int]
    zeros: dict[int, Tensor]
    returns: int
    ends: bool

    def leaves(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return [self.zeros[k] if i < 0 else tensors[i].contiguous() for k, i in enumerate(self.order)]

    def run(self, tensors: Sequence[Tensor], keep: bool) -> list[Tensor]:
        """The results of ``operator.run``."""
        given, kept = self.bound.forward(self.leaves(tensors))
        results = given if self.ends else given[: self.returns]
        return [*results, *whole(self.bound.kind, kept)] if keep else results

    def pull(
        self,
        tensors: Sequence[Tensor],
        results: Sequence[Tensor],
        sent: Sequence[Tensor | None],
        wanted: Sequence[bool],
    ) -> list[Tensor] | None:
        """The result of ``operator.pull``; None if that is not bound."""
        leaves = self.leaves(tensors)
        needed = tuple(i >= 0 and wanted[i] for i in self.order)
        found = backward(self.bound, [*leaves, *results], needed, sent)
        if found is None:
            return None
        each = dict(zip(self.order, found, strict=True))
        given = ((t, each[i]) for i, t in enumerate(tensors) if wanted[i])
        return [torch.zeros_like(t) if g is None else g for t, g in given]


_ready: dict[tuple[object, ...], Ready] = {}


def ready(operator: str, text: str, steps: int | None, tensors: Sequence[Tensor]) -> Ready | None:
    """The kind of a call, if it is in the cache. operator: 'run' or 'pull'; torch sets other guards in the latter."""
    found = _ready.get(_key(operator, text, steps, tensors))
    return found if found is not None and found.guards.check(*_once(tensors)) else None


def remember(operator: str, text: str, steps: int | None, tensors: Sequence[Tensor], made: Made) -> None:
    """Cache a call of dense sequences that has passed the checks, if engine 'c' runs it."""
    about, call, layout = made.about, made.call, made.call.layout
    plain = (
        isinstance(about.memory, Store)
        and made.engine is ENGINES["c"]
        and about.plain
        and about.shapes
        and not about.given
    )
    if not plain or layout.steps is None or any(t.dtype != call.like.dtype or not as_given(t) for t in tensors):
        return
    lead = (layout.count,) if about.kind == STEP else (layout.count, layout.steps)
    step = call.recurrence
    sizes = {n: node.type.entries(call.sizes) for n, node in step.returns.items()}
    bound = bind(call, [(*lead, n) for n in sizes.values()], keep=True, last_states=about.kind != STEP)
    if bound is None:
        return
    place = {n: i for i, n in enumerate(about.leaves)}
    order = [place.get(n, -1) for n in call.leaves]
    zeros = {k: s for k, s in enumerate(call.leaves.values()) if order[k] < 0}
    if len(_ready) >= MOST:
        _ready.clear()
    known = Ready(bound, guards(_once(tensors)), order, zeros, len(sizes), about.kind != STEP)
    _ready[_key(operator, text, steps, tensors)] = known


def _key(operator: str, text: str, steps: int | None, tensors: Sequence[Tensor]) -> tuple[object, ...]:
    return operator, text, steps, torch.get_num_threads(), len(_once(tensors)), *[t.shape for t in tensors]


def _once(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors without repetition, since guards reject one that occurs twice, such as the zeros of two states."""
    return list({id(t): t for t in tensors}.values())
