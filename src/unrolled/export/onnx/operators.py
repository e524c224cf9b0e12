"""What each op is in ONNX: one row per op, which adds its nodes and returns the name of the result.

A row means the same as the row of ``transform/operations.py``, on values with leading dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from ...graph.node import Node
from ...graph.size import total
from .values import LEAD, NONE, Place, Value

Row = Callable[[Place, Node, list[Value]], str]


def _one(op: str, **attributes: Any) -> Row:
    """One operator on the same arguments."""
    return lambda place, node, args: place.graph.add(op, *(a.name for a in args), **attributes)


def _matvec(place: Place, node: Node, args: list[Value]) -> str:
    matrix, vector = args
    add = place.graph.add
    if matrix.form != NONE:
        column = add("Unsqueeze", vector.name, place.graph.integers(-1))
        return add("Squeeze", add("MatMul", matrix.name, column), place.graph.integers(-1))
    if matrix.number is None:
        return add("MatMul", vector.name, add("Transpose", matrix.name, perm=[1, 0]))
    name = node.args[0]["name"] + ".T" if node.args[0].op == "parameter" else None
    return add("MatMul", vector.name, place.graph.constant(numpy.ascontiguousarray(matrix.number.T), name))


def _transpose(place: Place, node: Node, args: list[Value]) -> str:
    lead = LEAD[args[0].form]
    return place.graph.add("Transpose", args[0].name, perm=[*range(lead), lead + 1, lead])


def _outer(place: Place, node: Node, args: list[Value]) -> str:
    column, row = (
        place.graph.add("Unsqueeze", a.name, place.graph.integers(k)) for a, k in zip(args, (-1, -2), strict=True)
    )
    return place.graph.add("Mul", column, row)


def _over(op: str) -> Row:
    """A reduction of a vector to a scalar, or of a matrix along an axis."""

    def row(place: Place, node: Node, args: list[Value]) -> str:
        axis = dict(node.attrs).get("axis")
        axes = place.graph.integers(-1 if axis is None else axis - 2)
        return place.graph.add(op, args[0].name, axes, keepdims=int(axis is None))

    return row


def _sum(place: Place, node: Node, args: list[Value]) -> str:
    if "axis" in dict(node.attrs) or len(node.args[0].type.dims) == 1:
        return _over("ReduceSum")(place, node, args)
    total = place.graph.add("ReduceSum", args[0].name, place.graph.integers(-2, -1), keepdims=0)
    return place.graph.add("Unsqueeze", total, place.graph.integers(-1))


def _logsumexp(place: Place, node: Node, args: list[Value]) -> str:
    add, axis = place.graph.add, dict(node.attrs).get("axis")
    axes = place.graph.integers(-1 if axis is None else axis - 2)
    largest = add("ReduceMax", args[0].name, axes, keepdims=1)
    powers = add("ReduceSum", add("Exp", add("Sub", args[0].name, largest)), axes, keepdims=1)
    result = add("Add", add("Log", powers), largest)
    return result if axis is None else add("Squeeze", result, axes)


def _softmax(place: Place, node: Node, args: list[Value]) -> str:
    axis = dict(node.attrs).get("axis")
    return place.graph.add("Softmax", args[0].name, axis=-1 if axis is None else axis - 2)


def _cumsum(place: Place, node: Node, args: list[Value]) -> str:
    last = place.graph.constant(numpy.array(-1, numpy.int64))
    return place.graph.add("CumSum", args[0].name, last, reverse=int(node["reverse"]))


def _broadcast(place: Place, node: Node, args: list[Value]) -> str:
    name, dims = args[0].name, node["dims"]
    if len(dims) == 2:
        name = place.graph.add("Unsqueeze", name, place.graph.integers(-1))
    return place.graph.add("Expand", name, place.sizes(dims)) if dims else name


def _repeat(place: Place, node: Node, args: list[Value]) -> str:
    name = place.graph.add("Unsqueeze", args[0].name, place.graph.integers(node["axis"] - 2))
    return place.graph.add("Expand", name, place.sizes(node["dims"]))


def _concat(place: Place, node: Node, args: list[Value]) -> str:
    return place.graph.add("Concat", *place.alike(args, [1] * len(args)), axis=-1)


def _slice(place: Place, node: Node, args: list[Value]) -> str:
    sizes, index = node["sizes"], node["index"]
    starts, ends = (place.sizes([total(sizes[:k])]) for k in (index, index + 1))
    return place.graph.add("Slice", args[0].name, starts, ends, place.graph.integers(-1))


def _onehot(place: Place, node: Node, args: list[Value]) -> str:
    marks = place.graph.constant(numpy.array([0, 1], numpy.float32))
    return place.graph.add("OneHot", args[0].name, place.size(node.type.dims[0]), marks, axis=-1)


def _pick(place: Place, node: Node, args: list[Value]) -> str:
    values, token = place.alike(args, [1, 0])
    index = place.graph.add("Unsqueeze", token, place.graph.integers(-1))
    return place.graph.add("GatherElements", values, index, axis=-1)


def _take(place: Place, node: Node, args: list[Value]) -> str:
    if args[0].form == NONE:
        return place.graph.add("Gather", args[0].name, args[1].name, axis=0)
    table, token = place.alike(args, [2, 0])
    index = place.graph.add("Unsqueeze", token, place.graph.integers(-1))
    return place.graph.add("GatherND", table, index, batch_dims=LEAD[max(a.form for a in args)])


def _choose(place: Place, node: Node, args: list[Value]) -> str:
    condition = place.graph.add("Squeeze", args[0].name, place.graph.integers(-1))
    return place.graph.add("Where", condition, args[1].name, args[2].name)


def _constant(place: Place, node: Node, args: list[Value]) -> str:
    number = place.graph.constant(numpy.array([node["value"]], numpy.float32))
    return place.graph.add("Expand", number, place.sizes(node["dims"])) if node["dims"] else number


def _size(place: Place, node: Node, args: list[Value]) -> str:
    return place.graph.add("Cast", place.size(node["of"]), to=1)


OPERATORS: dict[str, Row] = {
    "neg": _one("Neg"),
    "tanh": _one("Tanh"),
    "sigmoid": _one("Sigmoid"),
    "relu": _one("Relu"),
    "exp": _one("Exp"),
    "log": _one("Log"),
    "sqrt": _one("Sqrt"),
    "abs": _one("Abs"),
    "sign": _one("Sign"),
    "floor": _one("Floor"),
    "sin": _one("Sin"),
    "cos": _one("Cos"),
    "softplus": _one("Softplus"),
    "erf": _one("Erf"),
    "stop_gradient": _one("Identity"),
    "add": _one("Add"),
    "sub": _one("Sub"),
    "mul": _one("Mul"),
    "div": _one("Div"),
    "maximum": _one("Max"),
    "minimum": _one("Min"),
    "less": _one("Less"),
    "less_equal": _one("LessOrEqual"),
    "equal": _one("Equal"),
    "where": _one("Where"),
    "matvec": _matvec,
    "matmul": _one("MatMul"),
    "transpose": _transpose,
    "outer": _outer,
    "sum": _sum,
    "mean": _over("ReduceMean"),
    "max": _over("ReduceMax"),
    "min": _over("ReduceMin"),
    "logsumexp": _logsumexp,
    "softmax": _softmax,
    "cumsum": _cumsum,
    "broadcast": _broadcast,
    "repeat": _repeat,
    "concat": _concat,
    "slice": _slice,
    "onehot": _onehot,
    "pick": _pick,
    "take": _take,
    "argmax": _one("ArgMax", axis=-1, keepdims=0),
    "choose": _choose,
    "constant": _constant,
    "size": _size,
}


def compute(place: Place, nodes: tuple[Node, ...]) -> None:
    """Add the operations of some nodes, arguments first."""
    for node in nodes:
        args = [place.read(a) for a in node.args]
        form = max((a.form for a in args), default=NONE)
        place.values[node] = Value(OPERATORS[node.op](place, node, args), form)
