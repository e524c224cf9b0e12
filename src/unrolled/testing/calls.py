"""Random calls of a network, compared with the independent interpreter: all values, and the gradients of random leaves.

The calls cover every way to call a network: dense, ragged, step by step, cut in two, ``read``, with snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from torch import Tensor

from ..engines.registry import choose
from ..errors import EngineError
from ..graph.bind import bind, of_data, shapes
from ..graph.node import TOKEN
from ..nn.memory import Snapshots
from ..nn.recurrent import Recurrent
from ..sequence.ragged import Ragged
from ..sequence.state import State
from .compare import TOLERANCES, largest, relative_error
from .interpreter import OneSequence, Values, interpret
from .strategies import Drawn

WAYS = ("dense", "ragged", "steps", "cut", "read", "snapshots")
LARGEST = 1e6  # larger values are too ill-conditioned to compare


def check(case: Case, engine: str) -> str:
    """Compare an engine with the interpreter.

    Returns:
        "equal"; "refused" if the engine cannot run the circuit; or "unbounded" if numbers overflow.

    Raises:
        AssertionError: values or gradients differ; the message names them.
    """
    if not runs(case, engine):
        return "refused"
    try:
        errors = differences(actual(case, engine), expected(case))
    except Unbounded:
        return "unbounded"
    wrong = {n: f"{e:.3g}" for n, e in errors.items() if not e <= TOLERANCES["random calls, float64"]}
    assert not wrong, f"{case.drawn!r}\nengine {engine}, {case.way}, seed {case.seed}: relative errors {wrong}"
    return "equal"


def runs(case: Case, engine: str) -> bool:
    """Whether an engine can run the circuit."""
    try:
        choose(engine, case.drawn.circuit.recurrence, "cpu", torch.float64)
    except EngineError:
        return False
    return True


class Unbounded(Exception):
    """The circuit's values or gradients overflow, so that there is nothing to compare."""


@dataclass(frozen=True)
class Case:
    """A circuit with parameters and sequences, and what to compute.

    Attributes:
        drawn: the circuit.
        parameters: by name.
        sequences: the sequences to read.
        tokens: the number of different tokens, 0 without token inputs.
        wanted: the leaves whose gradients are compared, in every sequence.
        losses: the results that the loss depends on; "state h" is the state after the last step.
        way: how the network is called, one of WAYS.
        seed: the seed of the case.
    """

    drawn: Drawn
    parameters: Values
    sequences: tuple[OneSequence, ...]
    tokens: int
    wanted: frozenset[str]
    losses: frozenset[str]
    way: str
    seed: int


def random_case(drawn: Drawn, seed: int) -> Case:
    """A random case for a circuit."""
    r = Random(seed)
    torch.manual_seed(seed)
    recurrence = drawn.circuit.recurrence
    sizes = bind(recurrence, drawn.left_open)

    def numbers(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, dtype=torch.float64)

    parameters = {
        n: numbers(*s, scale=s[-1] ** -0.5 if len(s) == 2 else 0.5) for n, s in shapes(recurrence, sizes).items()
    }
    way = r.choice(WAYS)
    lengths = [r.choice((0, 1, 1, 2, 3, 5)) for _ in range(r.choice((1, 2, 3, 5)))]
    if way != "ragged":
        lengths = [r.choice((1, 2, 4))] * len(lengths)
    sizes |= {n: r.choice((1, 2, 3, 5)) for n in sorted(of_data(recurrence))}
    width = {
        n: tuple(d.value(sizes) for d in x.type.dims) for n, x in {**recurrence.inputs, **recurrence.states}.items()
    }
    given = (
        [n for n in recurrence.states if r.random() < 0.5] if r.random() < 0.3 and way in ("dense", "ragged") else []
    )
    starts, resets = r.random() < 0.6, r.random() < 0.25 and way in ("dense", "ragged", "snapshots")
    masked = bool(recurrence.tokens) and r.random() < 0.5
    sequences = []
    for length in lengths:
        inputs = {
            n: torch.randint(width[n][0], (length,)) if x.type.kind == TOKEN else numbers(length, *width[n])
            for n, x in recurrence.series.items()
        }
        fixed = {n: numbers(*width[n]) for n in recurrence.fixed}
        start = {
            n: torch.randint(width[n][0], ()) * starts
            if n in recurrence.tokens
            else numbers(*width[n], scale=0.5 * starts)
            for n in recurrence.states
        }
        fed = {
            n: torch.randint(width[n][0], (length,))
            if n in recurrence.tokens
            else numbers(length, *width[n], scale=0.5)
            for n in given
        }
        masks = {n: torch.rand(length) < 0.5 for n in given if masked}
        reset = [t for t in range(length) if resets and r.random() < 0.4]
        sequences.append(OneSequence(length, inputs, start, fed, masks, reset, fixed))
    leaves = [*parameters, *(n for n, x in recurrence.inputs.items() if x.type.kind != TOKEN)]
    leaves += [n for n in recurrence.states if n not in recurrence.tokens]
    leaves += [f"given {n}" for n in given if n not in recurrence.tokens]
    everything = r.random() < 0.4
    wanted = frozenset(n for n in leaves if everything or r.random() < 0.5)
    names = [*recurrence.returns, *(f"state {n}" for n in recurrence.states)]
    losses = frozenset(n for n in names if everything or r.random() < 0.5)
    flowing = {**recurrence.inputs, **recurrence.states}
    tokens = next((width[n][0] for n, x in flowing.items() if x.type.kind == TOKEN), 0)
    return Case(drawn, parameters, tuple(sequences), tokens, wanted, losses, way, seed)


