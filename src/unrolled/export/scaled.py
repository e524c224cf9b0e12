"""The scaling of columns as part of the network: it then reads and writes values in their own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..graph.node import Node, leaf, rewrite, vector
from ..graph.ops import make
from ..graph.size import Size
from ..transform.unfold import same_op
from .about import About
from .network import ANSWER, READ, Network, Step

MEAN, REST, DEVIATION = "mean", "mean_rest", "deviation"
RESULT_MEAN, RESULT_DEVIATION = "result_mean", "result_deviation"


def scaled(network: Network, about: About) -> Network:
    """The network with (value - mean) / deviation of each column before it, and value = o * deviation + mean after it.

    >>> scaled(network, About(columns=("celsius",), mean=(12.5,), deviation=(3.0,))).layers[0][0].weights["mean"]
    tensor([12.5000])

    Args:
        network: reads scaled vectors.
        about: the scales; without any, the network is unchanged.
    """
    if about.mean:
        first = tuple(_reads(step, about.mean, about.deviation) for step in network.layers[0])
        network = replace(network, layers=(first, *network.layers[1:]))
    if about.result:
        _, mean, deviation = about.result
        if network.head:
            return replace(network, head=_writes(network.head, mean, deviation))
        last = tuple(_writes(step, mean, deviation) for step in network.layers[-1])
        return replace(network, layers=(*network.layers[:-1], last))
    return network


def _reads(step: Step, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Step:
    """A step that reads values in their own units. The mean is two numbers, because a float32 is too coarse for values
    that are far from zero and close to each other."""
    x = step.recurrence.inputs[READ]
    whole = torch.tensor(mean, dtype=torch.float64)
    rough = whole.float().double()
    given = {MEAN: rough, REST: whole - rough, DEVIATION: torch.tensor(deviation, dtype=torch.float64)}
    added = {n: leaf("parameter", x.type, name=n, constant=True) for n in given}
    value = make("div", make("sub", make("sub", x, added[MEAN]), added[REST]), added[DEVIATION])
    return _changed(step, {x: value}, added, given)


def _writes(step: Step, mean: float, deviation: float) -> Step:
    """A step that writes a value in its own unit."""
    given = {RESULT_MEAN: torch.tensor([mean]).double(), RESULT_DEVIATION: torch.tensor([deviation]).double()}
    added = {n: leaf("parameter", vector(Size.of(1)), name=n, constant=True) for n in given}
    o = step.recurrence.returns[ANSWER]
    value = make("add", make("mul", o, added[RESULT_DEVIATION]), added[RESULT_MEAN])
    changed = _changed(step, {}, added, given)
    returns = {**changed.recurrence.returns, ANSWER: value}
    return replace(changed, recurrence=replace(changed.recurrence, returns=returns))


def _changed(step: Step, nodes: Mapping[Node, Node], added: Mapping[str, Node], given: Mapping[str, Tensor]) -> Step:
    """A step with some nodes replaced, and more parameters."""
    recurrence = step.recurrence
    done = rewrite(recurrence.returns.values(), {x: x for x in recurrence.leaves.values()} | dict(nodes), same_op)
    changed = replace(
        recurrence,
        parameters={**recurrence.parameters, **{x["name"]: x for x in added.values()}},
        returns={n: done[node] for n, node in recurrence.returns.items()},
        labels={done[node]: n for node, n in recurrence.labels.items() if node in done},
    )
    return Step(changed, {**step.weights, **given})
