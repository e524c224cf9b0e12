"""From recorded symbols to a recurrence of typed nodes. Ranks, tokens and sizes are inferred.

Every error here and in ``drafts.py`` concerns the user's equations and names the user's line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ..errors import CircuitError, SourceLine
from ..graph.bind import names_of_matrix
from ..graph.language import RESERVED
from ..graph.node import MASK, SCALAR, TOKEN, Node, matrix, token, vector
from ..graph.ops import LEAVES
from ..graph.recurrence import Recurrence
from ..graph.size import Conflict, Size
from .drafts import Resolver, rank_of
from .ranks import order, ranks, tokens
from .trace import Symbol


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
    fixed = [n for n, symbol in inputs.items() if symbol._attrs.get("fixed")]
    others = [*(n for n in returned if n not in states), *local]
    keep = [*inputs, *states, *(f"{n}.rows" for n in fixed), *others]
    keep += [size for n in (*inputs, *states, *others) for size in names_of_matrix(n) if size not in keep]
    resolver = Resolver(name, {n: i for i, n in enumerate(keep)})
    rank = ranks(used, states, returned, vectors)
    _add_leaves(resolver, rank, tokens(used, states, returned, rank), inputs, states, parameters)
    for symbol in used:
        if id(symbol) not in resolver.drafts:
            resolver.add(symbol)
    _close_loops(resolver, states, returned)
    _no_masks(resolver, returned)
    for n, symbol in {**local, **returned}.items():
        dims = resolver.drafts[id(symbol)].type.dims
        if n not in states and n not in inputs:
            for own, size in zip((Size.of(n),) if len(dims) == 1 else _dims(n), dims, strict=False):
                resolver.solver.equal(own, size)

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
    _no_parameter_depends_on_the_data(result)
    return result


def _add_leaves(
    resolver: Resolver,
    rank: Mapping[int, int],
    tokens: Collection[int],
    inputs: Mapping[str, Symbol],
    states: Mapping[str, Symbol],
    parameters: Mapping[str, Symbol],
) -> None:
    """Type inputs, states and parameters by their rank. Every dimension gets a size name of its own."""
    for n, symbol in {**inputs, **states}.items():
        is_token = id(symbol) in tokens
        shapes = SCALAR, vector(Size.of(n)), matrix(*_dims(n, "fixed" in symbol._attrs))
        resolver.leaf(symbol, token(Size.of(n)) if is_token else shapes[rank.get(id(symbol), 1)])
    for n, symbol in parameters.items():
        shapes = SCALAR, vector(Size.of(f"{n}.size")), matrix(*_dims(n))
        resolver.leaf(symbol, shapes[rank[id(symbol)]])


def _dims(name: str, fixed: bool = False) -> tuple[Size, Size]:
    """The sizes of a matrix with this name."""
    rows, columns = map(Size.of, names_of_matrix(name, fixed))
    return rows, columns


def _no_parameter_depends_on_the_data(recurrence: Recurrence) -> None:
    """Check that no parameter has a size that is read from the data: the number of rows of a fixed matrix."""
    free = {names_of_matrix(n)[0] for n in recurrence.fixed}
    for n, node in recurrence.parameters.items():
        for size in node.type.dims:
            if named := free.intersection(size.names):
                owner = min(named).partition(".")[0]
                raise CircuitError(
                    f"the size of parameter '{n}' would be the number of rows of '{owner}', which is known only when "
                    "the network runs. A parameter can act on the columns of a fixed matrix, as in M @ U.T",
                    node.source,
                )


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


def _no_masks(resolver: Resolver, returned: Mapping[str, Symbol]) -> None:
    """Check that every returned value is made of numbers."""
    for n, symbol in returned.items():
        draft = resolver.drafts[id(symbol)]
        if draft.type.kind == MASK:
            raise CircuitError(
                f"'{n}' is a mask, but a step can only return numbers. Return where(condition, 1.0, 0.0)", draft.source
            )


def _close_loops(resolver: Resolver, states: Mapping[str, Symbol], returned: Mapping[str, Symbol]) -> None:
    """State that the new value of each state has the size of the state."""
    for n, symbol in states.items():
        new, old = resolver.drafts[id(returned[n])], resolver.drafts[id(symbol)]
        if new.type.kind != old.type.kind or len(new.type.dims) != len(old.type.dims):
            hint = ""
            if old.type.kind == TOKEN:
                hint = ". It is a token because it is used as one. For the token of the largest entry, write argmax(o)"
            if len(old.type.dims) == 2:
                hint = (
                    ". It is a matrix because it is the left operand of '@', transposed, or reduced along an axis. "
                    "For the product of two vectors, write sum(a * b)"
                )
            raise CircuitError(
                f"state '{n}' is a {rank_of(old.type)}, but its new value is a {rank_of(new.type)}{hint}", new.source
            )
        try:
            for a, b in zip(old.type.dims, new.type.dims, strict=True):
                resolver.solver.equal(a, b)
        except Conflict:
            before, after = (" × ".join(map(resolver.show, draft.type.dims)) for draft in (old, new))
            raise CircuitError(
                f"state '{n}' has size {before}, but its new value has size {after}. "
                "The size of a state must be the same at every step",
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
                if name not in known and name.startswith("repeat."):
                    many = "columns" if node["axis"] else "rows"
                    raise CircuitError(
                        f"the number of {many} in {many}(...) does not follow from its use. Combine it with a matrix",
                        node.source,
                    )
                if name not in known:
                    parameter = name.split(".")[0]
                    raise CircuitError(
                        f"the size of parameter '{parameter}' does not follow from any input, state, output or named "
                        "value. Name the value that it computes, as in 'a = W @ x'",
                        node.source,
                    )
