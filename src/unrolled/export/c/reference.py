"""What the file has to compute: inputs, and the outputs of the float64 reference."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...circuits.circuit import Circuit
from ...errors import UsageError
from ...graph.bind import of_data
from ...graph.node import TOKEN
from ...graph.recurrence import Recurrence
from ...nn.recurrent import Recurrent
from ...sequence.state import State
from ..network import ANSWER, READ, Network, Step
from .step import outputs_of

STEPS = 32
LIMIT = 2e-6  # the largest error, relative to the largest output
SETTLED, CHUNK, LONGEST = 1e-9, 500, 20000  # change of a state per step; steps


@dataclass(frozen=True, eq=False)
class Proof:
    """The proof of a file.

    inputs: of each step (steps, size), or (rows, columns) of one that is fixed in time; all are floats or tokens.
    steps: their number.
    outputs: what the reference computes from them, float64 (steps, size) or tokens (steps,); for a network that reads
        in both directions and answers once, (1, size).
    limit: the largest error, relative to the largest output.
    """

    inputs: Mapping[str, Tensor]
    steps: int
    outputs: Mapping[str, Tensor]
    limit: float


def net_of(step: Step, dtype: torch.dtype = torch.float64) -> Recurrent:
    """A step as a network on the reference engine."""
    net = Recurrent(Circuit.stored(step.recurrence), engine="reference", dtype=dtype)
    net.load_state_dict({n: value.to(dtype) for n, value in step.weights.items()})
    return net


def proof(
    network: Network,
    start: Mapping[str, Tensor] | None,
    rows: int | None,
    scale: tuple[Tensor, Tensor] | None,
    steps: int = STEPS,
) -> Proof:
    """Inputs and outputs.

    Args:
        network: what is exported.
        start: the state before the first step; zero without it.
        rows: the largest number of rows of inputs that are fixed in time.
        scale: the mean and the deviation of the columns that are read.
        steps: of the inputs.
    """
    first = network.layers[0][0].recurrence
    inputs = drawn(first, rows, scale, steps)
    exact, single = (answer(network, inputs, start, dtype) for dtype in (torch.float64, torch.float32))
    error = max(error_of(single[n].double(), exact[n]) for n in exact)
    return Proof(inputs, steps, exact, max(LIMIT, 4 * error) if error < float("inf") else LIMIT)


def error_of(found: Tensor, exact: Tensor) -> float:
    """The largest difference, relative to the largest exact number."""
    if not exact.is_floating_point():
        return 0.0
    largest = float(exact.abs().max()) or 1.0
    return float((found - exact).abs().max()) / largest


def drawn(
    recurrence: Recurrence, rows: int | None, scale: tuple[Tensor, Tensor] | None, steps: int
) -> dict[str, Tensor]:
    """Random inputs, the same ones at every export: numbers with three decimals, or tokens."""
    source, found = random.Random(0), dict[str, Tensor]()
    counts = {n: max((rows or 1) - 1, 1) for n in of_data(recurrence)}
    for n, node in recurrence.inputs.items():
        if node.type.kind == TOKEN:
            size = node.type.dims[0].value(counts)
            found[n] = torch.tensor([source.randrange(size) for _ in range(steps)])
            continue
        shape = node.type.shape(counts) if n in recurrence.fixed else (steps, *node.type.shape(counts))
        numbers = [round(source.gauss(0, 1), 3) for _ in range(torch.Size(shape).numel())]
        value = torch.tensor(numbers, dtype=torch.float64).reshape(shape)
        if scale and n == READ:
            value = value * scale[1] + scale[0]
        found[n] = value.float()
    return found


def answer(
    network: Network, inputs: Mapping[str, Tensor], start: Mapping[str, Tensor] | None, dtype: torch.dtype
) -> dict[str, Tensor]:
    """The outputs of the network for some inputs, in a precision."""
    given = {n: x.to(dtype)[None] if x.is_floating_point() else x[None] for n, x in inputs.items()}
    if network.head is None:
        step = network.layers[0][0]
        state = (
            State(**{n: s.to(dtype)[None] if s.is_floating_point() else s[None] for n, s in start.items()})
            if start
            else None
        )
        with torch.no_grad():
            alone = None if step.recurrence.series else STEPS
            out = net_of(step, dtype)(**given, state=state, steps=alone)
        return {n: out[n][0].reshape(_rows(out[n][0])) for n in outputs_of(step.recurrence)}
    x = given[READ]
    with torch.no_grad():
        for layer in network.layers:
            forward, backward = (net_of(step, dtype) for step in layer)
            sides = forward(**{READ: x})[ANSWER], backward(**{READ: x.flip(1)})[ANSWER].flip(1)
            x = torch.cat(sides, -1)
        if network.answer == "last" and not network.head.recurrence.states:
            x = torch.cat([sides[0][:, -1:], sides[1][:, :1]], -1)
        result = net_of(network.head, dtype)(**{READ: x})[ANSWER]
    return {ANSWER: result[0, -1:] if network.answer == "last" else result[0]}


def _rows(value: Tensor) -> tuple[int, ...]:
    """The shape of a series as rows of numbers; tokens stay numbers."""
    return (len(value), -1) if value.is_floating_point() else (len(value),)


def settled(step: Step) -> dict[str, Tensor]:
    """The state after a long input of zeros, in float64.

    Raises:
        UsageError: there is no such state, or the input are tokens.
    """
    recurrence = step.recurrence
    if recurrence.fixed or any(x.type.kind == TOKEN for x in recurrence.inputs.values()):
        raise UsageError("--start settled is for networks that read numbers: it is the state after an input of zeros")
    net = net_of(step)
    zeros = {n: torch.zeros(1, CHUNK, *x.type.shape({}), dtype=torch.float64) for n, x in recurrence.inputs.items()}
    state: State | None = None
    with torch.no_grad():
        for _ in range(LONGEST // CHUNK):
            out = net(**zeros, state=state)
            moved = max(float((out[n][:, -1] - out[n][:, -2]).abs().max()) for n in recurrence.states)
            state = out.state
            if moved < SETTLED:
                return {n: s[0] for n, s in state.items()}
    raise UsageError(
        f"after {LONGEST:,} steps of zeros, the state still changes by {moved:.1g} per step: it does not settle. Use "
        "--start zero"
    )
