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
from ..sequence.ragged import Ragged
from .loops import STEPS, fixed, start
from .point import ROWS, Point, Problem
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
        wide, rows = net.sizes.get("M", 0), torch.randint(ROWS[0], ROWS[1] + 1, (point.batch,))
        most = int(rows.max()) if wide else 0
        memory = torch.randn(point.batch, most, wide) * (torch.arange(most) < rows[:, None])[..., None]
    series = (v.numpy() for v in (x, weight, memory, rows))
    return Problem(point.cell, point.sizes, {n: p.numpy() for n, p in parameters.items()}, *series)


def network(problem: Problem, engine: str = "auto", dtype: torch.dtype = torch.float32) -> Recurrent:
    """A network of this library with the parameters of a problem."""
    net = Recurrent(ALL[problem.cell], engine=engine, dtype=dtype, **problem.sizes)  # type: ignore[arg-type]
    net.load_state_dict({n: torch.from_numpy(v) for n, v in problem.parameters.items()})
    return net


def memories(problem: Problem, dtype: torch.dtype = torch.float32) -> tuple[dict[str, Ragged], dict[str, Tensor]]:
    """The fixed inputs of a network, and the tensors among them that gradients are for, by name."""
    if not problem.memory.size:
        return {}, {}
    rows = torch.from_numpy(problem.memory[problem.valid]).to(dtype).requires_grad_()
    return {"M": Ragged(values=rows, lengths=torch.from_numpy(problem.rows))}, {"M": rows}


def unrolled(problem: Problem, training: bool) -> Run:
    """This library, with the engine that it chooses."""
    net, x = network(problem), torch.from_numpy(problem.x)
    output, (given, leaves) = OUTPUT.get(problem.cell, "h"), memories(problem)
    leaves |= dict(net.named_parameters())
    gradients = {n: _gradient(p) for n, p in leaves.items()}
    about = f"engine {net.engine}"
    return _run(lambda: net(x, **given)[output], list(leaves.values()), gradients, problem, training, about)


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
    softmax=lambda a: a.softmax(-1),
    softplus=F.softplus,
    maximum=torch.maximum,
    exp=torch.exp,
    abs=torch.abs,
    sqrt=torch.sqrt,
)


def _loop(cell: str) -> Callable[[dict[str, Tensor], Tensor, Tensor, Tensor], Tensor]:
    step = STEPS[cell]

    def loop(p: dict[str, Tensor], x: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        state, read = start(cell, p, x.shape[0], x.new_zeros), fixed(_TORCH, cell, p, memory, hidden)
        outputs = []
        for t in range(x.shape[1]):
            state = step(_TORCH, p, x[:, t], *state, *read)
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
    x, memory = torch.from_numpy(problem.x), torch.from_numpy(problem.memory).clone().requires_grad_()
    valid = torch.from_numpy(problem.valid)
    hidden = torch.zeros(valid.shape).masked_fill(~valid, -torch.inf)
    gradients = {n: _gradient(v) for n, v in p.items()}
    if problem.memory.size:
        gradients["M"] = lambda: _gradient(memory)()[valid]
    return _run(lambda: loop(p, x, memory, hidden), [*p.values(), memory], gradients, problem, training)


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
