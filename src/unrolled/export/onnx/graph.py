"""An ONNX graph while it is made: nodes, and the constants that all of its parts share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET, IR = 21, 10  # since May 2024
KIND = {"real": TensorProto.FLOAT, "token": TensorProto.INT64, "mask": TensorProto.BOOL}


class Graph:
    """Nodes in the order in which they were added.

    Names of values that were not given by a user begin with '/', which no name of a circuit does.

    Args:
        outer: the graph that a body of a loop is in. Its values can be read inside.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.nodes = list[NodeProto]()
        self.root: Graph = outer.root if outer else self
        self._constants = dict[tuple[bytes, str, tuple[int, ...]], str]()
        self._tensors = list[TensorProto]()
        self._count = 0

    def name(self) -> str:
        """A new name."""
        self.root._count += 1
        return f"/{self.root._count}"

    def add(self, op: str, *reads: str, **attributes: Any) -> str:
        """Add a node with one result, and return its name."""
        result = self.name()
        self.nodes.append(helper.make_node(op, list(reads), [result], **attributes))
        return result

    def constant(self, value: NDArray[Any], name: str | None = None) -> str:
        """The name of a constant, which is stored once."""
        key = (value.tobytes(), value.dtype.str, value.shape)
        constants = self.root._constants
        if key not in constants:
            constants[key] = f"/{name}" if name and f"/{name}" not in constants.values() else self.name()
            self.root._tensors.append(numpy_helper.from_array(numpy.array(value, order="C"), constants[key]))
        return constants[key]

    def integers(self, *values: int) -> str:
        """The name of a vector of integers."""
        return self.constant(numpy.array(values, numpy.int64))

    def named(self, value: str, name: str) -> None:
        """Give a value a name of a user."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def proto(self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> GraphProto:
        """The graph as it is stored, without nodes and constants that no output needs."""
        needed, nodes = {value.name for value in outputs}, list[NodeProto]()
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.output):
                nodes.append(node)
                needed.update(_reads([node]))
        tensors = [tensor for tensor in self._tensors if tensor.name in needed]
        return helper.make_graph(nodes[::-1], name, list(inputs), list(outputs), tensors)

    def model(
        self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto], doc: str
    ) -> ModelProto:
        """The whole as a model, without a date, so that the same network gives the same bytes."""
        graph = self.proto(name, inputs, outputs)
        versions = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=versions, ir_version=IR, producer_name="unrolled", doc_string=doc)


def _reads(nodes: Iterable[NodeProto]) -> Iterator[str]:
    """The names that some nodes read, and those in their bodies."""
    for node in nodes:
        yield from node.input
        for attribute in node.attribute:
            yield from _reads(attribute.g.node)


def info(name: str, kind: str, shape: Sequence[int | str | None]) -> ValueInfoProto:
    """What an input or output is called, and its shape, in which a text is a size that may change."""
    return helper.make_tensor_value_info(name, KIND[kind], list(shape))
