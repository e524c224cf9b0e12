"""The closed set of operations, each with its arity and its typing rule. To add one, add a row here and a row in every
table that ARCHITECTURE.md names; a test checks that every table is complete.

All operations work on the features of one step of one sequence. The engines add batch and time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import GraphError, SourceLine
from .node import MASK, REAL, SCALAR, TOKEN, Node, Type, intern, matrix, token, vector
from .size import Conflict, Size, total


class Equal(Protocol):
    """States that two sizes are equal: by a solver while a circuit is read, by a comparison afterwards."""

    def equal(self, left: Size, right: Size) -> None: ...


class Mismatch(Exception):
    """The arguments do not have the types that the operation takes."""


Rule = Callable[[Equal, tuple[Type, ...], dict[str, Any]], Type]


@dataclass(frozen=True, slots=True)
class Op:
    """An operation: its name, the number of its arguments, and the rule that computes its type."""

    name: str
    arity: int | None  # None: any number
    rule: Rule


def _need(condition: bool, message: str, *values: object) -> None:
    if not condition:
        raise Mismatch(message.format(*values))


def _rank(type: Type, rank: int, what: str) -> None:
    names = {0: "a scalar", 1: "a vector", 2: "a matrix"}
    _need(type.kind == REAL and len(type.dims) == rank, "{} must be {}, got a {}", what, names[rank], type)


def _pointwise(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    first = types[0]
    for type in types:
        _need(type.kind == REAL, "operands must be real numbers, got a {}", type)
        _need(len(type.dims) == len(first.dims), "operands must have the same rank, got a {} and a {}", first, type)
        for a, b in zip(first.dims, type.dims, strict=True):
            eq.equal(a, b)
    return first


def _compare(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    return Type(MASK, _pointwise(eq, types, attrs).dims)


def _where(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    condition, *values = types
    _need(condition.kind == MASK, "the condition must be a comparison, such as h > 0, got a {}", condition)
    result = _pointwise(eq, tuple(values), attrs)
    _pointwise(eq, (Type(REAL, condition.dims), result), attrs)
    return result


def _matvec(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    a, x = types
    _rank(a, 2, "the left operand")
    _rank(x, 1, "the right operand")
    eq.equal(a.dims[1], x.dims[0])
    return vector(a.dims[0])


def _matmul(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    a, b = types
    _rank(a, 2, "the left operand")
    _rank(b, 2, "the right operand")
    eq.equal(a.dims[1], b.dims[0])
    return matrix(a.dims[0], b.dims[1])


def _transpose(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 2, "a transposed value")
    return matrix(types[0].dims[1], types[0].dims[0])


def _outer(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    for type in types:
        _rank(type, 1, "each factor")
    return matrix(types[0].dims[0], types[1].dims[0])


def _total(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    if "axis" in attrs:
        return _reduce(eq, types, attrs)
    _need(types[0].kind == REAL and bool(types[0].dims), "expected a vector, got a {}", types[0])
    return SCALAR


def _reduce(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    if "axis" in attrs:
        _rank(types[0], 2, "a value reduced along an axis")
        return vector(types[0].dims[1 - attrs["axis"]])
    _rank(types[0], 1, "a reduced value")
    return SCALAR


def _normalise(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 2 if "axis" in attrs else 1, "the argument")
    return types[0]


def _same_vector(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 1, "the argument")
    return types[0]


def _broadcast(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _need(types[0].kind != TOKEN and not types[0].dims, "a broadcast value must be a scalar, got a {}", types[0])
    return Type(types[0].kind, attrs["dims"])


def _repeat(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 1, "a repeated value")
    eq.equal(types[0].dims[0], attrs["dims"][1 - attrs["axis"]])
    return matrix(*attrs["dims"])


def _concat(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    for type in types:
        _rank(type, 1, "each piece")
    return vector(total(type.dims[0] for type in types))


def _slice(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 1, "a split value")
    eq.equal(types[0].dims[0], total(attrs["sizes"]))
    return vector(attrs["sizes"][attrs["index"]])


def _token(type: Type) -> Size:
    _need(type.kind == TOKEN, "expected a token (an index), got a {}", type)
    return type.dims[0]


def _onehot(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    return vector(_token(types[0]))


def _pick(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 1, "the value to pick from")
    eq.equal(types[0].dims[0], _token(types[1]))
    return SCALAR


def _take(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 2, "the table to take from")
    eq.equal(types[0].dims[0], _token(types[1]))
    return vector(types[0].dims[1])


def _argmax(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    _rank(types[0], 1, "the argument")
    return token(types[0].dims[0])


def _choose(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    condition, a, b = types
    _need(condition.kind == MASK and not condition.dims, "the condition must compare scalars, got a {}", condition)
    eq.equal(_token(a), _token(b))
    return a


def _constant(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    return Type(REAL, attrs["dims"])


def _size(eq: Equal, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
    return SCALAR


def _table() -> dict[str, Op]:
    rows: list[tuple[str, int | None, Rule]] = [
        # entry by entry
        ("neg", 1, _pointwise),
        ("tanh", 1, _pointwise),
        ("sigmoid", 1, _pointwise),
        ("relu", 1, _pointwise),
        ("exp", 1, _pointwise),
        ("log", 1, _pointwise),
        ("sqrt", 1, _pointwise),
        ("abs", 1, _pointwise),
        ("sign", 1, _pointwise),
        ("floor", 1, _pointwise),
        ("sin", 1, _pointwise),
        ("cos", 1, _pointwise),
        ("softplus", 1, _pointwise),
        ("erf", 1, _pointwise),
        ("stop_gradient", 1, _pointwise),
        ("add", 2, _pointwise),
        ("sub", 2, _pointwise),
        ("mul", 2, _pointwise),
        ("div", 2, _pointwise),
        ("maximum", 2, _pointwise),
        ("minimum", 2, _pointwise),
        # comparisons and choice
        ("less", 2, _compare),
        ("less_equal", 2, _compare),
        ("equal", 2, _compare),
        ("where", 3, _where),
        # matrices
        ("matvec", 2, _matvec),
        ("matmul", 2, _matmul),
        ("transpose", 1, _transpose),
        ("outer", 2, _outer),
        # across the features of a vector, or with axis=0 over the rows and with axis=1 over the columns of a matrix
        ("sum", 1, _total),
        ("mean", 1, _reduce),
        ("max", 1, _reduce),
        ("min", 1, _reduce),
        ("logsumexp", 1, _reduce),
        ("softmax", 1, _normalise),
        ("cumsum", 1, _same_vector),
        ("broadcast", 1, _broadcast),
        ("repeat", 1, _repeat),  # a matrix whose rows (axis=0) or columns (axis=1) are all this vector
        ("concat", None, _concat),
        ("slice", 1, _slice),
        # tokens: one-hot vectors stored as an index
        ("onehot", 1, _onehot),
        ("pick", 2, _pick),
        ("take", 2, _take),
        ("argmax", 1, _argmax),  # the token of the largest entry
        ("choose", 3, _choose),  # one token or another
        # values without arguments
        ("constant", 0, _constant),
        ("size", 0, _size),
    ]
    return {name: Op(name, arity, rule) for name, arity, rule in rows}


OPS = _table()
POINTWISE = frozenset(name for name, op in OPS.items() if op.rule in (_pointwise, _compare, _where))
REDUCING = frozenset(
    name for name, op in OPS.items() if op.rule in (_total, _reduce, _pick)
)  # to a scalar, or along an axis
LEAVES = ("input", "state", "parameter")


class _Identical:
    """Equality once all sizes are known expressions."""

    def equal(self, left: Size, right: Size) -> None:
        if left != right:
            raise Conflict(left, right)


IDENTICAL = _Identical()


def make(op: str, *args: Node, source: SourceLine | None = None, **attrs: Any) -> Node:
    """The node ``op(*args)``, with the type that the op's rule computes.

    Raises:
        GraphError: the arguments have the wrong number or types.
    """
    row = OPS[op]
    if row.arity is not None and len(args) != row.arity:
        raise GraphError(f"'{op}' takes {row.arity} arguments, got {len(args)}", source)
    try:
        type = row.rule(IDENTICAL, tuple(a.type for a in args), attrs)
    except (Mismatch, Conflict) as problem:
        raise GraphError(f"in '{op}' of {', '.join(str(a.type) for a in args)}: {problem}", source) from None
    return intern(op, args, tuple(sorted(attrs.items())), type, source)


def constant(value: float, dims: tuple[Size, ...] = ()) -> Node:
    """A node with the same number in every entry."""
    return make("constant", value=float(value), dims=dims)


def is_constant(node: Node, value: float) -> bool:
    """Whether every entry of the node is this number."""
    return node.op == "constant" and node["value"] == value
