"""The functions that equations can use. Together with ``@ + - * / ** < <= > >= ==`` they are the whole language of
circuits. Vectors are columns; a scalar combines with a vector entry by entry."""

from __future__ import annotations

import math

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
    """max(x, 0) of every entry. The derivative at 0 is 0, as in torch."""
    return record("relu", x)


def softplus(x: Value) -> Symbol:
    """log(1 + exp(x)) of every entry, without overflow."""
    return record("softplus", x)


def gelu(x: Value) -> Symbol:
    """x Φ(x) of every entry, where Φ is the distribution function of the standard normal distribution (Hendrycks and
    Gimpel 2016). Computed exactly, without the tanh approximation."""
    return record("mul", 0.5, x) * (1 + erf(record("mul", math.sqrt(0.5), x)))


def erf(x: Value) -> Symbol:
    """Error function of every entry."""
    return record("erf", x)


def exp(x: Value) -> Symbol:
    """Exponential of every entry."""
    return record("exp", x)


def log(x: Value) -> Symbol:
    """Natural logarithm of every entry."""
    return record("log", x)


def sqrt(x: Value) -> Symbol:
    """Square root of every entry."""
    return record("sqrt", x)


def sin(x: Value) -> Symbol:
    """Sine of every entry, in radians."""
    return record("sin", x)


def cos(x: Value) -> Symbol:
    """Cosine of every entry, in radians."""
    return record("cos", x)


def abs(x: Value) -> Symbol:
    """Absolute value of every entry. The derivative at 0 is 0, as in torch."""
    return record("abs", x)


def sign(x: Value) -> Symbol:
    """The sign of every entry: -1, 0 or 1. The derivative is 0 everywhere; see ``stop_gradient``."""
    return record("sign", x)


def floor(x: Value) -> Symbol:
    """The largest integer that is not greater than x, for every entry. The derivative is 0 everywhere."""
    return record("floor", x)


def maximum(a: Value, b: Value) -> Symbol:
    """The larger of a and b, entry by entry. Where they are equal, each gets half of the gradient, as in torch."""
    return record("maximum", a, b)


def minimum(a: Value, b: Value) -> Symbol:
    """The smaller of a and b, entry by entry. Where they are equal, each gets half of the gradient, as in torch."""
    return record("minimum", a, b)


def softmax(x: Value, axis: int | None = None) -> Symbol:
    """exp(x_i) / sum_j exp(x_j) over the features of a vector: a vector of the same size. Of a matrix, over the rows of
    each column (``axis=0``) or over the columns of each row (``axis=1``): a matrix of the same size."""
    return _over("softmax", x, axis)


def logsumexp(x: Value, axis: int | None = None) -> Symbol:
    """log(sum_j exp(x_j)) over the features of a vector, without overflow: a scalar. For ``axis`` see ``sum``."""
    return _over("logsumexp", x, axis)


def sum(x: Value, axis: int | None = None) -> Symbol:
    """Sum over the features of a vector, or over all entries of a matrix: a scalar. Of a matrix (rows, columns) along
    an axis, it is a vector: over the rows (``axis=0``), of the size of the columns; over the columns (``axis=1``), of
    the size of the rows."""
    return _over("sum", x, axis)


def mean(x: Value, axis: int | None = None) -> Symbol:
    """Mean over the features of a vector: a scalar. For matrices and ``axis`` see ``sum``."""
    return _over("mean", x, axis)


def max(x: Value, *others: Value, axis: int | None = None) -> Symbol:
    """Largest entry of a vector: a scalar. Entries that tie share the gradient equally. For ``axis`` see ``sum``."""
    return _of_one("max", "maximum", x, others, axis)


def min(x: Value, *others: Value, axis: int | None = None) -> Symbol:
    """Smallest entry of a vector: a scalar. Entries that tie share the gradient equally. For ``axis`` see ``sum``."""
    return _of_one("min", "minimum", x, others, axis)


def _of_one(name: str, of_two: str, x: Value, others: tuple[Value, ...], axis: int | None) -> Symbol:
    if others:
        record(name, x, *others)._refuse(
            f"{name}(x) takes one vector and returns one of its entries. "
            f"To compare two values entry by entry, write {of_two}(a, b)"
        )
    return _over(name, x, axis)


