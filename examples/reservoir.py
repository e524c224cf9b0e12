"""An echo state network: a frozen random recurrence, and a read-out in closed form.

The problem is NARMA-10 (Atiya and Parlos 2000): from random inputs u(t), predict a series in which each value depends
on the ten values before it,

    y(t) = 0.3 y(t-1) + 0.05 y(t-1) Σ_{k=1..10} y(t-k) + 1.5 u(t-10) u(t-1) + 0.1.

Nothing is trained by gradients. The states of the recurrence are computed once, and a ridge regression maps them to the
series (Jaeger 2001). It is compared with the same regression on the last inputs, without a network.

    python examples/reservoir.py               # a few seconds
    python examples/reservoir.py --units 400 --radius 0.8
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

import unrolled
from unrolled import circuit, tanh
from unrolled.circuits.circuit import Circuit

WASHED_OUT = 100  # steps before the first state that is used, until the start is forgotten
TRAINING, TEST = 4000, 1000  # steps


def narma(steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs and the series that they drive, (steps,) each."""
    u = torch.rand(steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / 2
    y = [0.0] * 10
    for t in range(10, steps):
        past = y[t - 10 : t]
        y.append(0.3 * past[-1] + 0.05 * past[-1] * sum(past) + 1.5 * u[t - 10].item() * u[t - 1].item() + 0.1)
    return u, torch.tensor(y, dtype=torch.float64)


def reservoir(units: int, radius: float, scale: float, seed: int) -> Circuit:
    """A circuit whose weights are constants: random, with a given spectral radius."""
    draw = torch.Generator().manual_seed(seed)
    random = torch.randn(units, units, generator=draw, dtype=torch.float64)
    recurrent = random * radius / torch.linalg.eigvals(random).abs().max()
    into = scale * (2 * torch.rand(units, 2, generator=draw, dtype=torch.float64) - 1)

    @circuit(constant={"W": recurrent, "U": into})
    def echo(x, h, *, W, U):
        h = tanh(W @ h + U @ x)
        return {"h": h}

    return echo


def read_out(features: Tensor, series: Tensor, ridge: float) -> float:
    """The error of a ridge regression from features (steps, n), on the last steps: the root of the mean squared error,
    divided by the standard deviation of the series."""
    used = slice(WASHED_OUT, WASHED_OUT + TRAINING)
    rest = slice(WASHED_OUT + TRAINING, None)
    features = torch.cat([features, torch.ones(len(features), 1, dtype=features.dtype)], 1)
    gram = features[used].T @ features[used] + ridge * torch.eye(features.shape[1], dtype=features.dtype)
    weights = torch.linalg.solve(gram, features[used].T @ series[used])
    error = (features[rest] @ weights - series[rest]).square().mean()
    return (error / series[rest].var()).sqrt().item()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="An echo state network on NARMA-10.")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--radius", type=float, default=0.9, help="the spectral radius of the frozen matrix")
    parser.add_argument("--scale", type=float, default=0.2, help="the largest absolute weight of the inputs")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)

    u, y = narma(WASHED_OUT + TRAINING + TEST, given.seed)
    inputs = torch.stack([u, torch.ones_like(u)], 1)
    inputs = torch.cat([torch.zeros(1, 2, dtype=u.dtype), inputs[:-1]])  # y(t) depends on inputs up to t - 1
    cell = reservoir(given.units, given.radius, given.scale, given.seed)
    net = unrolled.Recurrent(cell, x=2, h=given.units, dtype=torch.float64)
    states = net(inputs[None]).h[0]
    past = torch.stack([u.roll(k) for k in range(1, 21)], 1)

    print(f"NARMA-10, {TRAINING:,} steps to fit, {TEST:,} to test; the error of predicting the mean is 1")
    print(f"linear regression on the last 20 inputs  {read_out(past, y, 1e-8):.3f}")
    print(f"echo state network of {given.units} units{'':11}  {read_out(states, y, 1e-8):.3f}")


if __name__ == "__main__":
    main()
