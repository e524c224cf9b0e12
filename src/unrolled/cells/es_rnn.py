"""Smyl, S. (2020). A hybrid method of exponential smoothing and recurrent neural networks for time series forecasting.
International Journal of Forecasting 36(1). Exponential smoothing (Winters 1960), with additive seasons, inside the step
of an LSTM that reads the last cycle without its level and seasons. The LSTM sets the smoothing coefficients at each
step: Smyl, S., Dudek, G. and Pełka, P. (2021). ES-dRNN. arXiv:2112.02663.
The output is three quantiles of the next values, relative to the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..circuits import circuit, concat, constant, gate, glorot, orthogonal, sigmoid, split, sum, tanh

if TYPE_CHECKING:
    from torch import Tensor


def first(p: Tensor) -> None:
    """One for the first entry, zero for the others."""
    p.zero_()[0] = 1.0


def last(p: Tensor) -> None:
    """One for the last entry, zero for the others."""
    p.zero_()[-1] = 1.0


def season(p: Tensor) -> None:
    """An error changes the season of its own step."""
    p.zero_()[-1] = 0.1


def turned(p: Tensor) -> None:
    """The matrix that moves each entry one place up, and the first one to the end."""
    for row, entries in enumerate(p.zero_()):
        entries[(row + 1) % len(p)] = 1.0


def repeated(p: Tensor) -> None:
    """The matrix that repeats the entries in turn, as many times as there are rows."""
    for row, entries in enumerate(p.zero_()):
        entries[row % len(entries)] = 1.0


@circuit(
    init={
        "a": constant(0.0),
        "g": season,
        "U": glorot(gates=4),
        "W": orthogonal(gates=4),
        "b": gate(1, of=4, value=1.0),
        "V": constant(0.0),
    },
    constant={"B": first, "E": last, "R": turned, "P": repeated},
)
def es_rnn(x, h, c, l, s, *, a, g, U, W, b, V, k, B, E, R, P):
    """Exponential smoothing and an LSTM: x is the last cycle of a series, l its level, s its seasons."""
    y = sum(E * x)
    e = y - l - sum(B * s)
    l = l + sigmoid(sum(a * h)) * e
    s = R @ s + e * g
    n = x - l - s
    z = b + W @ h + U @ n
    i, f, d, q = split(z, 4)
    i, f, d, q = sigmoid(i), sigmoid(f), tanh(d), sigmoid(q)
    c = f * c + i * d
    h = q * tanh(c)
    p = l + P @ s - y
    o = k + V @ h + concat(p, p, p)
    return {"h": h, "c": c, "l": l, "s": s, "o": o}