def _over(name: str, x: Value, axis: int | None) -> Symbol:
    """A reduction along an axis; None is the only one of a vector, or both of a matrix."""
    if axis is None:
        return record(name, x)
    symbol = record(name, x, axis=axis)
    if axis not in (0, 1) or isinstance(axis, bool):
        symbol._refuse(f"the axis of {name} must be 0 (over the rows) or 1 (over the columns), got {axis!r}")
    return symbol


def normalised(x: Value, axis: int | None = None) -> Symbol:
    """x, shifted and scaled to zero mean and unit variance over the features of a vector: layer normalisation without
    gain and bias (Ba, Kiros and Hinton 2016). 1e-5 is added to the variance, as in torch. Of a matrix, over the rows of
    each column (``axis=0``) or over the columns of each row (``axis=1``)."""

    def each(statistic: Symbol) -> Symbol:
        return statistic if axis is None else record("repeat", statistic, axis=axis)

    centred = record("sub", x, each(mean(x, axis)))
    return centred / each(sqrt(mean(centred * centred, axis) + 1e-5))


def cumsum(x: Value, reverse: bool = False) -> Symbol:
    """Cumulative sum over the features of a vector: entry i is the sum of the entries up to and including i, or with
    ``reverse`` the sum of the entries from i to the end."""
    return record("cumsum", x, reverse=bool(reverse))


def concat(*pieces: Value) -> Symbol:
    """The vectors one below another: a vector whose size is the sum of theirs."""
    return record("concat", *pieces)


def stack(*scalars: Value) -> Symbol:
    """A vector whose entries are the scalars."""
    return record("stack", *scalars)


def split(x: Symbol, n: int) -> tuple[Symbol, ...]:
    """Split a vector into n pieces of equal size, in order: ``i, f, g, o = split(a, 4)``."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise CircuitError(f"n in split(a, n) must be a positive integer, got {n!r}", x._trace.here())
    return tuple(record("slice", x, index=k, parts=n) for k in range(n))


def outer(u: Value, v: Value) -> Symbol:
    """u vᵀ, the matrix whose entry in row i and column j is u_i v_j."""
    return record("outer", u, v)


def rows(v: Value) -> Symbol:
    """A matrix each of whose rows is the vector v. The number of rows follows from its use: in ``S + rows(v)`` it is
    that of S."""
    return record("repeat", v, axis=0)


def columns(v: Value) -> Symbol:
    """A matrix each of whose columns is the vector v. The number of columns follows from its use: ``columns(f) * S``
    multiplies row i of S by f_i."""
    return record("repeat", v, axis=1)


def where(condition: Symbol, a: Value, b: Value) -> Symbol:
    """a where the condition holds and b elsewhere, entry by entry. Circuits use it instead of ``if``.

    The condition must be a comparison: ``where(h > 0, h, 0.1 * h)``.
    """
    return record("where", condition, a, b)


def stop_gradient(x: Value) -> Symbol:
    """x itself, but no gradient flows through it. With it, a function can have another derivative than its own: the
    straight-through estimator ``x + stop_gradient(sign(x) - x)`` is sign(x) with the derivative 1 (Bengio, Léonard
    and Courville 2013)."""
    return record("stop_gradient", x)


def take(table: Symbol, token: Symbol) -> Symbol:
    """The row of a table (tokens, size) for a token: an embedding, which is a vector of that size."""
    return record("take", table, token)


def onehot(token: Symbol) -> Symbol:
    """The one-hot vector of a token."""
    return record("onehot", token)


def argmax(x: Value) -> Symbol:
    """The token of the largest entry of a vector, the first one if several are equal: of the size of the vector. It can
    be the new value of a state, which is then a token, too, and starts at token 0 unless it is given. No gradient flows
    through it."""
    return record("argmax", x)


def draw(o: Value, noise: Value) -> Symbol:
    """A token drawn with the probabilities softmax(o): argmax(o + noise), where ``noise`` is an input that holds
    independent Gumbel numbers, one for each of the scores o, as ``unrolled.gumbel`` makes them (Gumbel 1954; Maddison,
    Tarlow and Minka 2014). For another temperature, write ``draw(o / temperature, noise)``. No gradient flows through
    it."""
    return argmax(record("add", o, noise))


def nll(o: Symbol, y: Symbol) -> Symbol:
    """Negative log-likelihood -log softmax(o)[y] of token y under the scores o: a scalar."""
    return logsumexp(o) - record("pick", o, y)


def squared_error(o: Value, y: Value) -> Symbol:
    """sum_i (o_i - y_i)²: a scalar."""
    difference = record("sub", o, y)
    return sum(difference * difference)