Found = tuple[list[dict[str, Tensor]], dict[str, Tensor]]  # results of each sequence, gradients by leaf


def expected(case: Case) -> Found:
    """The results and gradients of the interpreter."""
    parameters, sequences = _leaves(case)
    types = {n: node.type for n, node in case.drawn.circuit.recurrence.parameters.items()}
    weights, results = {n: p if types[n].dims else p[0] for n, p in parameters.items()}, []
    for sequence in sequences:
        steps, state = interpret(case.drawn.source, sequence, weights, case.tokens)
        if case.way == "read":
            steps = steps[-1:]
        names = case.drawn.circuit.recurrence.returns
        series = {n: torch.stack([step[n] for step in steps]) for n in names} if steps else {}
        results.append({**series, **{f"state {n}": s for n, s in state.items()}})
    return results, _gradients(case, parameters, sequences, results)


def actual(case: Case, engine: str, dtype: torch.dtype = torch.float64) -> Found:
    """The results and gradients of a network on an engine."""
    parameters, sequences = _leaves(case, dtype)
    memory, sizes = Snapshots(every=2) if case.way == "snapshots" else None, case.drawn.left_open
    net = Recurrent(case.drawn.circuit, engine=engine, dtype=dtype, memory=memory, **sizes)
    for n, p in parameters.items():
        setattr(net, n, torch.nn.Parameter(p.detach(), requires_grad=n in case.wanted))
    results = call(net, case.way, sequences)
    return results, _gradients(case, dict(net.named_parameters()), sequences, results)


def call(net: Recurrent, way: str, sequences: Sequence[OneSequence]) -> list[dict[str, Tensor]]:
    """Call a network in one of the WAYS.

    Returns:
        for each sequence, the returned values (steps, size), and the states after the last step as "state h" (size,).
    """
    first = sequences[0]
    state = State(**{n: torch.stack([s.start[n] for s in sequences]) for n in first.start})
    if way == "ragged":
        return _ragged(net, sequences, state)
    inputs = {n: torch.stack([s.inputs[n] for s in sequences]) for n in first.inputs}
    fixed: dict[str, Any] = {n: torch.stack([s.fixed[n] for s in sequences]) for n in first.fixed}
    steps = None if inputs else first.steps
    if way == "steps":
        taken = []
        for t in range(first.steps):
            taken.append(net.step(state=state, **fixed, **{n: x[:, t] for n, x in inputs.items()}))
            state = taken[-1].state
        series = {n: torch.stack([step[n] for step in taken], 1) for n in taken[0]}
    elif way == "read" and inputs:
        answer = net.read(state=state, **fixed, **inputs)
        series, state = {n: answer[n][:, None] for n in answer}, answer.state
    elif way == "cut":
        at = first.steps // 2
        parts = []
        for piece in (slice(0, at), slice(at, first.steps)):
            length = {} if inputs else {"steps": piece.stop - piece.start}
            parts.append(net(state=state, **fixed, **{n: x[:, piece] for n, x in inputs.items()}, **length))
            state = parts[-1].state
        series = {n: torch.cat([part[n] for part in parts], 1) for n in parts[0]}
    else:
        given: dict[str, Any] = {n: torch.stack([s.given[n] for s in sequences]) for n in first.given}
        given |= {n: (given[n], torch.stack([s.masks[n] for s in sequences])) for n in first.masks}
        reset = torch.tensor([[t in s.reset for t in range(s.steps)] for s in sequences])
        out = net(
            state=state,
            given=given or None,
            reset=reset if any(s.reset for s in sequences) else None,
            steps=steps,
            **fixed,
            **inputs,
        )
        series, state = {n: out[n] for n in out}, out.state
        if way == "read":
            series = {n: x[:, -1:] for n, x in series.items()}
    return [
        {**{n: x[i] for n, x in series.items()}, **{f"state {n}": s[i] for n, s in state.items()}}
        for i in range(len(sequences))
    ]


