"""Segments of a batch: a few steps of all its sequences, run as a call of their own and recomputed when needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..sequence.layout import Layout
from .call import Call, Engine, Kept

Series = dict[str, Tensor]


@dataclass(frozen=True)
class Piece:
    """A few steps of the sequences that are long enough.

    Attributes:
        layout: the lengths of the piece.
        rows: the rows of the whole series that belong to the piece.
        alive: the sequences that have steps in the piece.
        fresh: which of these sequences start in it (booleans).
        firsts: their first rows in the whole series.
        ends: their last rows within the piece.
        new: which rows belong to no earlier piece (booleans).
    """

    layout: Layout
    rows: Tensor
    alive: Tensor
    fresh: Tensor
    firsts: Tensor
    ends: Tensor
    new: Tensor

    def of(self, call: Call, series: Series) -> Call:
        """The call for this piece alone. Its initial states are taken from the series computed so far."""
        state = {n: s[self.alive] for n, s in call.state.items()}
        if not self.fresh.all():
            before = (self.firsts - 1).clamp(min=0)
            state = {n: torch.where(beside(self.fresh, s), s, series[n][before]) for n, s in state.items()}
        fixed = call.recurrence.fixed
        inputs = {n: x[self.alive if n in fixed else self.rows] for n, x in call.inputs.items()}
        return call._replace(inputs=inputs, state=state, layout=self.layout)


def beside(of_rows: Tensor, values: Tensor) -> Tensor:
    """One number per row (rows,), shaped to combine with values (rows, ...)."""
    return of_rows.view(-1, *[1] * (values.ndim - 1))


class Pieces:
    """A batch cut into pieces of ``every`` steps. With a ``window``, each piece starts ``window`` steps before its end,
    so that pieces overlap."""

    def __init__(self, layout: Layout, every: int, window: int = 0) -> None:
        self.every, self.window = every, window
        self.lengths = torch.tensor(layout.lengths, dtype=torch.int64, device="cpu")
        self.begin = self.lengths.cumsum(0) - self.lengths
        self.resets = torch.tensor(layout.resets, dtype=torch.int64, device="cpu")
        self.count = -(-layout.longest // every)

    def __getitem__(self, number: int) -> Piece:
        place = number * self.every
        alive = (self.lengths > place).nonzero().flatten()
        stop = self.lengths[alive].clamp(max=place + self.every)
        start = (stop - self.window).clamp(min=0) if self.window else torch.full_like(stop, place)
        count, firsts = stop - start, self.begin[alive] + start
        ends = count.cumsum(0)
        rows = torch.arange(int(ends[-1]), device="cpu") + torch.repeat_interleave(firsts - (ends - count), count)
        new = rows >= torch.repeat_interleave(self.begin[alive] + place, count)
        equal = int(count[0]) if bool((count == count[0]).all()) else None
        resets = tuple(torch.isin(rows, self.resets).nonzero().flatten().tolist()) if len(self.resets) else ()
        layout = Layout(tuple(count.tolist()), equal, resets)
        return Piece(layout, rows, alive, start == 0, firsts, ends - 1, new)


def forward(engine: Engine, call: Call, every: int) -> Series:
    """Run an engine piece by piece without storing anything; returns every returned value as a series."""
    pieces, series = Pieces(call.layout, every), Series()
    if not pieces.count:
        return engine.forward(call, keep=False)[0]
    for number in range(pieces.count):
        piece = pieces[number]
        found, _ = engine.forward(piece.of(call, series), keep=False)
        for n, values in found.items():
            if n not in series:
                series[n] = values.new_empty(call.layout.rows, *values.shape[1:])
            series[n][piece.rows] = values
    return series


@dataclass(frozen=True)
class Recomputing:
    """Another engine that stores only what it returns. The backward pass recomputes pieces of ``every`` steps."""

    engine: Engine
    every: int

    @property
    def name(self) -> str:
        """The name of the other engine."""
        return self.engine.name

    def forward(self, call: Call, keep: bool) -> tuple[Series, Kept]:
        """See ``Engine.forward``."""
        if not keep:
            return self.engine.forward(call, keep=False)[0], []
        series = forward(self.engine, call, self.every)
        return series, [series]


class Gradients:
    """The sum of the gradients of all pieces; those of parameters are summed in float64."""

    def __init__(self, call: Call, wanted: set[str]) -> None:
        self.call = call
        self.sums = {n: torch.zeros_like(p, dtype=torch.float64) for n, p in call.parameters.items() if n in wanted}
        self.flows = {n: torch.zeros_like(x) for n, x in call.inputs.items() if n in wanted}

    def add(self, piece: Piece, found: Series) -> None:
        """Add the gradients of one piece."""
        for n in self.sums:
            self.sums[n] += found[n]
        for n in self.flows:
            self.flows[n][piece.alive if n in self.call.recurrence.fixed else piece.rows] += found[n]

    @property
    def found(self) -> Series:
        """The sums so far, by leaf."""
        return self.flows | {n: total.to(self.call.like.dtype) for n, total in self.sums.items()}
