"""Regularised recurrences: steps that read further inputs, which a network draws at random in training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..graph.node import Node, leaf, order, rewrite
from ..graph.ops import constant, make
from ..graph.recurrence import Recurrence
from .unfold import same_op

Shares = Mapping[str, float]
LINEAR = ("add", "sub", "neg", "concat", "slice")  # pass a state on without changing what multiplies it


def zoneout(recurrence: Recurrence, shares: Shares) -> Recurrence:
    """Some entries of states keep their previous value: h(t) = d ⊙ h(t-1) + (1 - d) ⊙ (the new value)."""
    drawn = {n: _drawn(recurrence.states[n], f"d_{n}", "zoneout", share) for n, share in shares.items()}
    new = {}
    for n, d in drawn.items():
        kept = make("mul", d, recurrence.states[n])
        one = constant(1.0, d.type.dims)
        new[n] = make("add", kept, make("mul", make("sub", one, d), recurrence.returns[n]))
    return _with_states(recurrence, new, drawn.values())


def noise(recurrence: Recurrence, shares: Shares) -> Recurrence:
    """Normal noise is added to inputs, and to the new values of states."""
    drawn = {}
    for n, share in shares.items():
        node = recurrence.states.get(n) or recurrence.inputs[n]
        drawn[n] = _drawn(node, f"epsilon_{n}", "noise", share)
    read = {
        recurrence.inputs[n]: make("add", recurrence.inputs[n], e) for n, e in drawn.items() if n in recurrence.inputs
    }
    noisy = _rewritten(recurrence, read, same_op, drawn.values())
    new = {n: make("add", noisy.returns[n], e) for n, e in drawn.items() if n in recurrence.states}
    return _with_states(noisy, new, ())


def variational(recurrence: Recurrence, shares: Shares) -> Recurrence:
    """Dropout with one mask per sequence: of inputs, and of states where they are multiplied by a matrix."""
    masks, read = dict[str, Node](), dict[Node, Node]()
    for n, share in shares.items():
        node = recurrence.states.get(n) or recurrence.inputs[n]
        masks[n] = _drawn(node, f"z_{n}", "dropout", share, fixed=True)
        if n in recurrence.inputs:
            read[node] = make("mul", node, masks[n])
    of_state = {recurrence.states[n]: mask for n, mask in masks.items() if n in recurrence.states}

    def build(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "matvec":
            args = args[0], _masked(args[1], of_state)
        return same_op(node, args)

    return _rewritten(recurrence, read, build, masks.values())


def multiplied(recurrence: Recurrence) -> tuple[str, ...]:
    """The vector states that are multiplied by a matrix."""
    vectors = [node.args[1] for node in recurrence.nodes if node.op == "matvec"]
    return tuple(n for n, state in recurrence.states.items() if any(carries(v, (state,)) for v in vectors))


def carries(node: Node, states: Iterable[Node]) -> bool:
    """Whether a vector is a state, directly, after a gate, or as a part or a term."""
    if node in states:
        return True
    passing = node.op == "mul" or node.op in LINEAR
    return passing and len(node.type.dims) == 1 and any(carries(a, states) for a in node.args)


def _masked(node: Node, masks: Mapping[Node, Node]) -> Node:
    """A vector with the states in it multiplied by their masks."""
    if node in masks:
        return make("mul", node, masks[node])
    if not carries(node, masks):
        return node
    args = [_masked(a, masks) for a in node.args]
    if node.op == "mul" and all(a is not b for a, b in zip(args, node.args, strict=True)):
        args[1] = node.args[1]  # one factor is enough
    return same_op(node, tuple(args))


def _drawn(node: Node, name: str, kind: str, share: float, **attrs: bool) -> Node:
    return leaf("input", node.type, node.source, name=name, drawn=kind, share=float(share), **attrs)


def _rewritten(
    recurrence: Recurrence,
    replace: Mapping[Node, Node],
    build: Callable[[Node, tuple[Node, ...]], Node],
    drawn: Iterable[Node],
) -> Recurrence:
    """The recurrence with some leaves replaced, every other node built from its new arguments, and further inputs."""
    same = {x: x for x in recurrence.leaves.values()}
    done = rewrite(recurrence.returns.values(), {**same, **replace}, build)
    return Recurrence(
        recurrence.name,
        {**recurrence.inputs, **{x["name"]: x for x in drawn}},
        recurrence.states,
        recurrence.parameters,
        {n: done[node] for n, node in recurrence.returns.items()},
        labels={done[node]: n for node, n in recurrence.labels.items() if node in done},
    )


def _with_states(recurrence: Recurrence, new: Mapping[str, Node], drawn: Iterable[Node]) -> Recurrence:
    """The recurrence with other new values of some states, computed from the old ones. Outputs read the other values;
    the new values of states are computed from each other as before."""
    states = {recurrence.returns[n]: new.get(n, recurrence.returns[n]) for n in recurrence.states}
    states = {node: value for node, value in states.items() if node.args}
    same = {x: x for x in recurrence.leaves.values()}
    done = rewrite(recurrence.outputs.values(), {**same, **states}, same_op)
    returns = {n: done[node] for n, node in recurrence.outputs.items()}
    returns |= {n: new.get(n, recurrence.returns[n]) for n in recurrence.states}
    reached = set(order(returns.values()))
    labels = {node: n for node, n in recurrence.labels.items() if node in reached}
    for n, value in new.items():
        before = recurrence.returns[n]
        if before in reached and before.args and labels.get(before, n) == n:
            labels.pop(before, None)
            if f"{n}_new" not in labels.values():
                labels[before] = f"{n}_new"
        labels[value] = n
    for node, n in recurrence.labels.items():
        if done.get(node) in reached and n not in labels.values():
            labels[done[node]] = n
    return Recurrence(
        recurrence.name,
        {**recurrence.inputs, **{x["name"]: x for x in drawn}},
        recurrence.states,
        recurrence.parameters,
        {n: returns[n] for n in recurrence.returns},
        labels=labels,
    )
