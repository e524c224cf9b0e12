"""Nodes: immutable, typed, hash-consed. The same operation on the same arguments is the same node.

A graph is nothing but its nodes. It knows nothing of running, differentiating or drawing; those are
interpreters, each with one table (``transform/evaluate.py``, ``transform/differentiate.py``, ``graph/text.py``).
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import Source
from .size import Size

REAL, TOKEN, MASK = "real", "token", "mask"


@dataclass(frozen=True, slots=True)
class Type:
    """What a node holds at one step of one sequence.

    ``real`` with () is a scalar, with (n,) a column vector, with (m, n) a matrix.
    ``token`` with (n,) is a one-hot vector of n entries, written as the index of its one.
    ``mask`` is what a comparison gives.
    """

    kind: str
    dims: tuple[Size, ...] = ()

    def entries(self, sizes: Mapping[str, int]) -> int:
        """How many numbers it holds: one for a scalar."""
        return math.prod(d.value(sizes) for d in self.dims)

    def __str__(self) -> str:
        what = {0: "scalar", 1: "vector", 2: "matrix"}[len(self.dims)]
        if self.kind == TOKEN:
            what = "token"
        elif self.kind == MASK:
            what = f"mask ({what})"
        return what + (f" of {' × '.join(map(str, self.dims))}" if self.dims else "")


SCALAR = Type(REAL)


def vector(n: Size) -> Type:
    return Type(REAL, (n,))


def matrix(m: Size, n: Size) -> Type:
    return Type(REAL, (m, n))


def token(n: Size) -> Type:
    return Type(TOKEN, (n,))


Attrs = tuple[tuple[str, Any], ...]


class Node:
    """One operation and its arguments. Compare with ``is``: equal nodes are the same object.

    ``source`` is the user's line that first asked for it, and no part of its identity.
    """

    __slots__ = ("__weakref__", "args", "attrs", "op", "source", "type")

    op: str
    args: tuple[Node, ...]
    attrs: Attrs
    type: Type
    source: Source | None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("nodes are immutable")

    def __deepcopy__(self, memo: object) -> Node:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a node is no data of its own: pickle its circuit")

    def __getitem__(self, attr: str) -> Any:
        return dict(self.attrs)[attr]

    def __repr__(self) -> str:
        attrs = "".join(f" {k}={v}" for k, v in self.attrs)
        return f"<{self.op}{attrs} {self.type}>"


_table: weakref.WeakValueDictionary[tuple[object, ...], Node] = weakref.WeakValueDictionary()


def intern(op: str, args: tuple[Node, ...], attrs: Attrs, type: Type, source: Source | None) -> Node:
    """The node for this operation: the existing one, or a new one. Call ``ops.make``, which derives the type."""
    identity = tuple((name, _identity(value)) for name, value in attrs) if attrs else attrs
    key = (op, args, identity, type)
    node = _table.get(key)
    if node is None:
        node = _new(op, args, attrs, type, source)
        _table[key] = node
    return node


def _identity(value: object) -> object:
    """What tells numbers apart that == does not: 0.0 and -0.0 are two, and NaN is one."""
    return value.hex() if isinstance(value, float) else value


def leaf(op: str, type: Type, source: Source | None = None, **attrs: Any) -> Node:
    """A new leaf, distinct from every other even under the same name: two circuits may both have a W."""
    return _new(op, (), tuple(sorted(attrs.items())), type, source)


def _new(op: str, args: tuple[Node, ...], attrs: Attrs, type: Type, source: Source | None) -> Node:
    node = object.__new__(Node)
    for name, value in (("op", op), ("args", args), ("attrs", attrs), ("type", type), ("source", source)):
        object.__setattr__(node, name, value)
    return node


def order(roots: Iterable[Node], known: Iterable[Node] = ()) -> list[Node]:
    """Every node that the roots need, arguments before users, each once. Stops at ``known`` nodes."""
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
    """Map every node below the roots: those in ``replace`` as given, the others rebuilt from their mapped arguments."""
    done = dict(replace)
    for node in order(roots, known=done):
        args = tuple(done[a] for a in node.args)
        done[node] = build(node, args) if node.args else node
    return done
