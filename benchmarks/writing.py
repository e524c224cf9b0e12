"""Writing with a model of characters: a network that feeds its own symbol back inside the engine's loop, a Python loop
over ``net.step``, and one over torch.nn.GRUCell.

make bench-writing                                  a minute; writes WRITING.md

One thread. The contestants write the same symbols from the same noise, and take turns within one process; the page
shows the shortest turn of each. Times are those of the processor, so that other programs disturb little.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from written_page import write_page

from unrolled import State, cells, gumbel
from unrolled.nn import SequenceModel
from unrolled.nn.interop import to_torch
from unrolled.nn.writer import state_of, writer
from unrolled.speed.machine import machine

HIDDEN, SYMBOLS, STEPS, BATCHES = 256, 65, 200, (1, 8, 64)
LEAST_STEP, LEAST_TORCH = 5.0, 3.0  # the aims


class Contest:
    """Three ways to write with the same model, each from noise (batch, time, symbols) to symbols (batch, time)."""

    def __init__(self) -> None:
        self.model = SequenceModel(cells.gru, SYMBOLS, SYMBOLS, hidden=HIDDEN).eval()
        net = writer(self.model)
        assert net is not None
        self.net, layer = net, to_torch(self.model.first)
        self.cell = nn.GRUCell(SYMBOLS, HIDDEN)
        self.cell.load_state_dict({n.removesuffix("_l0"): p for n, p in layer.state_dict().items()})

    def whole(self, noise: Tensor) -> Tensor:
        """One call of the joined network."""
        start = torch.zeros(len(noise), dtype=torch.int64)
        zeros = State(h=torch.zeros(len(noise), HIDDEN))
        written: Tensor = self.net(noise=noise, state=state_of(start, [zeros])).symbol
        return written

    def by_step(self, noise: Tensor) -> Tensor:
        """A call of ``net.step`` for each symbol."""
        symbol, state = torch.zeros(len(noise), dtype=torch.int64), None
        written = []
        for t in range(noise.shape[1]):
            out = self.model.first.step(symbol, state)
            state = out.state
            symbol = (self.model.read_out(out.h) + noise[:, t]).argmax(1)
            written.append(symbol)
        return torch.stack(written, 1)

    def by_torch(self, noise: Tensor) -> Tensor:
        """A call of torch.nn.GRUCell for each symbol."""
        symbol, h = torch.zeros(len(noise), dtype=torch.int64), torch.zeros(len(noise), HIDDEN)
        written = []
        for t in range(noise.shape[1]):
            h = self.cell(nn.functional.one_hot(symbol, SYMBOLS).float(), h)
            symbol = (self.model.read_out(h) + noise[:, t]).argmax(1)
            written.append(symbol)
        return torch.stack(written, 1)

    def products(self, noise: Tensor) -> None:
        """Only the products of a step, by torch: the arithmetic that every way needs."""
        h = torch.zeros(len(noise), HIDDEN)
        for _ in range(noise.shape[1]):
            h @ self.cell.weight_hh.T
            h @ self.model.read_out.weight.T

    def times(self, noise: Tensor, turns: int) -> list[float]:
        """The microseconds of a step of each way, and of its products alone, in the shortest turn."""
        ways = self.whole, self.by_step, self.by_torch
        first = [way(noise) for way in ways]
        same = [float((other == first[0]).float().mean()) for other in first[1:]]
        assert min(same) > 0.99, f"the contestants wrote different symbols: {same}"
        timed = *ways, self.products
        best = [float("inf")] * len(timed)
        for _ in range(turns):
            for k, way in enumerate(timed):
                begin = time.thread_time()
                way(noise)
                best[k] = min(best[k], time.thread_time() - begin)
        return [1e6 * seconds / noise.shape[1] for seconds in best]


@torch.no_grad()
def page(turns: int) -> Iterator[str]:
    """The lines of WRITING.md."""
    yield "# Writing: results of `make bench-writing`\n"
    yield f"{machine()}; one thread.\n"
    yield f"A GRU of {HIDDEN} units writes {STEPS} of {SYMBOLS} symbols: microseconds per step of all sequences, in the"
    yield "shortest of several turns; then how many times as fast as the two loops the joined network is. The aims:"
    yield f"{LEAST_STEP:g} times a loop over `net.step`, {LEAST_TORCH:g} times a loop over `torch.nn.GRUCell`.\n"
    yield "The last column is the time of the products of a step alone, by torch's matrix product, as a share of the"
    yield "joined network's whole step.\n"
    yield "| sequences | joined | net.step | GRUCell | of net.step | of GRUCell | products, of joined |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    torch.manual_seed(0)
    contest = Contest()
    for batch in BATCHES:
        ours, steps, cell, products = contest.times(gumbel(batch, STEPS, SYMBOLS), turns)
        ratios = f"{steps / ours:.2f} | {cell / ours:.2f} | {products / ours:.0%}"
        yield f"| {batch} | {ours:.1f} | {steps:.1f} | {cell:.1f} | {ratios} |"
    yield ""
    yield "At 64 sequences, the products of the GRU take most of the time of all three."


if __name__ == "__main__":
    write_page("WRITING.md", page, __doc__, turns=15)
