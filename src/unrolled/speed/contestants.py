"""The contestants that need only torch: this library, torch.nn, and a Python loop over the step, plain or compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..cells import ALL
from ..nn.interop import to_torch
from ..nn.recurrent import Recurrent
from .loops import STEPS, start
from .point import Point, Problem
from .process import Prepare, Run

OUTPUT = {"jordan": "o"}  # the output of a cell; h for all others
IN_TORCH = ("rnn", "gru", "lstm")


def make_problem(point: Point) -> Problem:
    """Random parameters and a random sequence for a point of the table.

    Matrices start as the circuit initialises them. Vectors are moved away from their initial values. Gains of one half
    stop layer normalisation from amplifying the rounding errors of float32 at every step.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = Recurrent(ALL[point.cell], **point.sizes)  # type: ignore[arg-type]
        drawn = {n: p.detach() for n, p in net.named_parameters()}
        parameters = {n: p / 2 + 0.1 * torch.randn_like(p) if p.ndim == 1 else p for n, p in drawn.items()}
        x = torch.randn(point.batch, point.steps, point.inputs)
        weight = torch.randn(point.batch, point.steps, net.sizes[OUTPUT.get(point.cell, "h")])
    return Problem(point.cell, {n: p.numpy() for n, p in parameters.items()}, x.numpy(), weight.numpy())


def network(problem: Problem, engine: str = "auto", dtype: torch.dtype = torch.float32) -> Recurrent:
    """A network of this library with the parameters of a problem."""
    p = problem.parameters
    sizes = {"x": p["U"].shape[1], "h": p["V"].shape[1] if problem.cell == "jordan" else p["W"].shape[1]}
    sizes |= {"o": p["V"].shape[0]} if problem.cell == "jordan" else {}
    net = Recurrent(ALL[problem.cell], engine=engine, dtype=dtype, **sizes)
    net.load_state_dict({n: torch.from_numpy(v) for n, v in p.items()})
    return net


def unrolled(problem: Problem, training: bool) -> Run:
    """This library, with the engine that it chooses."""
    net, x = network(problem), torch.from_numpy(problem.x)
    output = OUTPUT.get(problem.cell, "h")
    gradients = {n: _gradient(p) for n, p in net.named_parameters()}
    return _run(lambda: net(x)[output], list(net.parameters()), gradients, problem, training, f"engine {net.engine}")


def torch_nn(problem: Problem, training: bool) -> Run:
    """torch.nn.RNN, GRU or LSTM. Their second bias is zero, except for the GRU's d, which the reset gate multiplies."""
    module, x = to_torch(network(problem)), torch.from_numpy(problem.x)
    theirs = dict(module.named_parameters())
    where = {"U": "weight_ih_l0", "W": "weight_hh_l0", "b": "bias_ih_l0"}
    gradients: dict[str, Callable[[], Tensor]] = {n: _gradient(theirs[m]) for n, m in where.items()}
    if problem.cell == "gru":
        second = theirs["bias_hh_l0"]
        gradients["d"] = lambda: _gradient(second)()[2 * module.hidden_size :]
    return _run(lambda: module(x)[0], list(theirs.values()), gradients, problem, training)


_TORCH = SimpleNamespace(
    linear=F.linear,
    tanh=torch.tanh,
    sigmoid=torch.sigmoid,
    split=lambda a, parts: a.chunk(parts, -1),
    normalised=lambda a: F.layer_norm(a, a.shape[-1:], eps=1e-5),
)


def _loop(cell: str) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    step = STEPS[cell]

    def loop(p: dict[str, Tensor], x: Tensor) -> Tensor:
        state = start(cell, p, x.shape[0], x.new_zeros)
        outputs = []
        for t in range(x.shape[1]):
            state = step(_TORCH, p, x[:, t], *state)
            outputs.append(state[0])
        return torch.stack(outputs, 1)

    return loop


def torch_loop(problem: Problem, training: bool) -> Run:
    """A Python loop over the step, in torch operations."""
    return _looped(_loop(problem.cell), problem, training)


def torch_compiled(problem: Problem, training: bool) -> Run:
    """The same loop, compiled by torch.compile."""
    torch._dynamo.reset()
    return _looped(torch.compile(_loop(problem.cell), fullgraph=True), problem, training)


def _looped(loop: Callable[..., Tensor], problem: Problem, training: bool) -> Run:
    p = {n: torch.from_numpy(v).clone().requires_grad_() for n, v in problem.parameters.items()}
    x = torch.from_numpy(problem.x)
    gradients = {n: _gradient(v) for n, v in p.items()}
    return _run(lambda: loop(p, x), list(p.values()), gradients, problem, training)


def _gradient(parameter: Tensor) -> Callable[[], Tensor]:
    def read() -> Tensor:
        assert parameter.grad is not None
        return parameter.grad

    return read


def _run(
    forward: Callable[[], Tensor],
    parameters: list[Any],
    gradients: dict[str, Callable[[], Tensor]],
    problem: Problem,
    training: bool,
    about: str = "",
) -> Run:
    weight = torch.from_numpy(problem.weight)

    def only_forward() -> Mapping[str, Tensor]:
        with torch.no_grad():
            return {"out": forward()}

    def train() -> Mapping[str, Tensor]:
        for p in parameters:
            p.grad = None
        out = forward()
        out.backward(weight)
        return {"out": out.detach(), **{n: read() for n, read in gradients.items()}}

    return Run(train if training else only_forward, about)


CONTESTANTS: dict[str, Prepare] = {
    "unrolled": unrolled,
    "torch.nn": torch_nn,
    "torch loop": torch_loop,
    "torch.compile": torch_compiled,
}


def takes_part(name: str, point: Point) -> bool:
    """Whether a contestant implements the cell of a point."""
    return name != "torch.nn" or point.cell in IN_TORCH
