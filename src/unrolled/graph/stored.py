"""Recurrences as data: a circuit can be written to JSON and read back without running any code from the file.

A stored circuit may come from an untrusted source. So before it builds anything, ``load`` checks every name and limits
everything that costs time or memory. ``dump`` refuses to write a circuit that ``load`` would not read.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from ..errors import CircuitError, DataError, UnrolledError
from .drawn import KINDS
from .language import RESERVED
from .node import REAL, TOKEN, Node, Type, leaf
from .ops import LEAVES, OPS, make
from .recurrence import Recurrence
from .size import Size

FORMAT = 1

# the largest permitted values
NODES = 2_000  # in one circuit
DEPTH = 1_000  # operations that each depend on the one before
ARGUMENTS = 1_000  # of one operation; pieces of one vector
LINKS = 10_000  # arguments and sizes of all operations together
TERMS = 50  # names in one size
LARGEST = 2**31  # entries of a vector
FINEST = 2**12  # denominator of a fraction in a size
LETTERS = 100  # characters in a name

RATIONAL = re.compile(r"-?[0-9]{1,10}(/[0-9]{1,10})?")
NOT_FINITE = ("inf", "-inf", "nan")  # stored as strings, because JSON has no numbers for them
GROUPS = ("inputs", "states", "parameters", "returns", "labels")
LAMBDA = "<lambda>"  # Python's name for a function without a name

# the attributes of each operation that has any
ATTRIBUTES: dict[str, dict[str, type]] = {
    "slice": {"index": int, "sizes": tuple},
    "broadcast": {"dims": tuple},
    "repeat": {"axis": int, "dims": tuple},
    "constant": {"value": float, "dims": tuple},
    "cumsum": {"reverse": bool},
    "size": {"of": Size},
}


OPTIONAL = {op: {"axis": int} for op in ("sum", "mean", "max", "min", "logsumexp", "softmax")}  # of a matrix


class Unfit(Exception):
    """The data is not a circuit, or exceeds the limits. The message follows 'not a stored circuit: '."""


def dump(recurrence: Recurrence) -> dict[str, Any]:
    """The recurrence as plain lists, numbers and strings. Nodes refer to earlier nodes by position.

    Raises:
        CircuitError: the recurrence is too large or has a name that is not allowed, so ``load`` would refuse it.
    """
    position = {node: i for i, node in enumerate(recurrence.nodes)}
    data = {
        "format": FORMAT,
        "name": recurrence.name,
        "nodes": [_dump_node(node, position) for node in recurrence.nodes],
        "inputs": {n: position[x] for n, x in recurrence.inputs.items()},
        "states": {n: position[x] for n, x in recurrence.states.items()},
        "parameters": {n: position[x] for n, x in recurrence.parameters.items()},
        "returns": {n: position[x] for n, x in recurrence.returns.items()},
        "labels": {n: position[x] for x, n in recurrence.labels.items()},
    }
    try:
        _check_limits(data)
    except Unfit as problem:
        raise CircuitError(f"circuit '{recurrence.name}' cannot be stored: {problem}") from None
    return data


def load(data: Any) -> Recurrence:
    """The recurrence that ``dump`` wrote.

    Raises:
        DataError: the data is not what ``dump`` writes.
    """
    try:
        _check_limits(data)
        nodes: list[Node] = []
        for row in data["nodes"]:
            nodes.append(_load_node(row, nodes))
            _check_sizes(nodes[-1].type.dims)
        inputs, states, parameters, returns, labels = ({n: nodes[i] for n, i in data[g].items()} for g in GROUPS)
        named = {node: n for n, node in labels.items()}
        recurrence = Recurrence(data["name"], inputs, states, parameters, returns, labels=named)
        _need(set(nodes) == set(recurrence.nodes), "it contains an unused operation")
        return recurrence
    except (Unfit, UnrolledError) as problem:
        raise DataError(f"not a stored circuit: {problem!s:.300}") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as problem:
        raise DataError(f"not a stored circuit ({type(problem).__name__}: {problem!s:.300})") from None


def as_text(recurrence: Recurrence) -> str:
    """The recurrence as JSON text. Two recurrences have the same text if and only if they have the same equations."""
    return json.dumps(dump(recurrence))


def from_text(text: str) -> Recurrence:
    """The recurrence that ``as_text`` wrote."""
    return load(json.loads(text))


def _check_limits(data: Any) -> None:
    """Check the limits and the names. Reads each entry once and builds nothing."""
    _need(isinstance(data, dict), "it must be an object")
    _need(data["format"] == FORMAT, "its format is {!a:.40}, but this version reads {}", data["format"], FORMAT)
    rows = data["nodes"]
    _need(isinstance(rows, list) and len(rows) <= NODES, "'nodes' must be a list of at most {:,} operations", NODES)
    depths: list[int] = []
    links = 0
    for row in rows:
        _need(isinstance(row, dict) and isinstance(row.get("op"), str), "an operation must be an object with a name")
        args = [] if row["op"] in LEAVES else row["args"]
        _need(isinstance(args, list) and len(args) <= ARGUMENTS, "an operation takes at most {:,} values", ARGUMENTS)
        for i in args:
            _need(_is_whole(i, len(depths)), "'{}' refers to a node that is not before it in the list", row["op"])
        depths.append(1 + max((depths[i] for i in args), default=0))
        attrs = row.get("attrs", {})
        _need(isinstance(attrs, dict), "the attributes of '{}' must be an object", row["op"])
        links += len(args) + sum(len(v) for v in attrs.values() if isinstance(v, list))
        _need(depths[-1] <= DEPTH, "it has a chain of more than {:,} operations", DEPTH)
        _need(links <= LINKS, "its operations take more than {:,} values in total", LINKS)
        if row["op"] in LEAVES:
            _check_name(row["name"], RESERVED)
    if data["name"] != LAMBDA:
        _check_name(data["name"])
    for group in GROUPS:
        _need(isinstance(data[group], dict) and len(data[group]) <= NODES, "'{}' must be an object", group)
        for name, i in data[group].items():
            _check_name(name, () if group == "labels" else RESERVED)
            _need(_is_whole(i, len(rows)), "'{}' refers to a node that does not exist", name)


def _check_name(name: object, reserved: tuple[str, ...] = ()) -> None:
    fits = isinstance(name, str) and len(name) <= LETTERS and name.isidentifier()
    _need(fits, "{!a:.40} is not a name: a name is an identifier of at most {} characters", name, LETTERS)
    assert isinstance(name, str)
    _need(not (name.startswith("__") and name.endswith("__")), "the name '{}' is reserved by Python", name)
    _need(name not in reserved, "the name '{}' is reserved", name)


def _check_sizes(dims: tuple[Size, ...]) -> None:
    for size in dims:
        _need(len(size.terms) <= TERMS, "a size depends on more than {} others", TERMS)
        for number in (size.constant, *(c for _, c in size.terms)):
            _need(abs(number) <= LARGEST, "a size is larger than {:,}", LARGEST)
            _need(number.denominator <= FINEST, "a size has a denominator larger than {:,}", FINEST)
        whole = size.constant.denominator == 1 and size.constant > 0
        _need(bool(size.terms) or whole, "a size must be a positive integer, got {}", size)


def _dump_node(node: Node, position: Mapping[Node, int]) -> dict[str, Any]:
    row: dict[str, Any] = {"op": node.op}
    if node.op in LEAVES:
        row |= {**dict(node.attrs), "kind": node.type.kind, "dims": _dump_value(node.type.dims)}
    else:
        row |= {"args": [position[a] for a in node.args]}
        row |= {"attrs": {n: _dump_value(v) for n, v in node.attrs}} if node.attrs else {}
    return row


def _load_node(row: dict[str, Any], nodes: list[Node]) -> Node:
    op = row["op"]
    if op in LEAVES:
        _need(row["kind"] in (REAL, TOKEN), "'{}' must be a real value or a token", row["name"])
        attrs: dict[str, Any] = {"name": row["name"]}
        if op == "parameter" and row.get("constant") is True:
            attrs["constant"] = True
        if op == "input" and row.get("fixed") is True:
            attrs["fixed"] = True
        if op == "input" and "drawn" in row:
            attrs |= _load_distribution(row)
        return leaf(op, Type(row["kind"], _load_dims(row["dims"])), **attrs)
    _need(op in OPS, "there is no operation {!a:.40}", op)
    given = row.get("attrs", {})
    kinds = ATTRIBUTES.get(op, {}) | (OPTIONAL.get(op, {}) if given else {})
    _need(given.keys() == kinds.keys(), "'{}' must have the attributes {}", op, ", ".join(kinds) or "none")
    attrs = {n: READERS[kinds[n]](v) for n, v in given.items()}
    if "dims" in attrs:
        _need(len(attrs["dims"]) <= 2, "a value has at most two sizes")
    if "axis" in attrs:
        _need(attrs["axis"] < 2, "an axis must be 0 or 1")
        _need(op != "repeat" or len(attrs["dims"]) == 2, "a repeated value has two sizes")
    return make(op, *(nodes[i] for i in row["args"]), **attrs)


def _load_distribution(row: dict[str, Any]) -> dict[str, Any]:
    kind, share = row["drawn"], _load_number(row["share"])
    _need(kind in KINDS, "an input is drawn as {}, got {!a:.40}", " or ".join(KINDS), kind)
    _need(math.isfinite(share) and share > 0, "a drawn input needs a share above 0, got {}", share)
    _need(kind == "noise" or share < 1, "the share of {} must be below 1, got {}", kind, share)
    return {"drawn": kind, "share": share}


def _dump_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_dump_value(v) for v in value]
    if isinstance(value, Size):
        return {"constant": str(value.constant), **{f"size {n}": str(c) for n, c in value.terms}}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _load_dims(value: Any) -> tuple[Size, ...]:
    _need(isinstance(value, list) and len(value) <= 2, "a value has at most two sizes")
    return _load_sizes(value)


def _load_sizes(value: Any) -> tuple[Size, ...]:
    _need(isinstance(value, list) and len(value) <= ARGUMENTS, "sizes must be a list of at most {:,}", ARGUMENTS)
    sizes = tuple(_load_size(v) for v in value)
    _check_sizes(sizes)
    return sizes


def _load_size(value: Any) -> Size:
    _need(isinstance(value, dict) and len(value) <= 1 + TERMS, "a size must be an object of at most {} names", TERMS)
    terms = []
    for key, text in value.items():
        if key != "constant":
            word, _, name = key.partition(" ")
            _need(word == "size", "a size may have names and a constant, but not {!a:.40}", key)
            _check_name(name.removesuffix(".rows").removesuffix(".columns"))
            terms.append((name, _load_rational(text)))
    _need(all(c for _, c in terms), "a size must not have a name with the factor 0")
    return Size(tuple(sorted(terms)), _load_rational(value["constant"]))


def _load_rational(text: object) -> Fraction:
    fits = isinstance(text, str) and RATIONAL.fullmatch(text)
    _need(bool(fits), "a size must be an integer or a fraction such as 3/4, got {!a:.40}", text)
    return Fraction(str(text))


def _load_index(value: object) -> int:
    _need(_is_whole(value, ARGUMENTS), "an index must be an integer below {:,}", ARGUMENTS)
    assert isinstance(value, int)
    return value


def _load_number(value: object) -> float:
    if isinstance(value, str) and value in NOT_FINITE:
        return float(value)
    finite = isinstance(value, float) and math.isfinite(value)
    _need(finite, "a constant must be a number with a decimal point, got {!a:.40}", value)
    assert isinstance(value, float)
    return value


def _load_one_size(value: Any) -> Size:
    return _load_sizes([value])[0]


def _load_truth(value: object) -> bool:
    _need(isinstance(value, bool), "expected true or false, got {!a:.40}", value)
    return value is True


READERS: dict[type, Callable[[Any], Any]] = {
    int: _load_index,
    float: _load_number,
    bool: _load_truth,
    tuple: _load_sizes,
    Size: _load_one_size,
}


def _is_whole(value: object, below: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


def _need(condition: bool, message: str, *values: object) -> None:
    if not condition:
        _unfit(message.format(*(_Brief(v) if isinstance(v, list | dict) else v for v in values)))


class _Brief:
    """The beginning of nested data, whose whole text may take seconds to write."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return reprlib.repr(self.value)


def _unfit(message: str) -> NoReturn:
    raise Unfit(message)
