"""Add a loss to a recurrence that has none: a linear read-out and -log p(y), so that there is a gradient to show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..data.goal import Class, Goal
from ..graph.bind import by_row
from ..graph.node import REAL, Node, leaf, matrix, vector
from ..graph.ops import constant, make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from ..nn.calls import variant

CLASS = Class()


@dataclass(frozen=True)
class Scored:
    """A recurrence with a scalar loss per step, and the names of its parts.

    Attributes:
        recurrence: the step with the loss.
        loss: the loss.
        target: the input that holds the target.
        scores: the values before the softmax.
        weight: the matrix of the read-out, if one was added.
        bias: the bias of the read-out, if one was added.
    """

    recurrence: Recurrence
    loss: str
    target: str = ""
    scores: str = ""
    weight: str = ""
    bias: str = ""


def predicting(
    recurrence: Recurrence,
    source: str,
    kept: Iterable[str],
    read_out: bool,
    goal: Goal = CLASS,
    mean_over: int = 0,
) -> Scored:
    """Add a target and a loss to a step.

    Args:
        recurrence: the step.
        source: the value that holds the scores, or the input of the read-out.
        kept: the inputs to keep. Others, such as the target of the circuit's own loss, are removed.
        read_out: whether a linear read-out computes the scores.
        goal: the loss, see ``data.goal``.
        mean_over: number of steps to average the source over; the running mean is a state. 0 for no mean.
    """
    step = reading_only(recurrence, kept)
    taken = {*step.leaves, *step.returns, *step.labels.values()}
    target, probability, loss = _free("yz", taken), _free(("yhat", "p"), taken), _free(("L", "loss"), taken)
    weight = bias = ""
    scores, node, parameters, states = source, step.returns[source], dict(step.parameters), dict(step.states)
    size, new = node.type.dims[0], {}
    if mean_over:
        mean = _free(("m", "mean"), taken)
        states[mean] = leaf("state", node.type, name=mean)
        node = new[mean] = make("add", states[mean], make("div", node, constant(mean_over, node.type.dims)))
    if read_out:
        scores, weight, bias = _free("ospq", taken), _free("VRQ", taken), _free("cdek", taken)
        parameters[weight] = leaf("parameter", matrix(Size.of(scores), size), name=weight)
        size = Size.of(scores)
        parameters[bias] = leaf("parameter", vector(size), name=bias)
        node = make("add", parameters[bias], make("matvec", parameters[weight], node))
    y = leaf("input", goal.target(size), name=target)
    p, cost = goal.nodes(node, y)
    new |= {scores: node, **({probability: p} if p is not None else {}), loss: cost}
    made = _extended(step, new, {**step.inputs, target: y}, parameters, states)
    return Scored(made, loss, target, scores, weight, bias)


def reading_only(recurrence: Recurrence, kept: Iterable[str]) -> Recurrence:
    """The step that reads some of its inputs. Masks and noise among the others are replaced with their means."""
    kept = set(kept)
    return variant(recurrence, tuple(n for n in recurrence.inputs if n not in kept), (), ())


def with_some_loss(recurrence: Recurrence) -> Scored:
    """The step with its own scalar loss L or, if it has none, with the sum of its output as the loss."""
    if "L" in recurrence.outputs and not recurrence.outputs["L"].type.dims:
        return Scored(recurrence, "L")
    looks, returned = by_row(recurrence), (*recurrence.outputs, *recurrence.states)
    real = {n: node.type for n, node in recurrence.returns.items() if node.type.kind == REAL and n not in looks}
    vectors = [n for n in returned if n in real and real[n].dims] or [n for n in returned if n in real]
    source = "o" if "o" in vectors else vectors[0]
    node = recurrence.returns[source]
    loss = _free(("L", "loss"), {*recurrence.leaves, *recurrence.returns, *recurrence.labels.values()})
    total = make("sum", node)
    return Scored(_extended(recurrence, {loss: total}, recurrence.inputs, recurrence.parameters), loss)


def _extended(
    step: Recurrence, new: dict[str, Node], inputs: object, parameters: object, states: object = None
) -> Recurrence:
    labels = dict(step.labels)
    for name, node in new.items():
        labels.setdefault(node, name)
    states = states or step.states
    return Recurrence(step.name, inputs, states, parameters, {**step.returns, **new}, labels=labels)  # type: ignore[arg-type]


def _free(names: Iterable[str], taken: set[str]) -> str:
    names = list(names)
    return next((n for n in names if n not in taken), f"{names[0]}_{len(taken)}")
