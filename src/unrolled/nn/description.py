"""Everything about a call of a network but its tensors, as text: circuit, sizes, names, engine and memory policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import CircuitError, InputError
from ..graph.bind import bind, shapes
from ..graph.node import TOKEN
from ..graph.recurrence import Recurrence
from ..graph.stored import dump, load
from ..transform.restrict import only_states
from .calls import variant
from .incoming import Incoming
from .memory import Memory, Snapshots, Store, Truncated

STEP, SEQUENCES, STATES = "step", "sequences", "states"  # kinds of calls; the last one leaves out the outputs
Tensors = dict[str, Tensor]
_known: WeakValueDictionary[str, Recurrence] = WeakValueDictionary()  # by its text, so that plans are made once


@lru_cache(maxsize=256)
def stored(recurrence: Recurrence, sizes: tuple[tuple[str, int], ...]) -> str:
    """A circuit and its sizes as text; empty if the circuit is too large to be stored."""
    try:
        text = json.dumps({"circuit": dump(recurrence), "sizes": dict(sizes)})
    except CircuitError:
        return ""
    _known[text] = recurrence
    return text


def described(
    network: str,
    kind: str,
    engine: str,
    memory: Memory,
    inputs: Sequence[str],
    given: Sequence[str],
    state: Sequence[str],
) -> str:
    """The text of a call. ``torch.compile`` traces this function, so it is plain.

    Args:
        network: the result of ``stored``.
        kind: STEP, SEQUENCES or STATES.
        engine: 'auto' or the name of an engine.
        memory: the memory policy.
        inputs, given, state: the names of what the call takes, in the order of its tensors.
    """
    policy = ""
    if isinstance(memory, Snapshots):
        unit = " B" if isinstance(memory.memory, int) else ""
        policy = f'"every": {memory.every}' if memory.memory is None else f'"memory": "{memory.memory}{unit}"'
    elif isinstance(memory, Truncated):
        policy = f'"window": {memory.window}, "stride": {memory.stride or memory.window}'
    names = f'"inputs": "{" ".join(inputs)}", "given": "{" ".join(given)}", "state": "{" ".join(state)}"'
    return f'{{"kind": "{kind}", "engine": "{engine}", "policy": {{{policy}}}, {names}, "network": {network}}}'


@dataclass(frozen=True, eq=False)
class Description:
    """What the text of a call says.

    Attributes:
        kind: STEP, SEQUENCES or STATES.
        engine: 'auto' or the name of an engine.
        memory: the memory policy.
        inputs, given, state: names.
        circuit: the circuit.
        bound, sizes: its independent sizes, and all that have a name.
        shapes: of its parameters.
    """

    kind: str
    engine: str
    memory: Memory
    inputs: list[str]
    given: list[str]
    state: list[str]
    circuit: Circuit
    bound: dict[str, int]
    sizes: dict[str, int]
    shapes: dict[str, tuple[int, ...]]

    @staticmethod
    @lru_cache(maxsize=256)
    def of(text: str) -> Description:
        about = json.loads(text)
        network, policy = about["network"], about["policy"]
        recurrence = _known.get(json.dumps(network)) or load(network["circuit"])
        memory: Memory = Store()
        if policy:
            memory = Truncated(**policy) if "window" in policy else Snapshots(**policy)
        sizes, bound = network["sizes"], bind(recurrence, network["sizes"])
        inputs, given, state = (about[k].split() for k in ("inputs", "given", "state"))
        kind, engine, circuit = about["kind"], about["engine"], Circuit.stored(recurrence)
        return Description(kind, engine, memory, inputs, given, state, circuit, bound, sizes, shapes(recurrence, bound))

    @cached_property
    def plain(self) -> bool:
        """Whether the circuit has no fixed inputs, matrices and computed tokens, which bound calls and the values that
        are kept for the backward pass do not know."""
        recurrence = self.circuit.recurrence
        values = (*recurrence.inputs.values(), *recurrence.states.values(), *recurrence.returns.values())
        computed = any(node.type.kind == TOKEN and node.op != "input" for node in recurrence.nodes)
        return not (recurrence.fixed or computed or any(len(node.type.dims) > 1 for node in values))

    @property
    def leaves(self) -> list[str]:
        """The names of the tensors of a call, in their order."""
        return [*(self.shapes or [""]), *self.inputs, *self.given, *self.state]

    def parted(self, tensors: Sequence[Tensor]) -> tuple[Incoming, Tensors, Tensors, Tensors, Tensors]:
        """The checks, and the parameters, inputs, given series and states by name. Without parameters, the first tensor
        has their dtype and device."""
        each = iter(tensors)
        parameters, inputs, given, state = (
            dict(zip(group, each, strict=False)) for group in (self.shapes or [""], self.inputs, self.given, self.state)
        )
        check = Incoming(self.circuit, self.sizes, next(iter(parameters.values())))
        return check, parameters if self.shapes else {}, inputs, given, state

    def step(self, tokens: Sequence[str]) -> Recurrence:
        """The step that runs, if these vector inputs are given as tokens."""
        recurrence = self.circuit.recurrence
        recurrence = only_states(recurrence) if self.kind == STATES else recurrence
        absent = tuple(n for n in self.circuit.inputs if n not in self.inputs and n in recurrence.inputs)
        spoken = tuple(n for n in self.circuit.inputs if n in tokens and n in recurrence.inputs)
        return variant(recurrence, absent, spoken, tuple(sorted(self.given)))


def returned_names(text: str) -> tuple[str, ...]:
    """The names of what a call returns, before the states."""
    return tuple(Description.of(text).step(()).returns)


def unfit(
    network: str, kind: str, count: int, named: Sequence[str], given: Sequence[str], state: Sequence[str], timed: bool
) -> str:
    """The error of a network about the names of its arguments; empty if they fit.

    Args:
        network, kind, given, state: as for ``described``.
        count: the number of inputs that are given in the circuit's order.
        named: the names of the other inputs.
        timed: whether the number of steps is given.
    """
    about = Description.of(described(network, kind, "auto", Store(), (), given, state))
    check = Incoming(about.circuit, about.sizes, torch.empty(0))
    try:
        series = check.by_name((None,) * count, dict.fromkeys(named))
        for n in given:
            if n not in about.circuit.states:
                check.given(n, None, 2)
        check.checked_state({n: None for n in state if n not in about.circuit.states}, 1)
        Description.of(described(network, kind, "auto", Store(), list(series), given, ())).step(())
        if kind == SEQUENCES and not (series or given or timed):
            check.extent({}, {}, None)
    except InputError as problem:
        return str(problem)
    return ""


for known in (returned_names, unfit):
    known._dynamo_marked_constant = True  # type: ignore  # torch.compile calls it while it traces
