"""The plan of a circuit: its step and its adjoint, regrouped and divided into stages. A plan is immutable and contains
no sizes. Every engine except the reference executes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from ..errors import EngineError, did_you_mean
from ..graph.node import TOKEN, Node, order
from ..graph.recurrence import Recurrence
from ..graph.stored import as_text, from_text
from ..transform.differentiate import differentiate, gradient
from ..transform.terms import moves, parts, terms
from .explain import explain
from .loop import Loop, make_loop
from .of_engines import OF_ENGINES
from .regroup import regroup
from .stages import Kinds, Stages, stages
from .totals import with_totals


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over time: the stages, and the loop between the stages before it and after it."""

    recurrence: Recurrence
    stages: Stages
    loop: Loop

    @cached_property
    def kinds(self) -> Kinds:
        """When each value changes."""
        return Kinds(self.recurrence)


@dataclass(frozen=True, eq=False)
class Backward(Pass):
    """The backward pass, for the requested gradients.

    Attributes:
        sums: for each parameter, the terms whose sum over time and batch is its gradient.
        flows: for each input, its gradient at a step.
        fixed: the inputs that are fixed in time; their gradients are states of the pass (``totals.total``).
    """

    sums: dict[str, list[Node]]
    flows: dict[str, Node]
    fixed: tuple[str, ...]

    @property
    def wanted(self) -> tuple[Node, ...]:
        """The values to compute at every step."""
        return _wanted(self.sums, self.flows)


@dataclass(frozen=True, eq=False)
class Plan:
    """How engines run a circuit.

    Attributes:
        step: the circuit, regrouped.
        kept: the values of the forward pass that the backward pass reads.
    """

    step: Recurrence
    kept: tuple[Node, ...]

    def explain(self, engine: str = "") -> str:
        """The plan in words: what is computed once, before the loop, in it and after it, forward and backward.

        >>> print(unrolled.cells.elman.plan().explain())

        Args:
            engine: the name of an engine, such as 'cuda', to see how that engine runs the loop.

        Raises:
            EngineError: the engine adds nothing to the plan.
        """
        if not engine:
            return explain(self)
        if engine not in OF_ENGINES:
            hint = did_you_mean(engine, OF_ENGINES)
            raise EngineError(f"explain() takes {', '.join(map(repr, OF_ENGINES))} or nothing, got {engine!r}{hint}")
        return OF_ENGINES[engine](self)

    def forward(self, keep: bool) -> Pass:
        """The forward pass. With ``keep`` it stores the values that a backward pass reads."""
        return _forward(self, keep)

    def backward(self, of: Iterable[str], wanted: Iterable[str]) -> Backward:
        """The backward pass: from the gradients of returned values to those of inputs and parameters.

        Args:
            of: the returned values whose gradients are given.
            wanted: the inputs and parameters whose gradients are requested.
        """
        names = set(wanted)
        leaves = [n for n, x in {**self.step.inputs, **self.step.parameters}.items() if x.type.kind != TOKEN]
        return _backward(self, tuple(of), tuple(n for n in leaves if n in names))

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (as_text(self.step),)

    def __repr__(self) -> str:
        return f"<plan of {self.step.name}>"


def _unpickled(text: str) -> Plan:
    return make_plan(from_text(text))


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


# faster to compute again than to read from memory
CHEAP = (
    "neg", "add", "sub", "mul", "div", "relu", "abs", "sign", "floor", "maximum", "minimum", "stop_gradient",
    "broadcast", "repeat", "outer", "transpose", "slice",
)  # fmt: skip


def _stored(step: Recurrence, read: Iterable[Node]) -> Iterable[Node]:
    """The values of the forward pass to store for the backward pass. The backward pass computes the other values that
    it reads from these, each by one cheap operation."""
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
    step, fixed = plan.step, tuple(n for n in wanted if n in plan.step.fixed)
    adjoint = with_totals(_adjoint(step, of), fixed) if fixed else _adjoint(step, of)
    sums = {n: terms(adjoint.sums[gradient(n)]) for n in wanted if n in step.parameters}
    flows = {n: adjoint.returns[gradient(n)] for n in wanted if n in step.series}
    roots = _wanted(sums, flows)
    cut = stages(adjoint, roots, (*plan.kept, *step.inputs.values()))
    return Backward(adjoint, cut, make_loop(adjoint, cut, roots, len(fixed)), sums, flows, fixed)


def _wanted(sums: dict[str, list[Node]], flows: dict[str, Node]) -> tuple[Node, ...]:
    return (*flows.values(), *(part for nodes in sums.values() for node in nodes for part in parts(node)))
