"""The steps of a network, each with the beginning of its names and the kinds of numbers of its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from ...engines.c.spelling import OPS
from ...engines.lowering.statements import MatrixProduct, Product, RowProduct, Take, operations, reads
from ..network import Network, Step
from ..options import Options
from .narrow import KINDS, wide
from .products import PANEL
from .spelling import Say
from .step import Body, Constant, body


@dataclass(frozen=True, eq=False)
class Part:
    """A step as a part of a file.

    prefix: the beginning of its names. exact: the weights before they were rounded, by name.
    """

    prefix: str
    body: Body
    say: Say
    exact: Mapping[str, Tensor]

    def kind(self, constant: Constant) -> str:
        """The kind of numbers of a constant."""
        return self.say.narrow.get(constant.name, "float32")

    def in_panels(self, constant: Constant) -> bool:
        """Whether a matrix is stored in panels."""
        return constant.product and not self.say.static

    def weight_bytes(self) -> int:
        """The bytes of all constants."""
        total = 0
        for c in self.body.constants.values():
            kind, shape = KINDS[self.kind(c)], c.value.shape
            rows = -(-shape[0] // PANEL) * PANEL if self.in_panels(c) else 0
            total += kind.bytes * (rows * shape[1] if rows else c.value.numel()) + 4 * shape[0] * kind.scaled
        return total

    def state_bytes(self) -> int:
        """The bytes of the state."""
        return 4 * sum(self.say.number(b.size) for b in self.body.states.values())

    def local_bytes(self) -> int:
        """The bytes that a step needs besides the state, on the stack."""
        return 4 * sum(self.say.number(b.size) for b in (*self.body.local, *self.body.masks.values()))

    def multiply_adds(self) -> int:
        """The multiply-adds of the products of a step."""
        products = (s for s in self.body.statements if isinstance(s, Product | RowProduct | MatrixProduct))
        return sum(operations(s, self.say.sizes) for s in products)


def parts_of(network: Network, options: Options) -> tuple[Part, ...]:
    """The steps of a network: one; or for each layer its two directions, then what reads the last layer."""
    return tuple(_part(step, prefix, options) for prefix, step in _steps(network, options.name))


def rounded_network(network: Network, options: Options) -> Network:
    """The network with the weights that the file stores: those of matrices in fewer bits, if they are."""
    if options.weights == "float32":
        return network

    def step(prefix: str, given: Step) -> Step:
        names = set(_weights(body(given, options.rows, prefix)).values())
        rounded = {n: wide(w, options.weights) if n in names else w for n, w in given.weights.items()}
        return replace(given, weights=rounded)

    named = iter([step(prefix, given) for prefix, given in _steps(network, options.name)])
    layers = tuple(tuple(next(named) for _ in layer) for layer in network.layers)
    return replace(network, layers=layers, head=next(named) if network.head else None)


def _steps(network: Network, name: str) -> Iterator[tuple[str, Step]]:
    if network.head is None:
        yield f"{name}_", network.layers[0][0]
        return
    for number, layer in enumerate(network.layers):
        for step, side in zip(layer, ("forward", "backward"), strict=True):
            yield f"{name}_{side}{number + 1}_", step
    yield f"{name}_head_", network.head


def _part(step: Step, prefix: str, options: Options) -> Part:
    made = body(step, options.rows, prefix)
    narrow = {} if options.weights == "float32" else dict.fromkeys(_weights(made), options.weights)
    return Part(prefix, made, Say(made.sizes, False, OPS, options.name, options.static, narrow), step.weights)


def _weights(made: Body) -> dict[str, str]:
    """The constants that can be stored in fewer bits, each with the name of the weight that it is: matrices that only
    products read, or tables of which only rows are read."""
    found = {}
    for buffer, c in made.constants.items():
        users = [s for s in made.statements if any(part.of == buffer for part in reads(s))]
        rows_only = bool(users) and all(isinstance(s, Take) for s in users)
        if c.node.op == "parameter" and c.value.ndim == 2 and (c.product or rows_only):
            found[c.name] = str(c.node["name"])
    return found
