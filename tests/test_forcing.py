"""Teacher forcing compared with an explicit loop: all layouts, resets, several states, all engines."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cells_for_tests import ENGINES
from unrolled import Ragged, Recurrent, State, circuit, tanh

LENGTHS = (4, 0, 6, 1)


@circuit
def two(x, h, o, *, U, W, V, R, b):
    """Two states that each depend on both."""
    h, o = tanh(b + U @ x + W @ h + V @ o), tanh(R @ h + x - o)
    return {"h": h, "o": o}


def by_hand(net: Recurrent, x: Tensor, start: State, forced: dict[str, Tensor], reset: Tensor) -> dict[str, Tensor]:
    """One sequence (time, size), step by step: a forced state is the target of the previous step, or zero after a
    reset."""
    state, found = {n: v for n, v in start.items()}, {"h": [], "o": []}
    for step in range(len(x)):
        read = {n: forced[n][None, step - 1] if n in forced and step else state[n] for n in state}
        if reset[step]:
            read = {n: torch.zeros_like(v) for n, v in read.items()}
        out = net.step(x[None, step], State(**read))
        state = dict(out.state)
        for n in found:
            found[n].append(out[n][0])
    return {n: torch.stack(v) for n, v in found.items()}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("names", [("o",), ("h",), ("h", "o")], ids="-".join)
@pytest.mark.parametrize("resets", [False, True])
def test_forced_states_are_those_of_the_step_before(engine: str, names: tuple[str, ...], resets: bool):
    torch.manual_seed(0)
    dtype = torch.float32 if engine == "c" else torch.float64
    net = Recurrent(two, x=3, h=4, o=3, dtype=dtype, engine=engine)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.5)
    x = [torch.randn(n, 3, dtype=dtype, requires_grad=True) for n in LENGTHS]
    size = {"h": 4, "o": 3}
    forced = [{n: torch.randn(t, size[n], dtype=dtype, requires_grad=True) for n in names} for t in LENGTHS]
    reset = [torch.arange(t) % 3 == 2 if resets else torch.zeros(t, dtype=torch.bool) for t in LENGTHS]
    start = State(
        h=torch.randn(4, 4, dtype=dtype, requires_grad=True), o=torch.randn(4, 3, dtype=dtype, requires_grad=True)
    )
    series = {n: Ragged([f[n] for f in forced]) for n in names}
    masks = {"reset": Ragged(reset)} if resets else {}

    out = net(Ragged(x), state=start, given=series, **masks)
    rows = [State(**{n: v[i : i + 1] for n, v in start.items()}) for i in range(4)]
    expected = [by_hand(net, *row) for row in zip(x, rows, forced, reset, strict=True) if len(row[0])]
    weights = {n: torch.randn(sum(LENGTHS), size[n], dtype=dtype) for n in size}
    whole = {n: torch.cat([e[n] for e in expected]) for n in size}
    for n in size:
        torch.testing.assert_close(out[n].values, whole[n])
    leaves = [*net.parameters(), *x, *(f[n] for f in forced for n in names), *start.values()]
    found = torch.autograd.grad(sum((out[n].values * w).sum() for n, w in weights.items()), leaves, allow_unused=True)
    by_step = torch.autograd.grad(sum((whole[n] * w).sum() for n, w in weights.items()), leaves, allow_unused=True)
    for a, b, leaf in zip(found, by_step, leaves, strict=True):
        none = torch.zeros_like(leaf)
        torch.testing.assert_close(none if a is None else a, none if b is None else b, rtol=1e-4, atol=1e-5)
    if not resets:
        dense = net(x[2][None], rows[2], given={n: forced[2][n][None] for n in names})
        for n in size:
            torch.testing.assert_close(dense[n][0], out[n][2])
