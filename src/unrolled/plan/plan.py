"""The plan of a circuit: its step and its adjoint, regrouped and cut into stages. Frozen, without sizes: every engine
but the reference carries it out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..graph.node import TOKEN, Node, order
from ..graph.recurrence import Recurrence
from ..transform.differentiate import differentiate, gradient
from ..transform.terms import moves, parts, terms
from .loop import Loop, make_loop
from .regroup import regroup
from .stages import Stages, stages


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over time: what is computed when, and the loop between before and after."""

    recurrence: Recurrence
    stages: Stages
    loop: Loop


@dataclass(frozen=True, eq=False)
class Backward(Pass):
    """The pass backward, for the gradients that are wanted.

    sums: for each parameter, the terms whose sum over time and batch is its gradient.
    flows: for each input, its gradient at a step.
    """

    sums: dict[str, list[Node]]
    flows: dict[str, Node]

    @property
    def wanted(self) -> tuple[Node, ...]:
        """What is to be computed at every step."""
        return _wanted(self.sums, self.flows)


@dataclass(frozen=True, eq=False)
class Plan:
    """How a circuit is run.

    step: the circuit, regrouped. kept: the values of the forward pass that the backward pass reads.
    """

    step: Recurrence
    kept: tuple[Node, ...]

    def forward(self, keep: bool) -> Pass:
        """The pass forward; with ``keep``, one that a backward pass will follow."""
        return _forward(self, keep)

    def backward(self, of: Iterable[str], wanted: Iterable[str]) -> Backward:
        """The pass backward, from the gradients of some returned values to those of some inputs and parameters."""
        names = set(wanted)
        leaves = [n for n, x in {**self.step.inputs, **self.step.parameters}.items() if x.type.kind != TOKEN]
        return _backward(self, tuple(of), tuple(n for n in leaves if n in names))


@lru_cache(maxsize=256)
def make_plan(recurrence: Recurrence) -> Plan:
    """The plan of a recurrence."""
    step = regroup(recurrence)
    forward = set(step.nodes)
    adjoint = _adjoint(step, tuple(step.returns))
    roots = [*adjoint.returns.values(), *adjoint.sums.values()]
    read = dict.fromkeys(a for n in order(roots, known=forward) for a in n.args if a in forward)
    read |= dict.fromkeys(root for root in roots if root in forward)
    read |= dict.fromkeys(step.states.values())
    return Plan(step, tuple(_stored(step, read)))


# computed in less time than read from memory
CHEAP = (
    "neg", "add", "sub", "mul", "div", "relu", "abs", "sign", "floor", "maximum", "minimum", "stop_gradient",
    "broadcast", "slice",
)  # fmt: skip


def _stored(step: Recurrence, read: Iterable[Node]) -> Iterable[Node]:
    """Of the values of the forward pass that the backward pass reads, those that are kept. It computes the others
    again from these, by one cheap operation each."""
    there = {*step.leaves.values(), *read}
    returned = {*step.returns.values()}
    for n in read:
        again = n.op in CHEAP and n not in returned and all(a in there or not moves(a) for a in n.args)
        if n.op not in ("parameter", "input", "constant") and not again:
            yield n


@lru_cache(maxsize=256)
def _adjoint(step: Recurrence, of: tuple[str, ...]) -> Recurrence:
    return regroup(differentiate(step, of))


@lru_cache(maxsize=512)
def _forward(plan: Plan, keep: bool) -> Pass:
    roots = [*plan.step.returns.values(), *(plan.kept if keep else ())]
    cut = stages(plan.step, roots)
    return Pass(plan.step, cut, make_loop(plan.step, cut, roots))


@lru_cache(maxsize=512)
def _backward(plan: Plan, of: tuple[str, ...], wanted: tuple[str, ...]) -> Backward:
    step, adjoint = plan.step, _adjoint(plan.step, of)
    sums = {n: terms(adjoint.sums[gradient(n)]) for n in wanted if n in step.parameters}
    flows = {n: adjoint.returns[gradient(n)] for n in wanted if n in step.inputs}
    roots = _wanted(sums, flows)
    cut = stages(adjoint, roots, (*plan.kept, *step.inputs.values()))
    return Backward(adjoint, cut, make_loop(adjoint, cut, roots), sums, flows)


def _wanted(sums: dict[str, list[Node]], flows: dict[str, Node]) -> tuple[Node, ...]:
    return (*flows.values(), *(part for nodes in sums.values() for node in nodes for part in parts(node)))
