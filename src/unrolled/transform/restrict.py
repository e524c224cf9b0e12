"""Recurrences made from others by removing inputs or outputs, or by giving values from outside."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..errors import InputError
from ..graph.node import SCALAR, TOKEN, Node, leaf, order, rewrite, token
from ..graph.ops import constant, make
from ..graph.recurrence import Recurrence
from .simplify import rebuild
from .unfold import same_op


def without(recurrence: Recurrence, inputs: Iterable[str]) -> Recurrence:
    """The step without some inputs, and without the outputs that depend on them, such as a loss without its target.

    Raises:
        InputError: a state depends on one of the inputs.
    """
    absent = set(inputs)
    gone = {recurrence.inputs[n] for n in absent}
    missing = {n for n, node in recurrence.returns.items() if not gone.isdisjoint(order([node]))}
    for state in recurrence.states:
        if state in missing:
            needed = ", ".join(f"'{n}'" for n in recurrence.inputs if n in absent)
            raise InputError(f"'{recurrence.name}' needs input {needed} to compute its state '{state}'")
    returns = {n: node for n, node in recurrence.returns.items() if n not in missing}
    kept = set(order(returns.values()))
    return Recurrence(
        recurrence.name,
        {n: x for n, x in recurrence.inputs.items() if n not in absent},
        recurrence.states,
        recurrence.parameters,
        returns,
        labels={node: n for node, n in recurrence.labels.items() if node in kept},
    )


@lru_cache(maxsize=256)
def only_states(recurrence: Recurrence) -> Recurrence:
    """The step without its outputs, and without the inputs that only outputs depend on."""
    returns = {n: recurrence.returns[n] for n in recurrence.states}
    needed = set(order(returns.values()))
    return Recurrence(
        recurrence.name,
        {n: x for n, x in recurrence.inputs.items() if x in needed},
        recurrence.states,
        recurrence.parameters,
        returns,
        labels={node: n for node, n in recurrence.labels.items() if node in needed},
    )


def expected(recurrence: Recurrence, inputs: Iterable[str]) -> Recurrence:
    """The step with the mean of some inputs that are drawn at random instead of these inputs."""
    names = set(inputs)
    means = {
        recurrence.inputs[n]: constant(each.mean, recurrence.inputs[n].type.dims)
        for n, each in recurrence.drawn.items()
        if n in names
    }
    same = {x: x for x in recurrence.leaves.values() if x not in means}

    def build(node: Node, args: tuple[Node, ...]) -> Node:
        return node if args == node.args else rebuild(node, args)

    done = rewrite(recurrence.nodes, {**same, **means}, build)
    returns = {n: done[node] for n, node in recurrence.returns.items()}
    kept = set(order(returns.values()))
    return Recurrence(
        recurrence.name,
        {n: x for n, x in recurrence.inputs.items() if n not in names},
        recurrence.states,
        recurrence.parameters,
        returns,
        labels={done[node]: n for node, n in recurrence.labels.items() if done[node] in kept},
    )


def as_tokens(recurrence: Recurrence, inputs: Iterable[str]) -> Recurrence:
    """The step with tokens instead of some vector inputs. A token is the index of the 1 in a one-hot vector."""
    spoken = {
        n: leaf("input", token(x.type.dims[0]), x.source, **dict(x.attrs))
        for n, x in recurrence.inputs.items()
        if n in inputs
    }
    replace: dict[Node, Node] = {recurrence.inputs[n]: make("onehot", x) for n, x in spoken.items()}
    same = {x: x for x in (*recurrence.leaves.values(),) if x not in replace}
    done = rewrite(recurrence.nodes, {**same, **replace}, same_op)
    return Recurrence(
        recurrence.name,
        {**recurrence.inputs, **spoken},
        recurrence.states,
        recurrence.parameters,
        {n: done[node] for n, node in recurrence.returns.items()},
        labels={done[node]: n for node, n in recurrence.labels.items() if node in done},
    )


def fed(recurrence: Recurrence, states: Iterable[str]) -> Recurrence:
    """Teacher forcing: the previous values of some states become inputs of the same name, given from outside. Their new
    values become outputs, so no cycle runs through these states any more."""
    names = set(states)
    replace = {
        s: leaf("input", s.type, s.source, name=n, delayed=True) if n in names else s
        for n, s in recurrence.states.items()
    }
    done = rewrite(recurrence.nodes, {**replace, **{x: x for x in recurrence.inputs.values()}}, same_op)
    inputs = {**recurrence.inputs, **{n: done[recurrence.states[n]] for n in recurrence.states if n in names}}
    return Recurrence(
        recurrence.name,
        inputs,
        {n: s for n, s in recurrence.states.items() if n not in names},
        recurrence.parameters,
        {n: done[node] for n, node in recurrence.returns.items()},
        labels={done[node]: n for node, n in recurrence.labels.items()},
    )


def target_of(state: str) -> str:
    """The name of the input that ``mixed`` adds for the given values of a state."""
    return f"given {state}"


def mask_of(state: str) -> str:
    """The name of the input that ``mixed`` adds for the mask of a state."""
    return f"mask {state}"


def mixed(recurrence: Recurrence, states: Iterable[str]) -> Recurrence:
    """Scheduled sampling (Bengio et al. 2015): the previous value of each of some states is given from outside where a
    mask is 1, and is the state itself where it is 0."""
    replace, inputs = {x: x for x in recurrence.leaves.values()}, dict(recurrence.inputs)
    for n in states:
        s = recurrence.states[n]
        given = leaf("input", s.type, s.source, name=target_of(n), delayed=True)
        mask = leaf("input", SCALAR, s.source, name=mask_of(n), delayed=True)
        inputs |= {target_of(n): given, mask_of(n): mask}
        if s.type.kind == TOKEN:
            replace[s] = make("choose", make("less", constant(0.5), mask), given, s)
        else:
            spread = make("broadcast", mask, dims=s.type.dims) if s.type.dims else mask
            replace[s] = make("where", make("less", constant(0.5, s.type.dims), spread), given, s)
    done = rewrite(recurrence.nodes, replace, same_op)
    return Recurrence(
        recurrence.name,
        inputs,
        recurrence.states,
        recurrence.parameters,
        {n: done[node] for n, node in recurrence.returns.items()},
        labels={done[node]: n for node, n in recurrence.labels.items()},
    )
