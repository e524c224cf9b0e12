"""Typing: from recorded symbols to drafts of nodes, whose sizes are still being solved for.

Implicit steps become operations here: a scalar is broadcast to a vector, a token becomes a one-hot vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..errors import CircuitError, SourceLine
from ..graph.node import MASK, TOKEN, Node, Type, leaf
from ..graph.ops import LEAVES, OPS, Mismatch, make
from ..graph.size import Conflict, Size, Solver
from .ranks import TOKEN_ARGUMENT
from .trace import Symbol

POINTWISE = {
    "neg": "-", "tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "exp": "exp", "log": "log", "sqrt": "sqrt",
    "abs": "abs", "sign": "sign", "floor": "floor", "sin": "sin", "cos": "cos", "softplus": "softplus", "erf": "erf",
    "stop_gradient": "stop_gradient", "maximum": "maximum", "minimum": "minimum",
    "add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<", "less_equal": "<=", "equal": "==", "where": "where",
}  # fmt: skip
REDUCTIONS = ("sum", "mean", "max", "min", "logsumexp", "softmax")


@dataclass(frozen=True, eq=False)
class Draft:
    """A node before its sizes are known: its type refers to sizes that are still being solved for."""

    op: str
    args: tuple[Draft, ...]
    attrs: dict[str, Any]
    type: Type
    source: SourceLine
    name: str = ""  # what messages call it


class Resolver:
    """Types the symbols one by one, and gives the solver the equations between sizes that follow."""

    def __init__(self, name: str, ranks: Mapping[str, int]) -> None:
        self.name = name
        self.solver = Solver(ranks)
        self.drafts: dict[int, Draft] = {}

    # emitting

    def emit(self, op: str, args: tuple[Draft, ...], attrs: dict[str, Any], source: SourceLine) -> Draft:
        """A draft of an operation on these arguments, typed by the op's rule. A conflict becomes an error at the user's
        line."""
        try:
            type = OPS[op].rule(self.solver, tuple(a.type for a in args), attrs)
        except Mismatch as problem:
            hint = ""
            if op in POINTWISE and any(a.type.kind == MASK for a in args):
                hint = ". To turn a comparison into numbers, write where(condition, 1.0, 0.0)"
            raise CircuitError(f"'{POINTWISE.get(op, op)}': {_readable(str(problem))}{hint}", source) from None
        except Conflict:
            raise CircuitError(self.conflict(op, args), source) from None
        return Draft(op, args, attrs, type, source)

    def conflict(self, op: str, args: tuple[Draft, ...]) -> str:
        """The message when the sizes of an operation's arguments cannot be equal."""
        got = [" × ".join(self.show(d) for d in a.type.dims) + (f" (from {a.name})" if a.name else "") for a in args]
        if op in POINTWISE:
            sizes = " and ".join(got[-2:])
            hint = ". Did you forget to split the gates?" if any(g[0].isdigit() for g in got) else ""
            return f"both operands of '{POINTWISE[op]}' must have the same size; got {sizes}{hint}"
        if op in ("matvec", "matmul"):
            a, x = args
            left, what = a.name or "the left operand", "entries" if op == "matvec" else "rows"
            return (
                f"the sizes in '@' do not match: {left} has {self.show(a.type.dims[1])} columns, "
                f"but {x.name or 'the right operand'} has {self.show(x.type.dims[0])} {what}"
            )
        return f"the sizes in '{op}' do not match: got {' and '.join(got)}"

    def show(self, size: Size) -> str:
        """A size in a message, in terms of the user's names as far as they are known."""
        return _readable(str(self.solver.resolve(size)))

    # typing

    def leaf(self, symbol: Symbol, type: Type) -> None:
        """Add the draft of an input, a state or a parameter."""
        kind, name = symbol._op, symbol._attrs["name"]
        self.drafts[id(symbol)] = Draft(kind, (), symbol._attrs, type, symbol._source, f"{kind} {name}")

    def add(self, symbol: Symbol) -> None:
        """Add the draft of a symbol whose arguments have drafts."""
        args = tuple(self.drafts[id(a)] for a in symbol._args)
        op, attrs, source = symbol._op, symbol._attrs, symbol._source
        if op == "where" and args[0].type.kind == MASK and not args[0].type.dims and all(map(is_token, args[1:])):
            op = "choose"
        elif op not in TOKEN_ARGUMENT:
            args = tuple(self.real(a, source) for a in args)
        if op == "constant":
            draft = self.emit(op, (), {**attrs, "dims": ()}, source)
        elif op == "stack":
            draft = self.stack(args, source)
        elif op == "slice":
            draft = self.slice(args[0], attrs, source)
        elif op == "matmul":
            draft = self.product(args, source)
        elif op == "repeat":
            draft = self.repeat(args[0], symbol)
        elif op in REDUCTIONS:
            draft = self.reduction(op, args[0], attrs, source)
        elif op in POINTWISE:
            draft = self.pointwise(op, args, source)
        else:
            draft = self.emit(op, args, attrs, source)
        self.drafts[id(symbol)] = draft

    def real(self, draft: Draft, source: SourceLine) -> Draft:
        """The draft as a real value: a token becomes its one-hot vector."""
        return self.emit("onehot", (draft,), {}, source) if is_token(draft) else draft

    def slice(self, whole: Draft, attrs: dict[str, Any], source: SourceLine) -> Draft:
        """A piece of a vector that is split."""
        if len(whole.type.dims) != 1:
            raise CircuitError(f"split takes a vector, got {_shown(whole)}", source)
        n = attrs["parts"]
        piece = whole.type.dims[0] * Fraction(1, n)
        return self.emit("slice", (whole,), {"index": attrs["index"], "sizes": (piece,) * n}, source)

    def stack(self, args: tuple[Draft, ...], source: SourceLine) -> Draft:
        """A vector of scalars: their concatenation as vectors of one entry."""
        for a in args:
            if a.type.kind == MASK or a.type.dims:
                is_mask = a.type.kind == MASK
                write = "Write where(condition, 1.0, 0.0)" if is_mask else "To join vectors, write concat(a, b)"
                raise CircuitError(f"stack takes scalars, got {_shown(a)}. {write}", source)
        return self.emit("concat", tuple(self.spread(a, (Size.of(1),)) for a in args), {}, source)

    def repeat(self, x: Draft, symbol: Symbol) -> Draft:
        """A matrix whose rows or columns are all the same vector. How many there are follows from its use."""
        axis, source = symbol._attrs["axis"], symbol._source
        if len(x.type.dims) != 1:
            raise CircuitError(f"{('rows', 'columns')[axis]} takes a vector, got {_shown(x)}", source)
        many = Size.of(f"repeat.{symbol._index}")
        dims = (many, x.type.dims[0]) if axis == 0 else (x.type.dims[0], many)
        return self.emit("repeat", (x,), {"axis": axis, "dims": dims}, source)

    def reduction(self, op: str, x: Draft, attrs: dict[str, Any], source: SourceLine) -> Draft:
        """A reduction of a vector, or of a matrix along an axis or over all entries."""
        rank = len(x.type.dims)
        if rank < 2 and "axis" in attrs:
            raise CircuitError(f"{op} along an axis takes a matrix, got {_shown(x)}. Leave out axis=", source)
        if rank == 2 and not attrs and op == "softmax":
            raise CircuitError(
                f"softmax of a matrix needs an axis, got {_shown(x)}. Write softmax(a, axis=0) over the rows, or "
                "softmax(a, axis=1) over the columns",
                source,
            )
        if rank == 2 and not attrs and op != "sum":
            x = self.emit(op, (x,), {"axis": 1}, source)
        return self.emit(op, (x,), attrs, source)

    def product(self, args: tuple[Draft, ...], source: SourceLine) -> Draft:
        """A matrix times a vector or a matrix."""
        left, right = args
        if len(left.type.dims) != 2:
            raise CircuitError(
                f"the left operand of '@' must be a matrix, got {_shown(left)}. "
                "For the product of two vectors, write sum(a * b)",
                source,
            )
        if not right.type.dims:
            raise CircuitError("the right operand of '@' must be a vector or a matrix, got a scalar. Use '*'", source)
        return self.emit("matvec" if len(right.type.dims) == 1 else "matmul", args, {}, source)

    def pointwise(self, op: str, args: tuple[Draft, ...], source: SourceLine) -> Draft:
        """Combine entry by entry. A scalar combines with a vector or a matrix; a vector and a matrix do not combine."""
        ranks = {len(a.type.dims) for a in args} - {0}
        if len(ranks) > 1:
            both = " and ".join(_shown(a) for a in args if a.type.dims)
            raise CircuitError(
                f"'{POINTWISE[op]}' works entry by entry, so its operands must have the same rank; got {both}. To "
                "combine a vector with each row of a matrix, write rows(v); with each column, columns(v)",
                source,
            )
        if ranks:
            dims = next(a.type.dims for a in args if a.type.dims)
            args = tuple(a if a.type.dims else self.spread(a, dims) for a in args)
        return self.emit(op, args, {}, source)

    def spread(self, scalar: Draft, dims: tuple[Size, ...]) -> Draft:
        """A scalar broadcast to these dimensions."""
        if scalar.op == "constant":
            return self.emit("constant", (), {**scalar.attrs, "dims": dims}, scalar.source)
        return self.emit("broadcast", (scalar,), {"dims": dims}, scalar.source)

    # building

    def build(self, roots: Iterable[Draft]) -> dict[int, Node]:
        """The nodes with all sizes solved, by the id of their draft."""
        nodes: dict[int, Node] = {}
        stack = list(roots)
        while stack:
            draft = stack[-1]
            waiting = [a for a in draft.args if id(a) not in nodes]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if id(draft) in nodes:
                continue
            if draft.op in LEAVES:
                type = Type(draft.type.kind, tuple(self.solver.resolve(d) for d in draft.type.dims))
                nodes[id(draft)] = leaf(draft.op, type, draft.source, **draft.attrs)
            else:
                attrs = {k: self._solved(v) for k, v in draft.attrs.items()}
                args = tuple(nodes[id(a)] for a in draft.args)
                nodes[id(draft)] = make(draft.op, *args, source=draft.source, **attrs)
        return nodes

    def _solved(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._solved(v) for v in value)
        return self.solver.resolve(value) if isinstance(value, Size) else value


def is_token(draft: Draft) -> bool:
    """Whether a draft is a token."""
    return draft.type.kind == TOKEN


def _readable(text: str) -> str:
    """The text with sizes that have no name yet in words: "W's rows"."""
    return text.replace(".rows", "'s rows").replace(".columns", "'s columns").replace(".size", "'s size")


def rank_of(type: Type) -> str:
    return type.kind if type.kind in (MASK, TOKEN) else ("scalar", "vector", "matrix")[len(type.dims)]


def _shown(draft: Draft) -> str:
    """The draft in a message: "state h (a vector)", or "a vector" if it has no name."""
    rank = f"a {rank_of(draft.type)}"
    return f"{draft.name} ({rank})" if draft.name else rank
