"""An independent interpreter of circuits, which shares nothing with the library: no tracing, no graph, no table.

It runs the user's function on float64 tensors, one sequence and one step at a time. torch.autograd differentiates it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Values = dict[str, Tensor]


def _tensor(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


# on tensors of one step of one sequence: scalars (), vectors (n,), matrices (m, n)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "sin": torch.sin,
    "cos": torch.cos,
    "softplus": lambda x: torch.nn.functional.softplus(x, threshold=700.0),
    "erf": torch.erf,
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x * 0.5**0.5)),
    "abs": torch.abs,
    "sign": torch.sign,
    "floor": torch.floor,
    "stop_gradient": lambda x: x.detach(),
    "maximum": lambda a, b: torch.maximum(*torch.broadcast_tensors(_tensor(a), _tensor(b))),
    "minimum": lambda a, b: torch.minimum(*torch.broadcast_tensors(_tensor(a), _tensor(b))),
    "softmax": lambda x, axis=0: torch.softmax(x, axis),
    "logsumexp": lambda x, axis=None: torch.logsumexp(x.flatten() if axis is None else x, axis or 0),
    "sum": lambda x, axis=None: torch.sum(x, axis),
    "mean": lambda x, axis=None: torch.mean(x, axis),
    "max": lambda x, axis=None: torch.amax(x) if axis is None else torch.amax(x, axis),
    "min": lambda x, axis=None: torch.amin(x) if axis is None else torch.amin(x, axis),
    "outer": torch.outer,
    "rows": lambda v: v[None],  # as many as the other operand has
    "columns": lambda v: v[:, None],
    "normalised": lambda x, axis=0: (x - x.mean(axis, True)) / (x.var(axis, correction=0, keepdim=True) + 1e-5).sqrt(),
    "cumsum": lambda x, reverse=False: x.flip(0).cumsum(0).flip(0) if reverse else x.cumsum(0),
    "stack": lambda *scalars: torch.stack([_tensor(s) for s in scalars]),
    "concat": lambda *pieces: torch.cat(pieces),
    "split": lambda x, n: x.reshape(n, -1).unbind(0),
    "where": torch.where,
    "take": lambda table, t: table[t],
    "argmax": lambda x: torch.argmax(x),
    "draw": lambda o, noise: torch.argmax(o + noise),
    "nll": lambda o, y: torch.logsumexp(o, 0) - o[y],
    "squared_error": lambda o, y: (o - y).square().sum(),
}


@dataclass(frozen=True)
class OneSequence:
    """The input of a network for one sequence.

    Attributes:
        steps: number of steps.
        inputs: by name, (steps, size) or tokens (steps,).
        start: the initial states by name, (size,) or (rows, columns).
        fixed: the inputs that are fixed in time by name, (size,) or (rows, size).
        given: states fed from outside (teacher forcing) by name, (steps, size).
        masks: for some of these, the steps (steps,) whose given value is fed back; at others, the state itself is.
        reset: the steps before which all states are set to zero.
    """

    steps: int
    inputs: Values
    start: Values
    given: Values = field(default_factory=dict)
    masks: Values = field(default_factory=dict)
    reset: Sequence[int] = ()
    fixed: Values = field(default_factory=dict)


def interpret(source: str, sequence: OneSequence, parameters: Values, tokens: int = 0) -> tuple[list[Values], Values]:
    """Run a circuit over one sequence.

    Args:
        source: the text of a function of equations.
        sequence: the input.
        parameters: by name.
        tokens: the number of different tokens, for ``onehot``.

    Returns:
        the returned values of every step by name, (size,) each, and the states after the last step.
    """
    scope: dict[str, Any] = {**FUNCTIONS, "onehot": lambda t: torch.nn.functional.one_hot(t, tokens).double()}
    before = set(scope)
    exec(compile(source, "<equations>", "exec"), scope)
    (equations,) = (v for n, v in scope.items() if n not in before and not n.startswith("__"))
    code, state, found = equations.__code__, dict(sequence.start), list[Values]()
    flowing = code.co_varnames[: code.co_argcount]
    for t in range(sequence.steps):
        if t in sequence.reset:
            state = {n: torch.zeros_like(s) for n, s in state.items()}
        now = {**state, **sequence.fixed, **{n: x[t] for n, x in sequence.inputs.items()}}
        found.append(equations(*(now[n] for n in flowing), **parameters))
        forced = {n for n in sequence.given if n not in sequence.masks or sequence.masks[n][t]}
        state = {n: sequence.given[n][t] if n in forced else found[-1][n] for n in state}
    return found, state
