"""Short calls: our drop-in layers, ``Recurrent`` and single steps beside torch.nn; per-sample gradients and products
with the Hessian beside one gradient.

make bench-small                                    4 minutes; writes SMALL.md

One thread. The contestants of a row take turns within one process, each for about a millisecond; the page shows the
shortest turn of each. Times are those of the processor, so that other programs disturb little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from written_page import write_page

import unrolled
from unrolled import cells
from unrolled.speed.machine import machine

CELLS = {"RNN": cells.rnn, "GRU": cells.gru, "LSTM": cells.lstm}
STEPS, BATCHES, HIDDEN = (1, 2, 5, 25), (1, 8), (16, 64)
LEAST, MEAN, MOST_SAMPLES, MOST_HESSIAN = 1.0, 1.5, 3.0, 4.5  # the aims
TURN = 0.001  # seconds

Call = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """The times of torch.nn, our drop-in layer and ``Recurrent`` at one point, in microseconds."""

    what: str
    torch_nn: float
    layer: float
    network: float

    @property
    def ratios(self) -> tuple[float, float]:
        """How many times as fast as torch.nn the layer and the network are."""
        return self.torch_nn / self.layer, self.torch_nn / self.network

    def __str__(self) -> str:
        times = f"{self.torch_nn:.1f} | {self.layer:.1f} | {self.network:.1f}"
        return f"| {self.what} | {times} | {self.ratios[0]:.2f} | {self.ratios[1]:.2f} |"


def times(calls: Iterable[Call], turns: int) -> list[float]:
    """The microseconds of each call, in its shortest turn."""
    players = []
    for call in calls:
        for _ in range(4):
            call()
        begin = time.thread_time()
        call()
        players.append((call, max(1, int(TURN / (time.thread_time() - begin)))))
    best = [float("inf")] * len(players)
    for _ in range(turns):
        for k, (call, count) in enumerate(players):
            begin = time.thread_time()
            for _ in range(count):
                call()
            best[k] = min(best[k], (time.thread_time() - begin) / count)
    return [1e6 * seconds for seconds in best]


def training(forward: Callable[[], Tensor], module: nn.Module) -> Call:
    """A forward and backward pass."""
    parameters = list(module.parameters())

    def run() -> None:
        for p in parameters:
            p.grad = None
        forward().sum().backward()

    return run


def inference(forward: Callable[[], Tensor], _: nn.Module) -> Call:
    """A forward pass without a gradient."""

    def run() -> None:
        with torch.no_grad():
            forward()

    return run


def layers(kind: Callable[..., Call], turns: int) -> Iterator[Row]:
    """The layers at all points."""
    for name, circuit in CELLS.items():
        for steps in STEPS:
            for batch in BATCHES:
                for hidden in HIDDEN:
                    theirs = getattr(nn, name)(hidden, hidden, batch_first=True)
                    ours = getattr(unrolled.nn, name)(hidden, hidden, batch_first=True)
                    net, x = unrolled.Recurrent(circuit, x=hidden, h=hidden), torch.randn(batch, steps, hidden)
                    calls: list[tuple[Callable[[], Tensor], nn.Module]] = [
                        (lambda m=theirs, x=x: m(x)[0], theirs),
                        (lambda m=ours, x=x: m(x)[0], ours),
                        (lambda m=net, x=x: m(x).h, net),
                    ]
                    found = times((kind(f, m) for f, m in calls), turns)
                    yield Row(f"{name}, T={steps} B={batch} H={hidden}", *found)


def stepped(module: nn.Module, xs: Tensor) -> Callable[[], Tensor]:
    """Some steps of a cell, or of a network."""

    def cell() -> Tensor:
        state: Any = None
        for x in xs:
            state = module(x, state)
        return state if isinstance(state, Tensor) else state[0]

    def network() -> Tensor:
        state = None
        for x in xs:
            state = module.step(x, state=state).state  # type: ignore[operator]
        return state.h  # type: ignore[union-attr, no-any-return]

    return network if isinstance(module, unrolled.Recurrent) else cell


def single_steps(kind: Callable[..., Call], turns: int) -> Iterator[Row]:
    """Five steps of the cells, each a call."""
    for name, circuit in CELLS.items():
        for batch in BATCHES:
            for hidden in (*HIDDEN, 128, 256):
                theirs, ours = (getattr(m, f"{name}Cell")(hidden, hidden) for m in (nn, unrolled.nn))
                net, xs = unrolled.Recurrent(circuit, x=hidden, h=hidden), torch.randn(5, batch, hidden)
                found = times((kind(stepped(m, xs), m) for m in (theirs, ours, net)), turns)
                yield Row(f"{name}Cell, B={batch} H={hidden}", *(t / 5 for t in found))


def derivatives(turns: int) -> Iterator[tuple[str, float, float]]:
    """Per-sample gradients of a batch of 32, and products with the Hessian, relative to one gradient."""
    for name in ("rnn", "gru", "lstm", "layernorm_lstm"):
        for steps, hidden in ((50, 64), (100, 128)):
            net = unrolled.Recurrent(cells.ALL[name], x=hidden, h=hidden)
            x, parameters = torch.randn(32, steps, hidden), list(net.parameters())
            named = {n: p.detach() for n, p in net.named_parameters()}
            v = [torch.randn_like(p) for p in parameters]

            def one(p: dict[str, Tensor], x: Tensor, net: unrolled.Recurrent = net) -> Tensor:
                return functional_call(net, p, (x[None],)).h.square().mean()

            def gradient(create: bool = False, net=net, x=x, parameters=parameters) -> tuple[Tensor, ...]:
                return torch.autograd.grad(net(x).h.square().mean(), parameters, create_graph=create)

            def product(parameters=parameters, v=v, gradient=gradient) -> None:
                torch.autograd.grad(gradient(True), parameters, v)

            samples = vmap(grad(one), (None, 0))
            each = [gradient, lambda samples=samples, named=named, x=x: samples(named, x), product]
            single, many, hessian = times(each, max(5, turns // 4))
            yield f"{name}, T={steps} H={hidden}", many / single, hessian / single


def page(turns: int) -> Iterator[str]:
    """The lines of SMALL.md."""
    yield "# Short calls: results of `make bench-small`\n"
    yield f"{machine()}; one thread.\n"
    yield "Microseconds of the shortest of several turns; then how many times as fast as torch.nn `unrolled.nn` and"
    yield f"`Recurrent` are. The aim for training: at least {LEAST:g} at every point, {MEAN:g} in the geometric mean.\n"
    tables: list[tuple[str, Callable[..., Iterator[Row]], Callable[..., Call]]] = [
        ("Training, sequences", layers, training),
        ("Training, single steps", single_steps, training),
        ("Inference, sequences", layers, inference),
        ("Inference, single steps", single_steps, inference),
    ]
    for title, made, kind in tables:
        yield f"## {title}\n"
        yield "| point | torch.nn | unrolled.nn | Recurrent | unrolled.nn | Recurrent |"
        yield "| --- | --- | --- | --- | --- | --- |"
        rows = list(made(kind, turns))
        yield from map(str, rows)
        for k, name in enumerate(("unrolled.nn", "Recurrent")):
            ratios = [row.ratios[k] for row in rows]
            mean = statistics.geometric_mean(ratios)
            yield f"\n{name}: at least {min(ratios):.2f}, {mean:.2f} in the geometric mean."
        yield ""
    yield "## Derivatives of a batch of 32, relative to one gradient\n"
    yield f"The aims: at most {MOST_SAMPLES:g} for per-sample gradients, {MOST_HESSIAN:g} for the Hessian.\n"
    yield "| point | per-sample gradients | product with the Hessian |\n| --- | --- | --- |"
    for what, many, hessian in derivatives(turns):
        yield f"| {what} | {many:.2f} | {hessian:.2f} |"


if __name__ == "__main__":
    write_page("SMALL.md", page, __doc__, turns=40)
