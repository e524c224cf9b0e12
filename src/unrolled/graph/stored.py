"""Recurrences as data: a circuit can be written to JSON and read back, without running anybody's code."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

from ..errors import DataError, GraphError, UnrolledError
from .node import Node, Type, leaf
from .ops import LEAVES, OPS, make
from .recurrence import Recurrence
from .size import Size

FORMAT = 1

# what else an operation says, beside its arguments
ATTRIBUTES: dict[str, dict[str, type]] = {
    "slice": {"index": int, "sizes": tuple},
    "broadcast": {"dims": tuple},
    "constant": {"value": float, "dims": tuple},
    "cumsum": {"reverse": bool},
    "size": {"of": Size},
}


NOT_FINITE = ("inf", "-inf", "nan")


def dump(recurrence: Recurrence) -> dict[str, Any]:
    """Plain lists, numbers and strings. Nodes refer to earlier nodes by position."""
    position = {node: i for i, node in enumerate(recurrence.nodes)}
    return {
        "format": FORMAT,
        "name": recurrence.name,
        "nodes": [_dump_node(node, position) for node in recurrence.nodes],
        "inputs": {n: position[x] for n, x in recurrence.inputs.items()},
        "states": {n: position[x] for n, x in recurrence.states.items()},
        "parameters": {n: position[x] for n, x in recurrence.parameters.items()},
        "returns": {n: position[x] for n, x in recurrence.returns.items()},
        "labels": {n: position[x] for x, n in recurrence.labels.items()},
    }


def load(data: Any) -> Recurrence:
    """The recurrence again. Raises DataError for anything that ``dump`` does not write."""
    try:
        if data["format"] != FORMAT:
            raise DataError(f"the circuit has format {data['format']!r}; this version reads {FORMAT}")
        nodes: list[Node] = []
        for row in data["nodes"]:
            nodes.append(_load_node(row, nodes))

        def named(group: str) -> dict[str, Node]:
            return {str(n): nodes[i] for n, i in data[group].items()}

        return Recurrence(
            str(data["name"]),
            named("inputs"),
            named("states"),
            named("parameters"),
            named("returns"),
            labels={node: n for n, node in named("labels").items()},
        )
    except UnrolledError as problem:
        raise DataError(f"this is no stored circuit: {problem}") from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError) as problem:
        raise DataError(f"this is no stored circuit ({type(problem).__name__}: {problem})") from None


def as_text(recurrence: Recurrence) -> str:
    """The same as JSON text. Equal texts are equal equations."""
    return json.dumps(dump(recurrence))


def from_text(text: str) -> Recurrence:
    return load(json.loads(text))


def _dump_node(node: Node, position: dict[Node, int]) -> dict[str, Any]:
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
        attrs: dict[str, Any] = {"name": str(row["name"])}
        if op == "parameter" and row.get("constant") is True:
            attrs["constant"] = True
        return leaf(op, Type(str(row["kind"]), _load_value(row["dims"])), **attrs)
    if op not in OPS:
        raise GraphError(f"'{op}' is no operation")
    if any(not isinstance(i, int) or not 0 <= i < len(nodes) for i in row["args"]):
        raise GraphError(f"'{op}' refers to a node that does not come before it")
    attrs = {n: _load_value(v) for n, v in row.get("attrs", {}).items()}
    if {n: type(v) for n, v in attrs.items()} != ATTRIBUTES.get(op, {}):
        raise GraphError(f"'{op}' has the attributes {', '.join(row.get('attrs', {})) or 'none'}")
    return make(op, *(nodes[i] for i in row["args"]), **attrs)


def _dump_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_dump_value(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no numbers for these
    if isinstance(value, Size):
        return {"constant": str(value.constant), **{f"size {n}": str(c) for n, c in value.terms}}
    return value


def _load_value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_load_value(v) for v in value)
    if value in NOT_FINITE:
        return float(value)
    if isinstance(value, dict):
        terms = sorted((n.removeprefix("size "), Fraction(c)) for n, c in value.items() if n.startswith("size "))
        return Size(tuple(terms), Fraction(value["constant"]))
    return value
