"""The check before timing: a contestant whose results disagree with the float64 reference is not timed."""

from __future__ import annotations

import torch

from ..testing.compare import TOLERANCES, relative_error
from .contestants import OUTPUT, memories, network
from .point import Arrays, Problem

ALLOWED = TOLERANCES["benchmark, float32"]


def reference(problem: Problem) -> Arrays:
    """The expected results, by engine 'reference' in float64.

    Returns:
        'out' (batch, steps, size), and the gradient of each parameter under its name; of the rows of the memories
        that are not padding, under 'M'.
    """
    net = network(problem, engine="reference", dtype=torch.float64)
    fixed, leaves = memories(problem, torch.float64)
    out = net(torch.from_numpy(problem.x).double(), **fixed)[OUTPUT.get(problem.cell, "h")]
    out.backward(torch.from_numpy(problem.weight).double())
    leaves |= dict(net.named_parameters())
    return {"out": out.detach().numpy(), **{n: p.grad.numpy() for n, p in leaves.items() if p.grad is not None}}


def disagreement(results: Arrays, expected: Arrays, training: bool) -> str:
    """What is wrong with a contestant's results, in words; empty if nothing is."""
    required = expected if training else {"out": expected["out"]}
    if missing := sorted(set(required) - set(results)):
        return f"returns no {', '.join(missing)}"
    errors = {
        n: relative_error(torch.from_numpy(results[n]).double(), torch.from_numpy(e)) for n, e in required.items()
    }
    worst = max(errors, key=errors.__getitem__)
    what = "the output" if worst == "out" else f"the gradient of {worst}"
    if errors[worst] <= ALLOWED:
        return ""
    return f"disagrees with the float64 reference: {what} is off by {errors[worst]:.1e}, allowed {ALLOWED:.0e}"
