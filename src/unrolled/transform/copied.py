"""A recurrence as a part of another one: its equations on other inputs, with other names for states and parameters, and
with numbers for sizes, which two parts may call by the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..graph.node import Node, Type, leaf, rewrite
from ..graph.ops import make
from ..graph.recurrence import Recurrence
from ..graph.size import Size


class Copied(NamedTuple):
    """The copy: the leaves of states and parameters by their new names, and returned values by their old names."""

    states: dict[str, Node]
    parameters: dict[str, Node]
    returns: dict[str, Node]


def copied(
    recurrence: Recurrence,
    sizes: Mapping[str, int],
    inputs: Mapping[str, Node],
    name: Callable[[str], str],
    before: Callable[[Node], Node] = lambda state: state,
) -> Copied:
    """The equations of a recurrence on other inputs.

    Args:
        recurrence: the step.
        sizes: its sizes by name; those that are read from the data keep their names.
        inputs: the value that takes the place of each input.
        name: the new name of a state or a parameter.
        before: what the equations read in place of a state.
    """
    known = {n: Size.of(size) for n, size in sizes.items()}

    def number(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(number, value))
        return value.replace(known) if isinstance(value, Size) else value

    def renamed(group: Mapping[str, Node]) -> dict[str, Node]:
        return {
            name(n): leaf(x.op, Type(x.type.kind, number(x.type.dims)), x.source, **{**dict(x.attrs), "name": name(n)})
            for n, x in group.items()
        }

    def build(node: Node, args: tuple[Node, ...]) -> Node:
        return make(node.op, *args, source=node.source, **{n: number(v) for n, v in node.attrs})

    states, parameters = renamed(recurrence.states), renamed(recurrence.parameters)
    replace = {x: inputs[n] for n, x in recurrence.inputs.items()}
    replace |= {x: before(states[name(n)]) for n, x in recurrence.states.items()}
    replace |= {x: parameters[name(n)] for n, x in recurrence.parameters.items()}
    replace |= {x: build(x, ()) for x in recurrence.nodes if not x.args and x not in replace}
    done = rewrite(recurrence.returns.values(), replace, build)
    return Copied(states, parameters, {n: done[node] for n, node in recurrence.returns.items()})
