"""The cells as a user of another library would write them: one step, for a Python loop or ``lax.scan``.

``m`` is the library: ``m.linear(x, A, b)`` is A x + b for each row of x, ``m.split`` cuts the last dimension into
equal parts, ``m.normalised`` is layer normalisation without gains. A step takes the parameters by name, x(t) and
the state. It returns the new state, with the output first. For equations and sources see ``unrolled.cells``.
"""

from __future__ import annotations

from typing import Any

P = dict[str, Any]


def rnn(m: Any, p: P, x: Any, h: Any) -> tuple[Any, ...]:
    """One step of the cell rnn."""
    return (m.tanh(m.linear(x, p["U"], p["b"]) + m.linear(h, p["W"])),)


def gru(m: Any, p: P, x: Any, h: Any) -> tuple[Any, ...]:
    """One step of the cell gru."""
    ar, az, an = m.split(m.linear(x, p["U"], p["b"]), 3)
    kr, kz, kn = m.split(m.linear(h, p["W"]), 3)
    r, z = m.sigmoid(ar + kr), m.sigmoid(az + kz)
    n = m.tanh(an + r * (kn + p["d"]))
    return ((1 - z) * n + z * h,)


def lstm(m: Any, p: P, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """One step of the cell lstm."""
    i, f, g, o = m.split(m.linear(x, p["U"], p["b"]) + m.linear(h, p["W"]), 4)
    c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
    return m.sigmoid(o) * m.tanh(c), c


def jordan(m: Any, p: P, x: Any, o: Any) -> tuple[Any, ...]:
    """One step of the cell jordan."""
    h = m.tanh(m.linear(x, p["U"], p["b"]) + m.linear(o, p["W"]))
    return (m.linear(h, p["V"], p["c"]),)


def peephole_lstm(m: Any, p: P, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """One step of the cell peephole_lstm."""
    i, f, g, o = m.split(m.linear(x, p["U"], p["b"]) + m.linear(h, p["W"]), 4)
    i, f = m.sigmoid(i + p["p"] * c), m.sigmoid(f + p["q"] * c)
    c = f * c + i * m.tanh(g)
    return m.sigmoid(o + p["r"] * c) * m.tanh(c), c


def layernorm_lstm(m: Any, p: P, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """One step of the cell layernorm_lstm."""
    a = p["gh"] * m.normalised(m.linear(h, p["W"])) + p["gx"] * m.normalised(m.linear(x, p["U"])) + p["b"]
    i, f, g, o = m.split(a, 4)
    c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
    return m.sigmoid(o) * m.tanh(p["gc"] * m.normalised(c) + p["bc"]), c


def mgu(m: Any, p: P, x: Any, h: Any) -> tuple[Any, ...]:
    """One step of the cell mgu."""
    f = m.sigmoid(m.linear(x, p["Uf"], p["bf"]) + m.linear(h, p["Wf"]))
    n = m.tanh(m.linear(x, p["U"], p["b"]) + m.linear(f * h, p["W"]))
    return ((1 - f) * h + f * n,)


STEPS = {f.__name__: f for f in (rnn, gru, lstm, jordan, peephole_lstm, layernorm_lstm, mgu)}
STATES = {name: 2 if "lstm" in name else 1 for name in STEPS}  # number of states, each as wide as W has columns


def start(cell: str, p: P, rows: int, zeros: Any) -> tuple[Any, ...]:
    """An initial state of zeros; ``zeros(rows, columns)`` makes one matrix."""
    return tuple(zeros(rows, p["W"].shape[1]) for _ in range(STATES[cell]))