def _ragged(net: Recurrent, sequences: Sequence[OneSequence], state: State) -> list[dict[str, Tensor]]:
    first = sequences[0]

    def together(series: Iterable[Tensor]) -> Ragged:
        values = list(series)
        return Ragged(values=torch.cat(values), lengths=torch.tensor([len(v) for v in values]))

    inputs: dict[str, Any] = {n: together(s.inputs[n] for s in sequences) for n in first.inputs}
    given: dict[str, Any] = {n: together(s.given[n] for s in sequences) for n in first.given}
    given |= {n: (given[n], together(s.masks[n] for s in sequences)) for n in first.masks}
    if not inputs and not given:  # a ragged call needs a series to take the lengths from
        runs = [call(net, "dense", [s]) for s in sequences]
        return [result for run in runs for result in run]
    reset = None
    if any(s.reset for s in sequences):
        reset = together(torch.tensor([t in s.reset for t in range(s.steps)], dtype=torch.bool) for s in sequences)
    fixed: dict[str, Any] = {n: torch.stack([s.fixed[n] for s in sequences]) for n in first.fixed}
    out = net(state=state, given=given or None, reset=reset, **fixed, **inputs)
    return [
        {**{n: out[n][i] for n in out}, **{f"state {n}": s[i] for n, s in out.state.items()}}
        for i in range(len(sequences))
    ]


def _leaves(case: Case, dtype: torch.dtype = torch.float64) -> tuple[Values, list[OneSequence]]:
    """New leaves; those in ``wanted`` require a gradient."""

    def leaf(value: Tensor, name: str) -> Tensor:
        if not value.is_floating_point():
            return value
        return value.to(dtype).clone().requires_grad_(name in case.wanted)

    def fresh(values: Mapping[str, Tensor], prefix: str = "") -> Values:
        return {n: leaf(v, prefix + n) for n, v in values.items()}

    sequences = [
        replace(s, inputs=fresh(s.inputs), fixed=fresh(s.fixed), start=fresh(s.start), given=fresh(s.given, "given "))
        for s in case.sequences
    ]
    return fresh(case.parameters), sequences


def _gradients(
    case: Case, parameters: Values, sequences: Sequence[OneSequence], results: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The gradients of a random linear loss over the results in ``losses``."""
    leaves = {n: p for n, p in parameters.items() if n in case.wanted}
    for i, s in enumerate(sequences):
        flowing = {**s.inputs, **s.fixed, **s.start, **{f"given {n}": v for n, v in s.given.items()}}
        leaves |= {f"{n} of sequence {i}": v for n, v in flowing.items() if n in case.wanted}
    loss, generator = torch.zeros((), dtype=torch.float64), torch.Generator().manual_seed(case.seed)
    for result in results:
        for n in sorted(result):
            weight = torch.randn(result[n].shape, dtype=torch.float64, generator=generator)
            if n in case.losses:
                loss = loss + (result[n] * weight).sum()
    if not leaves or not loss.requires_grad:
        return {}
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(v) if g is None else g for (n, v), g in zip(leaves.items(), found, strict=True)}


def differences(found: Found, right: Found) -> dict[str, float]:
    """The relative error of each result and gradient. A missing gradient counts as zero.

    Raises:
        Unbounded: the expected values are too large to compare.
    """
    values = {f"{n} of sequence {i}": v.detach() for i, result in enumerate(right[0]) for n, v in result.items()}
    scales = largest(values.values()), max(1.0, largest(right[1].values()))
    if not max(scales) < LARGEST:
        raise Unbounded
    errors = {}
    for i, (result, expect) in enumerate(zip(found[0], right[0], strict=True)):
        for n, v in expect.items():
            errors[f"{n} of sequence {i}"] = relative_error(result[n].double(), v, max(1.0, scales[0]))
    for n, g in right[1].items():
        got = found[1].get(n, torch.zeros_like(g))
        errors[f"gradient of {n}"] = relative_error(got.double(), g, scales[1])
    return errors
