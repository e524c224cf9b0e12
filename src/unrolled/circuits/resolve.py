"""From recorded symbols to typed nodes. Ranks, tokens and sizes are inferred, and implicit steps become nodes: a scalar
is broadcast to a vector, a token becomes a one-hot vector.

Every error here concerns the user's equations and names the user's line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..errors import CircuitError, SourceLine
from ..graph.language import RESERVED
from ..graph.node import MASK, REAL, SCALAR, TOKEN, Node, Type, leaf, matrix, token, vector
from ..graph.ops import LEAVES, OPS, Mismatch, make
from ..graph.recurrence import Recurrence
from ..graph.size import Conflict, Size, Solver
from .ranks import TOKEN_ARGUMENT, order, ranks, tokens
from .trace import Symbol

POINTWISE = {
    "neg": "-", "tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "exp": "exp", "log": "log", "sqrt": "sqrt",
    "abs": "abs", "sign": "sign", "floor": "floor", "sin": "sin", "cos": "cos", "softplus": "softplus", "erf": "erf",
    "stop_gradient": "stop_gradient", "maximum": "maximum", "minimum": "minimum",
    "add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<", "less_equal": "<=", "equal": "==", "where": "where",
}  # fmt: skip


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
        got = [", ".join(self.show(d) for d in a.type.dims) + (f" (from {a.name})" if a.name else "") for a in args]
        if op in POINTWISE:
            sizes = " and ".join(got[-2:])
            hint = ". Did you forget to split the gates?" if any(g[0].isdigit() for g in got) else ""
            return f"both operands of '{POINTWISE[op]}' must have the same size; got {sizes}{hint}"
        if op in ("matvec", "matmul"):
            a, x = args
            left = a.name or "the left operand"
            return (
                f"the sizes in '@' do not match: {left} has {self.show(a.type.dims[1])} columns, "
                f"but {x.name or 'the right operand'} has {self.show(x.type.dims[0])} entries"
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
        if op not in TOKEN_ARGUMENT:
            args = tuple(self.real(a, source) for a in args)
        if op == "constant":
            draft = self.emit(op, (), {**attrs, "dims": ()}, source)
        elif op == "stack":
            draft = self.stack(args, source)
        elif op == "slice":
            draft = self.slice(args[0], attrs, source)
        elif op == "matmul":
            draft = self.product(args, source)
        elif op in POINTWISE:
            draft = self.pointwise(op, args, source)
        else:
            draft = self.emit(op, args, attrs, source)
        self.drafts[id(symbol)] = draft

    def real(self, draft: Draft, source: SourceLine) -> Draft:
        """The draft as a real value: a token becomes its one-hot vector."""
        return self.emit("onehot", (draft,), {}, source) if draft.type.kind == TOKEN else draft

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
                f"'{POINTWISE[op]}' works entry by entry, so its operands must have the same rank; got {both}", source
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


def _readable(text: str) -> str:
    """The text with sizes that have no name yet in words: "W's rows"."""
    return text.replace(".rows", "'s rows").replace(".columns", "'s columns").replace(".size", "'s size")


def _rank(type: Type) -> str:
    return "mask" if type.kind == MASK else ("scalar", "vector", "matrix")[len(type.dims)]


def _shown(draft: Draft) -> str:
    """The draft in a message: "state h (a vector)", or "a vector" if it has no name."""
    rank = f"a {_rank(draft.type)}"
    return f"{draft.name} ({rank})" if draft.name else rank


def resolve(
    name: str,
    inputs: Mapping[str, Symbol],
    states: Mapping[str, Symbol],
    parameters: Mapping[str, Symbol],
    returned: Mapping[str, Symbol],
    local: Mapping[str, Symbol],
    definition: SourceLine,
    vectors: Collection[str] = (),
) -> Recurrence:
    """The recurrence that the recorded symbols describe.

    Args:
        name: the name of the circuit.
        inputs, states, parameters, returned: the symbols, by name.
        local: the user's names for intermediate values.
        definition: the line of the ``def``, for messages.
        vectors: states that must be vectors although they could be scalars.

    Raises:
        CircuitError: the equations do not make sense.
    """
    used = order(returned.values())
    reached = {id(s) for s in used}
    _all_used(reached, inputs, parameters, definition)
    local = {n: s for n, s in local.items() if id(s) in reached}
    keep = [*inputs, *states, *(n for n in returned if n not in states), *local]
    resolver = Resolver(name, {n: i for i, n in enumerate(keep)})
    rank = ranks(used, states, returned, vectors)
    _add_leaves(resolver, rank, tokens(used), inputs, states, parameters, definition)
    for symbol in used:
        if id(symbol) not in resolver.drafts:
            resolver.add(symbol)
    _close_loops(resolver, states, returned)
    _only_vectors_and_scalars(resolver, returned)
    for n, symbol in {**local, **returned}.items():
        dims = resolver.drafts[id(symbol)].type.dims
        if n not in states and n not in inputs and len(dims) == 1:
            resolver.solver.equal(Size.of(n), dims[0])

    nodes = resolver.build(resolver.drafts.values())
    found = {key: nodes[id(draft)] for key, draft in resolver.drafts.items()}

    def named(group: Mapping[str, Symbol]) -> dict[str, Node]:
        return {n: found[id(symbol)] for n, symbol in group.items()}

    result = Recurrence(
        name,
        named(inputs),
        named(states),
        named(parameters),
        named(returned),
        labels=_labels(found, returned, local),
    )
    _all_sizes_named(result, keep)
    return result


def _add_leaves(
    resolver: Resolver,
    rank: Mapping[int, int],
    tokens: Collection[int],
    inputs: Mapping[str, Symbol],
    states: Mapping[str, Symbol],
    parameters: Mapping[str, Symbol],
    definition: SourceLine,
) -> None:
    """Type inputs, states and parameters by their rank. Every dimension gets a size name of its own."""
    for n, symbol in {**inputs, **states}.items():
        is_token = id(symbol) in tokens
        if is_token and n in states:
            raise CircuitError(f"state '{n}' is used as a token, but a state must be a vector or a scalar", definition)
        shape = vector(Size.of(n)) if rank.get(id(symbol), 1) else SCALAR
        resolver.leaf(symbol, token(Size.of(n)) if is_token else shape)
    for n, symbol in parameters.items():
        shapes = SCALAR, vector(Size.of(f"{n}.size")), matrix(Size.of(f"{n}.rows"), Size.of(f"{n}.columns"))
        resolver.leaf(symbol, shapes[rank[id(symbol)]])


def _labels(found: Mapping[int, Node], returned: Mapping[str, Symbol], local: Mapping[str, Symbol]) -> dict[Node, str]:
    """The user's names of nodes, in the order in which the user wrote them."""
    labels: dict[Node, str] = {}
    for n, symbol in sorted({**returned, **local}.items(), key=lambda item: item[1]._index):
        if found[id(symbol)].op not in (*LEAVES, "constant"):
            labels.setdefault(found[id(symbol)], n)
    outside = {found[id(symbol)] for symbol in returned.values()}
    pieces = [node for node in labels if node.op == "slice" and node.args[0] in labels and node not in outside]
    for piece in pieces:
        del labels[piece]  # a piece of a named vector is printed under the name of the vector
    return labels


