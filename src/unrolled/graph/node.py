"""Nodes: immutable, typed, hash-consed. The same operation on the same arguments is the same node.

A graph is nothing but its nodes. It does not know how to run, differentiate or draw itself. Separate interpreters do
that, each with one table (``transform/evaluate.py``, ``transform/differentiate.py``, ``graph/printer.py``).
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import SourceLine
from .size import Size

REAL, TOKEN, MASK = "real", "token", "mask"


@dataclass(frozen=True, slots=True)
class Type:
    """The kind and the dimensions of a node's value, at one step of one sequence.

    ``real`` with () is a scalar, with (n,) a column vector, with (m, n) a matrix.
    ``token`` with (n,) is a one-hot vector of n entries, stored as the index of its 1.
    ``mask`` is the result of a comparison.
    """

    kind: str
    dims: tuple[Size, ...] = ()

    def entries(self, sizes: Mapping[str, int]) -> int:
        """The number of entries; 1 for a scalar or a token."""
        return 1 if self.kind == TOKEN else math.prod(d.value(sizes) for d in self.dims)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of a tensor with the value: (n,) or (m, n); (1,) for a scalar, () for a token."""
        return () if self.kind == TOKEN else tuple(d.value(sizes) for d in self.dims) or (1,)

    def __str__(self) -> str:
        what = {0: "scalar", 1: "vector", 2: "matrix"}[len(self.dims)]
        size = f" of {' × '.join(map(str, self.dims))}" if self.dims else ""
        if self.kind == TOKEN:
            what = "token"
        elif self.kind == MASK:
            return f"mask ({what}{size})"
        return what + size


SCALAR = Type(REAL)


def vector(n: Size) -> Type:
    """A column vector of n entries."""
    return Type(REAL, (n,))


def matrix(m: Size, n: Size) -> Type:
    """A matrix of m rows and n columns."""
    return Type(REAL, (m, n))


def token(n: Size) -> Type:
    """A token out of n: the index of the 1 in a one-hot vector."""
    return Type(TOKEN, (n,))


Attrs = tuple[tuple[str, Any], ...]


class Node:
    """One operation and its arguments. Compare nodes with ``is``: equal nodes are the same object.

    ``source`` is the user's line that first created the node. It does not affect the node's identity.
    """

    __slots__ = ("__weakref__", "args", "attrs", "op", "source", "type")

    op: str
    args: tuple[Node, ...]
    attrs: Attrs
    type: Type
    source: SourceLine | None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("nodes are immutable")

    def __deepcopy__(self, memo: object) -> Node:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a node cannot be pickled on its own: pickle its circuit")

    def __getitem__(self, attr: str) -> Any:
        return dict(self.attrs)[attr]

    def __repr__(self) -> str:
        attrs = "".join(f" {k}={v}" for k, v in self.attrs)
        return f"<{self.op}{attrs} {self.type}>"


_table: weakref.WeakValueDictionary[tuple[object, ...], Node] = weakref.WeakValueDictionary()


def intern(op: str, args: tuple[Node, ...], attrs: Attrs, type: Type, source: SourceLine | None) -> Node:
    """The node for this operation: the existing one, or a new one. Call ``ops.make``, which derives the type."""
    identity = tuple((name, _identity(value)) for name, value in attrs) if attrs else attrs
    key = (op, args, identity, type)
    node = _table.get(key)
    if node is None:
        node = _new(op, args, attrs, type, source)
        _table[key] = node
    return node


def _identity(value: object) -> object:
    """A key under which 0.0 and -0.0 differ and NaN equals itself, unlike under ==."""
    return value.hex() if isinstance(value, float) else value


def leaf(op: str, type: Type, source: SourceLine | None = None, **attrs: Any) -> Node:
    """A new leaf. Leaves are distinct even if they have the same name: two circuits may both have a W."""
    return _new(op, (), tuple(sorted(attrs.items())), type, source)


def is_fixed(node: Node) -> bool:
    """Whether a node is an input that is fixed in time: it has one value per sequence."""
    return node.op == "input" and bool(dict(node.attrs).get("fixed"))


def _new(op: str, args: tuple[Node, ...], attrs: Attrs, type: Type, source: SourceLine | None) -> Node:
    node = object.__new__(Node)
    for name, value in (("op", op), ("args", args), ("attrs", attrs), ("type", type), ("source", source)):
        object.__setattr__(node, name, value)
    return node


def order(roots: Iterable[Node], known: Iterable[Node] = ()) -> list[Node]:
    """Every node that the roots depend on, once each, arguments before their users. Stops at ``known`` nodes."""
    seen: set[Node] = set(known)
    result: list[Node] = []
    for root in roots:
        stack: list[tuple[Node, Iterator[Node]]] = []
        if root not in seen:
            seen.add(root)
            stack.append((root, iter(root.args)))
        while stack:
            node, rest = stack[-1]
            for arg in rest:
                if arg not in seen:
                    seen.add(arg)
                    stack.append((arg, iter(arg.args)))
                    break
            else:
                stack.pop()
                result.append(node)
    return result


def rewrite(
    roots: Iterable[Node], replace: Mapping[Node, Node], build: Callable[[Node, tuple[Node, ...]], Node]
) -> dict[Node, Node]:
    """Map every node that the roots depend on: nodes in ``replace`` as given there, all others by rebuilding them from
    their mapped arguments."""
    done = dict(replace)
    for node in order(roots, known=done):
        args = tuple(done[a] for a in node.args)
        done[node] = build(node, args) if node.args else node
    return done
