"""Gradients by the complex step, which needs no calculus.

For an analytic f, Im f(x + ih) / h equals f'(x) up to rounding, since nothing is subtracted: Squire, W. and Trapp, G.
(1998). Using complex variables to estimate derivatives of real functions. SIAM Review 40(1). It checks the derived
adjoint to the last digits of float64 without relying on any other differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..engines.call import Call
from ..engines.function import run
from ..engines.registry import ENGINES
from ..graph.bind import bind, shapes
from ..graph.node import REAL, TOKEN, Node
from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from ..transform.evaluate import evaluate, rules
from .compare import largest, relative_error

STEP = 1e-30


def complex_rules() -> dict[str, Any]:
    """The evaluation table, extended to complex arguments. Comparisons use the real part."""

    def over(axis: int | None) -> int:
        return -1 if axis is None else axis - 2

    def softmax(x: Tensor, axis: int | None = None) -> Tensor:
        e = (x - x.real.amax(over(axis), keepdim=True)).exp()
        return e / e.sum(over(axis), keepdim=True)

    def logsumexp(x: Tensor, axis: int | None = None) -> Tensor:
        top = x.real.amax(over(axis), keepdim=True)
        result = (x - top).exp().sum(over(axis), keepdim=True).log() + top
        return result if axis is None else result.squeeze(over(axis))

    def extreme(place: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def entry(x: Tensor, axis: int | None = None) -> Tensor:
            found = x.gather(over(axis), place(x.real, over(axis), keepdim=True))
            return found if axis is None else found.squeeze(over(axis))

        return entry

    def sigmoid(x: Tensor) -> Tensor:
        # 1 / (1 + e^-x) in terms of tanh, which does not overflow
        return (1 + (x / 2).tanh()) / 2

    def positive(x: Tensor) -> Tensor:
        return torch.where(x.real > 0, x, torch.zeros_like(x))

    def erf(x: Tensor) -> Tensor:
        # 2 / sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (1 * 3 * ... * (2n+1)), which converges everywhere
        term = total = x
        for n in range(1, 100):
            term = term * (2 * x * x / (2 * n + 1))
            total = total + term
        return 2 / math.sqrt(math.pi) * (-x * x).exp() * total

    return {
        **rules(),
        "softmax": softmax,
        "logsumexp": logsumexp,
        "sigmoid": sigmoid,
        "softplus": lambda x: positive(x) + (1 + torch.where(x.real > 0, -x, x).exp()).log(),
        "erf": erf,
        "abs": lambda x: torch.where(x.real < 0, -x, x),
        "sign": lambda x: x.real.sign().to(x.dtype),
        "floor": lambda x: x.real.floor().to(x.dtype),
        "stop_gradient": lambda x: x.real.to(x.dtype),
        "maximum": lambda a, b: torch.where(a.real > b.real, a, b),
        "minimum": lambda a, b: torch.where(a.real < b.real, a, b),
        "min": extreme(torch.argmin),
        "relu": positive,
        "max": extreme(torch.argmax),
        "less": lambda a, b: a.real < b.real,
        "less_equal": lambda a, b: a.real <= b.real,
        "equal": lambda a, b: a.real == b.real,
        "argmax": lambda x: x.real.argmax(-1),
    }


def random_leaves(recurrence: Recurrence, sizes: Mapping[str, int], steps: int, batch: int = 1) -> dict[str, Tensor]:
    """Random values for every leaf, in float64, from torch's generator. Matrices are small enough for long sequences.

    Args:
        recurrence: the step.
        sizes: all sizes by name.
        steps: number of steps.
        batch: number of sequences.

    Returns:
        by name: parameters, inputs (batch, steps, size), tokens (batch, steps), fixed inputs (batch, ...), states
        (batch, size), or (batch,) for tokens.
    """
    values: dict[str, Tensor] = {}
    for name, shape in shapes(recurrence, dict(sizes)).items():
        values[name] = torch.randn(shape, dtype=torch.float64) / (shape[-1] ** 0.5 if len(shape) == 2 else 2.0)
    for name, node in recurrence.inputs.items():
        values[name] = _random(node, sizes, (batch,) if name in recurrence.fixed else (batch, steps))
    for name, node in recurrence.states.items():
        start = _random(node, sizes, (batch,))
        values[name] = start / 2 if start.is_floating_point() else start
    return values


def _random(node: Node, sizes: Mapping[str, int], first: tuple[int, ...]) -> Tensor:
    if node.type.kind == TOKEN:
        return torch.randint(node.type.dims[0].value(sizes), first)
    return torch.randn(*first, *node.type.shape(sizes), dtype=torch.float64)


def random_weights(recurrence: Recurrence, sizes: Mapping[str, int], steps: int, batch: int = 1) -> dict[str, Tensor]:
    """The weights of a random linear loss Σ_t Σ_i w_i(t) z_i(t) over all returned values z, except tokens.

    Returns:
        by name, (batch, steps, size) in float64.
    """
    weights = {}
    for name, node in recurrence.returns.items():
        if node.type.kind == REAL:
            weights[name] = torch.randn(batch, steps, *node.type.shape(sizes), dtype=torch.float64)
    return weights


def spread(steps: int, most: int = 50) -> list[int]:
    """At most ``most`` step numbers, evenly spaced from the first to the last."""
    return sorted({round(k * (steps - 1) / (most - 1)) for k in range(most)}) if steps > most else list(range(steps))


def complex_step(
    recurrence: Recurrence,
    sizes: Mapping[str, int],
    values: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The gradient of a linear loss for one sequence, by the complex step.

    Every entry is perturbed in its own row of one large batch.

    Args:
        recurrence: the step.
        sizes: all sizes by name.
        values: every leaf by name, as ``random_leaves`` gives them for a batch of 1.
        weights: the weights of the loss, as ``random_weights`` gives them.

    Returns:
        by name, the gradient of every parameter and initial state in its own shape, and of every input at the steps
        ``spread(steps)``: (1, steps, size).
    """
    times = spread(next(iter(weights.values())).shape[1])
    perturbed: dict[str, Tensor] = {}  # positions in the flattened leaf
    for name, value in values.items():
        if value.is_floating_point():
            positions = torch.arange(value.numel()).reshape(value.shape)
            perturbed[name] = positions[:, times].flatten() if name in recurrence.series else positions.flatten()
    counts = [len(p) for p in perturbed.values()]
    leaves: dict[str, Tensor] = {}
    start = 0
    for name, value in values.items():
        flat = value.flatten().expand(sum(counts), -1)
        if name in perturbed:
            flat = flat.to(torch.complex128).clone()
            flat[range(start, start + len(perturbed[name])), perturbed[name]] += 1j * STEP
            start += len(perturbed[name])
        leaves[name] = flat.reshape(sum(counts), *(value.shape if name in recurrence.parameters else value.shape[1:]))
    derivative = (_linear_loss(recurrence, sizes, leaves, weights).imag / STEP).split(counts)
    shapes_of = {
        n: (1, len(times), *values[n].shape[2:]) if n in recurrence.series else values[n].shape for n in perturbed
    }
    return {n: g.reshape(shapes_of[n]) for n, g in zip(perturbed, derivative, strict=True)}