def _all_used(
    reached: set[int], inputs: Mapping[str, Symbol], parameters: Mapping[str, Symbol], definition: SourceLine
) -> None:
    for n, symbol in {**inputs, **parameters}.items():
        if id(symbol) not in reached:
            kind = "parameter" if n in parameters else "input"
            raise CircuitError(f"{kind} '{n}' does not affect any returned value. Use it or remove it", definition)


def _only_vectors_and_scalars(resolver: Resolver, returned: Mapping[str, Symbol]) -> None:
    """Check that every returned value is a vector or a scalar."""
    for n, symbol in returned.items():
        draft = resolver.drafts[id(symbol)]
        if draft.type.kind == MASK or len(draft.type.dims) > 1:
            write = "where(condition, 1.0, 0.0)" if draft.type.kind == MASK else "its product with a vector"
            raise CircuitError(
                f"'{n}' is a {_rank(draft.type)}, but a step can only return vectors and scalars. Return {write}",
                draft.source,
            )


def _close_loops(resolver: Resolver, states: Mapping[str, Symbol], returned: Mapping[str, Symbol]) -> None:
    """State that the new value of each state has the size of the state."""
    for n, symbol in states.items():
        new, old = resolver.drafts[id(returned[n])], resolver.drafts[id(symbol)]
        if new.type.kind != REAL or len(new.type.dims) != len(old.type.dims):
            raise CircuitError(
                f"state '{n}' is a {_rank(old.type)}, but its new value is a {_rank(new.type)}", new.source
            )
        if not old.type.dims:
            continue
        try:
            resolver.solver.equal(old.type.dims[0], new.type.dims[0])
        except Conflict:
            raise CircuitError(
                f"state '{n}' has size {resolver.show(old.type.dims[0])}, but its new value has size "
                f"{resolver.show(new.type.dims[0])}. The size of a state must be the same at every step",
                new.source,
            ) from None


def _all_sizes_named(recurrence: Recurrence, known: Iterable[str]) -> None:
    known = set(known)
    for node in recurrence.nodes:
        for size in node.type.dims:
            for name in size.names:
                if name in RESERVED:
                    raise CircuitError(
                        f"'{name}' is reserved, but the size of this value must be given by name; rename the value",
                        next(value.source for value, label in recurrence.labels.items() if label == name),
                    )
                if name not in known:
                    parameter = name.split(".")[0]
                    raise CircuitError(
                        f"the size of parameter '{parameter}' does not follow from any input, state, output or named "
                        "value. Name the value that it computes, as in 'a = W @ x'",
                        node.source,
                    )
