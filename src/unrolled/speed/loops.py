"""The cells as a user of another library would write them: one step, for a Python loop or ``lax.scan``.

``m`` is the library: ``m.linear(x, A, b)`` is A x + b for each row of x, ``m.split`` cuts the last dimension into
equal parts, ``m.normalised`` is layer normalisation without gains. A step takes the parameters by name, x(t), the
state, and what is fixed in time. It returns the new state, with the output first. For equations and sources see
``unrolled.cells``.
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


def bahdanau(m: Any, p: P, x: Any, h: Any, memory: Any, keys: Any, hidden: Any) -> tuple[Any, ...]:
    """One step of the cell bahdanau. hidden: added to the scores, minus infinity where the memory is padding."""
    q = m.linear(h, p["A"])
    a = m.softmax(m.tanh(keys + q[:, None]) @ p["v"] + hidden)
    c = (a[:, None] @ memory)[:, 0]
    ez, er, en = m.split(m.linear(x, p["U"], p["b"]) + m.linear(c, p["C"]), 3)
    dz, dr = m.split(m.linear(h, p["W"]), 2)
    z, r = m.sigmoid(ez + dz), m.sigmoid(er + dr)
    return ((1 - z) * h + z * m.tanh(en + m.linear(r * h, p["V"])),)


def mlstm(m: Any, p: P, x: Any, h: Any, C: Any, n: Any, top: Any) -> tuple[Any, ...]:
    """One step of the cell mlstm, of which h is an output only."""
    q, k, v = (m.linear(x, p[A], p[b]) for A, b in (("Q", "bq"), ("K", "bk"), ("V", "bv")))
    i, f = m.split(m.linear(x, p["G"]), 2)
    i, f = i + p["bi"], -m.softplus(-(f + p["bf"]))
    new = m.maximum(f + top, i)
    i, f = m.exp(i - new), m.exp(f + top - new)
    C = f[..., None] * C + (i * v)[..., None] * k[:, None]
    n = f * n + i * k
    size = m.maximum(m.abs((n * q).sum(-1, keepdims=True)), m.exp(-new))
    return m.sigmoid(m.linear(x, p["O"], p["bo"])) * (C @ q[..., None])[..., 0] / size, C, n, new


def delta(m: Any, p: P, x: Any, h: Any, S: Any) -> tuple[Any, ...]:
    """One step of the cell delta, of which h is an output only."""
    q, k = (a / m.sqrt((a * a).sum(-1, keepdims=True) + 1e-6) for a in (m.linear(x, p["Q"]), m.linear(x, p["K"])))
    v, (alpha, beta) = m.linear(x, p["V"]), m.split(m.linear(x, p["G"]), 2)
    S = m.sigmoid(alpha + p["ba"])[..., None] * S
    S = S + (m.sigmoid(beta + p["bb"]) * (v - (S @ k[..., None])[..., 0]))[..., None] * k[:, None]
    return (S @ q[..., None])[..., 0], S


STEPS = {f.__name__: f for f in (rnn, gru, lstm, jordan, peephole_lstm, layernorm_lstm, mgu, bahdanau, mlstm, delta)}


def start(cell: str, p: P, rows: int, zeros: Any) -> tuple[Any, ...]:
    """An initial state of zeros; ``zeros(rows, columns)`` makes one matrix."""
    if cell in ("mlstm", "delta"):
        h, k = len(p["V"]), len(p["K"])
        shapes = [(h,), (h, k), (k,), (1,)] if cell == "mlstm" else [(h,), (h, k)]
    else:
        shapes = [(p["W"].shape[1],)] * (2 if "lstm" in cell else 1)
    return tuple(zeros(rows, *shape) for shape in shapes)


def fixed(m: Any, cell: str, p: P, memory: Any, hidden: Any) -> tuple[Any, ...]:
    """What a step reads beside x(t) and the state, computed once, before the loop. hidden: see ``bahdanau``."""
    return (memory, m.linear(memory, p["K"]), hidden) if cell == "bahdanau" else ()
