"""The functions that equations are written with. Together with ``@ + - * / ** < <= > >= ==`` they are the whole
language of a circuit. Vectors are columns; a scalar combines with a vector entry by entry."""

from __future__ import annotations

from ..errors import CircuitError
from .trace import Symbol, record

Value = Symbol | float


def tanh(x: Value) -> Symbol:
    """Hyperbolic tangent of every entry."""
    return record("tanh", x)


def sigmoid(x: Value) -> Symbol:
    """Logistic sigmoid 1 / (1 + exp(-x)) of every entry."""
    return record("sigmoid", x)


def relu(x: Value) -> Symbol:
    """max(x, 0) of every entry; its derivative at 0 is taken as 0, as torch does."""
    return record("relu", x)


def exp(x: Value) -> Symbol:
    """Exponential of every entry."""
    return record("exp", x)


def log(x: Value) -> Symbol:
    """Natural logarithm of every entry."""
    return record("log", x)


def sqrt(x: Value) -> Symbol:
    """Square root of every entry."""
    return record("sqrt", x)


def abs(x: Value) -> Symbol:
    """Absolute value of every entry; its derivative at 0 is 0, as in torch."""
    return relu(x) + relu(record("neg", x))


def softmax(x: Value) -> Symbol:
    """exp(x_i) / sum_j exp(x_j) over the features of a vector: a vector of the same size."""
    return record("softmax", x)


def logsumexp(x: Value) -> Symbol:
    """log(sum_j exp(x_j)) over the features of a vector, without overflow: a scalar."""
    return record("logsumexp", x)


def sum(x: Value) -> Symbol:
    """Sum over the features of a vector: a scalar."""
    return record("sum", x)


def mean(x: Value) -> Symbol:
    """Mean over the features of a vector: a scalar."""
    return record("mean", x)


def max(x: Value) -> Symbol:
    """Largest entry of a vector: a scalar. Entries that tie share the gradient evenly."""
    return record("max", x)


def concat(*pieces: Value) -> Symbol:
    """Vectors one below the other: a vector as long as all of them."""
    return record("concat", *pieces)


def split(x: Symbol, n: int) -> tuple[Symbol, ...]:
    """A vector cut into n pieces of equal size, first entries first."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise CircuitError(f"split(a, n) takes a whole number of pieces, got {n!r}", x._trace.here())
    return tuple(record("slice", x, index=k, parts=n) for k in range(n))


def where(condition: Symbol, a: Value, b: Value) -> Symbol:
    """a where the condition holds, b elsewhere, entry by entry. The ``if`` of a circuit.

    The condition is a comparison: ``where(h > 0, h, 0.1 * h)``.
    """
    return record("where", condition, a, b)


def take(table: Symbol, token: Symbol) -> Symbol:
    """The row of a (tokens, size) table that belongs to a token: an embedding."""
    return record("take", table, token)


def onehot(token: Symbol) -> Symbol:
    """The one-hot vector of a token."""
    return record("onehot", token)


def nll(o: Symbol, y: Symbol) -> Symbol:
    """Negative log-likelihood -log softmax(o)[y] of token y under the scores o: a scalar."""
    return logsumexp(o) - record("pick", o, y)


def squared_error(o: Value, y: Value) -> Symbol:
    """sum_i (o_i - y_i)²: a scalar."""
    difference = record("sub", o, y)
    return sum(difference * difference)
