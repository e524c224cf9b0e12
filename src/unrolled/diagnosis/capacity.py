"""How much of x(t-τ) the states at step t still hold: the share of its variance that a linear read-out recovers.

For independent inputs, the shares of all lags add up to the memory capacity, at most the number of units: Jaeger, H.
(2002). Short term memory in echo state networks. GMD report 152. The read-out is fitted on one part of the steps and
evaluated on the rest, so that overfitting does not count as memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from ..graph.node import TOKEN
from ..nn.recurrent import Recurrent
from ..transform.restrict import only_states
from .reach import lags_to
from .trajectory import Trajectory
from .units import every_step

DIRECTIONS = 8  # random projections of a wide input
FITTED = 0.7  # share of the steps used for fitting
ROWS, EACH = 5_000, 6  # at most this many steps in all, or per unit, whichever is more


@dataclass(frozen=True)
class Memory:
    """The linear memory of a layer.

    Attributes:
        lags: τ in steps.
        shares: for each lag, the share of the variance of x(t-τ) that is recovered, from 0 to 1.
    """

    lags: tuple[int, ...]
    shares: tuple[float, ...]

    @property
    def steps(self) -> int:
        """The longest lag at which at least half is recovered; 0 if there is none."""
        return max((lag for lag, share in zip(self.lags, self.shares, strict=True) if share >= 0.5), default=0)


def memory(path: Trajectory, farthest: int, generator: torch.Generator) -> Memory | None:
    """The linear memory of a layer for its input; None without an input, or with too few steps.

    It depends on the data: correlations between neighbouring inputs make it longer.
    """
    read = [n for n in only_states(path.net.circuit.recurrence).inputs if n in path.inputs]
    if not read:
        return None
    farthest = min(farthest, max(path.longest // 2, 1))
    rows, times, behind = every_step(path)
    most = max(ROWS, EACH * path.units)
    rows, times = rows[behind >= farthest][-most:], times[behind >= farthest][-most:]
    if len(rows) < 4 * path.units:
        return None
    states = torch.cat([path.out[n][rows, times] for n in path.states], 1)
    seen = _few(path.inputs[read[0]], path.net.sizes[read[0]], generator)
    lags = lags_to(farthest)
    return Memory(lags, linear_memory(states, [seen[rows, times - lag] for lag in lags]))


def memory_capacity(
    net: Recurrent, farthest: int, steps: int = 20_000, warm: int = 200, seed: int = 0
) -> tuple[float, tuple[float, ...]]:
    """Jaeger's memory capacity in steps: the sum of the shares at lags 0 to ``farthest``, and the shares themselves.

    >>> total, shares = memory_capacity(net, farthest=60)
    >>> len(shares)
    61

    The network reads one sequence of independent random numbers between -1 and 1. Lag 0 counts, since h(t) has read
    x(t): the capacity of a linear network is its number of units. If x(t) has several entries, their shares are added.

    Args:
        net: a network with one input of vectors.
        farthest: the longest lag, in steps.
        steps: length of the sequence.
        warm: number of first steps that are left out.
        seed: seed of the random numbers.

    Raises:
        InputError: the network has no input, several inputs or tokens; or there are too few steps to fit.
    """
    tokens = any(node.type.kind == TOKEN for node in net.circuit.recurrence.inputs.values())
    if len(net.circuit.inputs) != 1 or tokens:
        given = ", ".join(net.circuit.inputs) + " (tokens)" * tokens if net.circuit.inputs else "none"
        raise InputError(f"memory_capacity needs a network with one input of vectors; the inputs of this one: {given}")
    units = sum(s.type.entries(net._sizes) for s in net.circuit.recurrence.states.values())
    if steps < 4 * units + farthest + warm:
        raise InputError(f"{steps} steps are too few for {units} units: give {4 * units + farthest + warm} or more")
    generator = torch.Generator().manual_seed(seed)
    size = net.sizes[net.circuit.inputs[0]]
    x = torch.rand(1, steps, size, generator=generator, dtype=torch.float64).mul(2).sub(1).to(net._like())
    with torch.no_grad():
        out = net(x)
    states = torch.cat([out[n][0].reshape(steps, -1) for n in net.circuit.states], 1)[warm + farthest :]
    seen = [x[0, warm + farthest - lag : steps - lag] for lag in range(farthest + 1)]
    shares = tuple(size * share for share in linear_memory(states, seen))
    return sum(shares), shares


def linear_memory(states: Tensor, seen: list[Tensor]) -> tuple[float, ...]:
    """The share of the variance of some values that a linear function of the states explains, by least squares.

    Args:
        states: (steps, units).
        seen: values, each (steps, size).

    Returns:
        one share per value, from 0 to 1, evaluated on the steps that were not used for fitting.
    """
    states = torch.cat([states, torch.ones_like(states[:, :1])], 1).double()
    split = int(FITTED * len(states))
    fit, judge = states[:split], states[split:]
    gram = fit.mT @ fit
    gram += 1e-12 * gram.diagonal().max() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    targets = torch.cat(seen, 1).double()
    weights = torch.linalg.solve(gram, fit.mT @ targets[:split])
    error = (judge @ weights - targets[split:]).square().mean(0)
    total = targets[split:].var(0, correction=0)
    shares = []
    for e, v in zip(error.split([s.shape[1] for s in seen]), total.split([s.shape[1] for s in seen]), strict=True):
        shares.append(float((1 - e.sum() / v.sum()).clamp(0, 1)) if float(v.sum()) > 0 else 0.0)
    return tuple(shares)


def _few(x: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A few random projections of an input (batch, time, size), or of the one-hot vectors of tokens (batch, time)."""
    drawn = torch.randn(size, min(size, DIRECTIONS), generator=generator, dtype=torch.float64).to(x.device)
    return x.double() @ drawn if x.is_floating_point() else drawn[x.long()]
