"""An independent interpreter of circuits: the user's function itself, run in float64 on torch tensors, one sequence and
one step at a time, and differentiated by torch.autograd.

It shares nothing with the library: no tracing, no graph, no table of operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Values = dict[str, Tensor]

# on tensors of one step of one sequence: scalars (), vectors (n,), matrices (m, n)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "softmax": lambda x: torch.softmax(x, 0),
    "logsumexp": lambda x: torch.logsumexp(x, 0),
    "sum": torch.sum,
    "mean": torch.mean,
    "max": torch.amax,
    "concat": lambda *pieces: torch.cat(pieces),
    "split": lambda x, n: x.reshape(n, -1).unbind(0),
    "where": torch.where,
    "take": lambda table, t: table[t],
    "nll": lambda o, y: torch.logsumexp(o, 0) - o[y],
    "squared_error": lambda o, y: (o - y).square().sum(),
}


@dataclass(frozen=True)
class OneSequence:
    """What goes into a network for one sequence.

    inputs: (steps, size), tokens (steps,). start: the states before the first step (size,). given: what is fed back in
    the place of states (steps, size). reset: the steps before which all states are set to zero.
    """

    steps: int
    inputs: Values
    start: Values
    given: Values = field(default_factory=dict)
    reset: Sequence[int] = ()


def interpret(source: str, sequence: OneSequence, parameters: Values, tokens: int = 0) -> tuple[list[Values], Values]:
    """Every returned value at every step, and the states after the last step.

    source: the text of a function of equations. tokens: how many tokens there are, for ``onehot``.
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
        now = {**state, **{n: x[t] for n, x in sequence.inputs.items()}}
        found.append(equations(*(now[n] for n in flowing), **parameters))
        state = {n: sequence.given[n][t] if n in sequence.given else found[-1][n] for n in state}
    return found, state
