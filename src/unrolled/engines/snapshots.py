"""Bounded memory: an engine that keeps only the states at the borders of segments, and runs a segment again when the
backward pass comes to it. The gradient is exact: Chen et al. (2016), Training deep nets with sublinear memory cost;
Griewank and Walther (2000), Algorithm 799: revolve. Two levels, segments of equal length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ..sequence.layout import Layout
from .call import Call, Engine

States = dict[str, Tensor]


@dataclass(frozen=True)
class Snapshotting:
    """Another engine, run segment by segment of ``every`` steps."""

    engine: Engine
    every: int

    @property
    def name(self) -> str:
        return self.engine.name

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], list[States]]:
        if not keep:
            return self.engine.forward(call, keep=False)[0], []
        state, snapshots = call.state, []
        series: dict[str, Tensor] = {}
        for segment in segments(call.layout, self.every):
            snapshots.append(state)
            found, _ = self.engine.forward(segment.of(call, state), keep=False)
            for n, values in found.items():
                if n not in series:
                    series[n] = values.new_empty(call.layout.rows, values.shape[1])
                series[n][segment.rows] = values
            state = {n: segment.last(found[n], s) for n, s in state.items()}
        return (series, snapshots) if series else (self.engine.forward(call, keep=False)[0], [])

    def backward(self, call: Call, kept: list[States], grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        arriving = {n: torch.zeros_like(s) for n, s in call.state.items()}
        total = {n: torch.zeros_like(p, dtype=torch.float64) for n, p in call.parameters.items() if n in wanted}
        flows: dict[str, Tensor] = {}
        for segment, state in reversed([*zip(segments(call.layout, self.every), kept, strict=True)]):
            part = segment.of(call, state)
            outputs, again = self.engine.forward(part, keep=True)
            given = {n: g[segment.rows] for n, g in grads.items()}
            for n, gradient in arriving.items():
                given[n] = given[n] if n in given else torch.zeros_like(outputs[n])
                given[n][segment.ends] += gradient[segment.alive]
            found = self.engine.backward(part, again, given, wanted | set(arriving))
            for n in total:
                total[n] += found[n]
            for n in call.inputs.keys() & found.keys():
                if n not in flows:
                    flows[n] = torch.zeros_like(call.inputs[n])
                flows[n][segment.rows] = found[n]
            arriving = {n: gradient.index_copy(0, segment.alive, found[n]) for n, gradient in arriving.items()}
        sums = {n: t.to(call.like.dtype) for n, t in total.items()}
        return flows | sums | {n: g for n, g in arriving.items() if n in wanted}


@dataclass(frozen=True)
class Segment:
    """Some steps of all sequences that have them.

    rows: where they stand in the whole series. alive: which sequences have any. ends: their last rows in the segment.
    """

    layout: Layout
    rows: Tensor
    alive: Tensor
    ends: Tensor

    def of(self, call: Call, state: States) -> Call:
        """The call for this segment alone."""
        return replace(
            call,
            inputs={n: x[self.rows] for n, x in call.inputs.items()},
            state={n: s[self.alive] for n, s in state.items()},
            layout=self.layout,
        )

    def last(self, series: Tensor, state: Tensor) -> Tensor:
        """The states of all sequences after the segment."""
        return state.index_copy(0, self.alive, series[self.ends])


@lru_cache(maxsize=4)
def segments(layout: Layout, every: int) -> tuple[Segment, ...]:
    """The steps 0 to every - 1 of each sequence, the next as many, and so on."""
    lengths = torch.tensor(layout.lengths, dtype=torch.int64)
    begin = lengths.cumsum(0) - lengths
    reset = torch.zeros(layout.rows, dtype=torch.bool)
    reset[list(layout.resets)] = True
    found = []
    for start in range(0, layout.longest, every):
        count = (lengths - start).clamp(0, every)
        alive = count.nonzero().flatten()
        count = count[alive]
        ends = count.cumsum(0)
        rows = torch.arange(int(ends[-1])) + torch.repeat_interleave(begin[alive] + start - (ends - count), count)
        equal = int(count[0]) if bool((count == count[0]).all()) else None
        resets = tuple(reset[rows].nonzero().flatten().tolist())
        found.append(Segment(Layout(tuple(count.tolist()), equal, resets), rows, alive, ends - 1))
    return tuple(found)