def _linear_loss(
    recurrence: Recurrence,
    sizes: Mapping[str, int],
    leaves: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
) -> Tensor:
    table = complex_rules()
    like = torch.empty(0, dtype=torch.complex128)
    parameters = {node: leaves[n] for n, node in recurrence.parameters.items()}
    state = {n: leaves[n] for n in recurrence.states}
    loss = torch.zeros(next(iter(state.values())).shape[0], dtype=torch.complex128)
    for t in range(next(iter(weights.values())).shape[1]):
        now = parameters | {node: leaves[n][:, t] for n, node in recurrence.series.items()}
        now |= {recurrence.inputs[n]: leaves[n] for n in recurrence.fixed}
        now |= {node: state[n] for n, node in recurrence.states.items()}
        result = evaluate(recurrence.returns.values(), now, sizes, like, table)
        state = {n: result[recurrence.returns[n]] for n in recurrence.states}
        for n, of_steps in weights.items():
            loss = loss + (result[recurrence.returns[n]] * of_steps[:, t]).flatten(1).sum(-1)
    return loss


def values_and_gradients(
    recurrence: Recurrence,
    sizes: Mapping[str, int],
    values: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    engine: str = "reference",
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All returned values and the gradient of a linear loss, from an engine through its torch.autograd.Function.

    Args:
        recurrence: the step.
        sizes: all sizes by name.
        values: every leaf by name: parameters, inputs (batch, steps, size) or tokens (batch, steps), states
            (batch, size).
        weights: the weights of the loss by name, (batch, steps, size).
        engine: the name of the engine.

    Returns:
        the returned values by name, (batch · steps, size), and the gradients by leaf, each in the shape of its leaf.
    """
    leaves = {n: v.detach().clone().requires_grad_() if v.is_floating_point() else v for n, v in values.items()}
    batch, steps = next(iter(weights.values())).shape[:2]
    call = Call(
        recurrence,
        dict(sizes),
        {n: leaves[n] for n in recurrence.parameters},
        {n: leaves[n] if n in recurrence.fixed else leaves[n].flatten(0, 1) for n in recurrence.inputs},
        {n: leaves[n] for n in recurrence.states},
        Layout.dense(batch, steps),
        like=next(v for v in values.values() if v.is_floating_point()),
    )
    out = run(ENGINES[engine], call)
    loss = sum((out[n] * w.flatten(0, 1).view_as(out[n])).sum() for n, w in weights.items())
    assert isinstance(loss, Tensor)
    loss.backward()
    gradients = {n: torch.zeros_like(v) if v.grad is None else v.grad for n, v in leaves.items() if v.requires_grad}
    return {n: v.detach() for n, v in out.items()}, gradients


def check_gradients(
    circuit: Circuit,
    steps: int = 7,
    tolerance: float = 1e-13,
    engine: str = "reference",
    one_scale: bool = False,
    **sizes: int,
) -> dict[str, float]:
    """Compare every gradient of a circuit with the complex step, on random values.

    >>> from unrolled.testing import check_gradients
    >>> errors = check_gradients(my_cell, steps=20, x=3, h=5)

    Args:
        circuit: the circuit.
        steps: length of the sequence.
        tolerance: the largest allowed relative error.
        engine: the engine whose gradients are checked.
        one_scale: take errors relative to the largest entry of all gradients and of the loss's weights. Use it if the
            circuit saturates, or if some gradient is zero up to rounding.
        sizes: by name, such as x=3, h=5.

    Returns:
        the relative error of each gradient, by leaf.

    Raises:
        AssertionError: an error exceeds the tolerance; the message names the leaves.
    """
    recurrence = circuit.recurrence
    bound = bind(recurrence, sizes)
    values = random_leaves(recurrence, bound, steps)
    weights = random_weights(recurrence, bound, steps)
    expected = complex_step(recurrence, bound, values, weights)
    _, actual = values_and_gradients(recurrence, bound, values, weights, engine)
    times = spread(steps)
    seen = {n: actual[n][:, times] if n in recurrence.series else actual[n] for n in expected}
    scale = largest([*expected.values(), *weights.values()]) if one_scale else None
    errors = {n: relative_error(seen[n], g, scale) for n, g in expected.items()}
    wrong = {n: f"{e:.3g}" for n, e in errors.items() if e > tolerance}
    assert not wrong, f"circuit '{circuit.name}', {steps} steps: relative errors {wrong} exceed {tolerance:g}"
    return errors
