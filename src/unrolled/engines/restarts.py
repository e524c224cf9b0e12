"""Sequences that restart, as sequences of their own: a call without resets that computes the same values.

A compiled pass adds up the gradients of fixed inputs from the end of a sequence to its beginning, so each part between
resets is a sequence, with the fixed inputs of the one it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..sequence.layout import Layout
from .border import constants
from .call import Call
from .pieces import beside

Run = Callable[[Call], Sequence[Tensor]]


def run_parts(call: Call, run: Run, sequences: bool) -> tuple[Tensor, ...]:
    """Run a call that has resets.

    Args:
        call: the call.
        run: runs a call without resets: the series as rows, then the states after the last steps.
        sequences: as for ``function.run_sequences``.
    """
    layout = call.layout
    lengths, owner, begins, last = _parts(layout)
    device, fixed = call.like.device, call.recurrence.fixed
    owner, begins, last = (index.to(device) for index in (owner, begins, last))
    state = {n: s[owner] for n, s in call.state.items()}
    found = run(
        call._replace(
            inputs={n: x[owner] if n in fixed else x for n, x in call.inputs.items()},
            state={n: torch.where(beside(begins, s), s, torch.zeros_like(s)) for n, s in state.items()},
            layout=Layout(lengths),
        )
    )
    count = len(call.recurrence.returns)
    if not sequences:
        return tuple(found[:count])
    dense = layout.steps is not None
    series = [x.unflatten(0, (layout.count, layout.longest)) if dense else x for x in found[:count]]
    return *series, *(end[last] for end in found[count:])


@constants
def _parts(layout: Layout) -> tuple[tuple[int, ...], Tensor, Tensor, Tensor]:
    """The lengths of the parts, the sequence that each belongs to, whether it starts from the given state, and the last
    part of each sequence."""
    lengths, owner, begins, last, first = list[int](), list[int](), list[bool](), list[int](), 0
    for number, length in enumerate(layout.lengths):
        cuts = {row - first for row in layout.resets if first <= row < first + length}
        edges = sorted({0, length, *cuts}) if length else [0, 0]
        lengths += [b - a for a, b in pairwise(edges)]
        begins += [a == 0 and 0 not in cuts for a in edges[:-1]]
        owner += [number] * (len(edges) - 1)
        last.append(len(lengths) - 1)
        first += length
    return tuple(lengths), torch.tensor(owner), torch.tensor(begins), torch.tensor(last)
