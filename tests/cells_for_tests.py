"""What many tests go through: the cells of the library with small sizes, the lecture's circuit with its loss, and
the engines."""

from __future__ import annotations

import pytest

from unrolled import circuit, nll, noise, softmax, tanh, variational, zoneout
from unrolled.cells import ALL
from unrolled.engines.c.build import compiler


@circuit
def lecture(x, y, h, *, U, W, b, V, c):
    """Goodfellow, Bengio and Courville (2016), eqs. 10.8-10.14."""
    a = b + W @ h + U @ x
    h = tanh(a)
    o = c + V @ h
    yhat = softmax(o)
    return {"h": h, "o": o, "yhat": yhat, "L": nll(o, y)}


@circuit
def lecture_output_recurrence(x, y, o, *, U, W, b, V, c):
    """Structure 2: recurrence from the output to the hidden units of the next step."""
    a = b + W @ o + U @ x
    h = tanh(a)
    o = c + V @ h
    yhat = softmax(o)
    return {"h": h, "o": o, "yhat": yhat, "L": nll(o, y)}


SIZES = {
    name: {"s": 4}
    if name == "autonomous"
    else {"x": 3, "h": 4, "o": 2}
    if name in ("elman", "jordan")
    else {"x": 3, "h": 4, "c": 6}
    if name == "lstm_projected"
    else {"x": 3, "h": 4, "o": 15}
    if name == "es_rnn"
    else {"x": 3, "h": 4, "k": 5}
    if name in ("mlstm", "delta")
    else {"x": 3, "h": 4, "q": 5, "M": (7, 6)}
    if name == "bahdanau"
    else {"x": 3, "h": 4}
    for name in ALL
}
regularised = zoneout(noise(variational(ALL["lstm"], x=0.2, h=0.3), x=0.1, c=0.1), h=0.1, c=0.5)
CIRCUITS = {
    **ALL,
    "lecture": lecture,
    "lecture_output_recurrence": lecture_output_recurrence,
    "regularised": regularised,
}
SIZES |= {
    "regularised": {"x": 3, "h": 4},
    "lecture": {"x": 3, "h": 4, "o": 2},
    "lecture_output_recurrence": {"x": 3, "h": 4, "o": 2},
}

needs_compiler = pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
ENGINES = ["reference", "torch", pytest.param("c", marks=needs_compiler)]


def said(errors: str | bytes) -> str:
    """What a program wrote to stderr, but for the hint that it gives where there is no compiler."""
    text = errors.decode() if isinstance(errors, bytes) else errors
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("using engine 'torch'"))
