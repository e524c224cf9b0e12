"""The loop over time as one launch of a CUDA function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from ...graph.node import TOKEN, Node
from ...plan.loop import Loop
from ...sequence.layout import Layout
from ...transform.evaluate import dtype_of
from ..border import constants
from ..call import Call
from ..lowering.lower import lower_loop
from ..lowering.place import Placement, place
from .render import Text, render
from .shape import Shape


class Machine(Protocol):
    """What runs a text: a GPU, or in tests a CPU."""

    def shape(self, like: Tensor, sequences: int, entries: int, weights: int) -> Shape:
        """The shape of a launch.

        Args:
            like: a tensor on the device, of the dtype of the numbers.
            sequences: the number of sequences.
            entries: of the largest value of a step.
            weights: the numbers of all matrices that a step reads.
        """
        ...

    def launch(self, text: Text, lanes: Tensor, fresh: Tensor | None, room: Tensor, pointers: Sequence[Tensor]) -> None:
        """Run a text on all lanes.

        Args:
            text: the text.
            lanes: first row, length and number of each sequence, (sequences, 3), the longest first.
            fresh: whether a sequence is reset at a row, (rows,), bytes.
            room: scratch memory, in bytes.
            pointers: the tensors that it reads and writes, in the order of its pointers.
        """
        ...


@dataclass(frozen=True)
class CudaLoop:
    """Runs the loop of a plan on a machine; see ``planned.RunLoop``."""

    machine: Machine

    def __call__(self, loop: Loop, call: Call, values: Mapping[Node, Tensor], start: list[Tensor]) -> list[Tensor]:
        lowered, like, sizes = lower_loop(loop), call.like, call.sizes
        made = lowered.schedule
        ends = [s.clone(memory_format=torch.contiguous_format) for s in start]
        kept = [
            like.new_empty(
                call.layout.rows, *n.type.shape(sizes), dtype=_dtype(n, like) if n.type.kind == TOKEN else None
            )
            for n in made.keep
        ]
        if call.layout.rows and start:
            lanes, fresh = lanes_of(call.layout, like.device)
            shape = self.machine.shape(like, len(lanes), *_largest(loop, made.matrices, sizes))
            text = _text(loop, tuple(sizes.items()), like.dtype == torch.float64, shape)
            room = like.new_empty(text.memory.room_for(shape, len(lanes)), dtype=torch.uint8)
            given = [values[n].to(_dtype(n, like)).contiguous() for n in (*made.moving, *made.each)]
            given += [_whole(values[n], n, call) for n in made.fixed]
            given += [values[n].mT.to(like.dtype).contiguous() for n in made.matrices]
            given += [s.contiguous() for s in start]
            self.machine.launch(text, lanes, fresh, room, [*given, *ends, *kept])
        return [*(k.to(dtype_of(n, like)) for n, k in zip(made.keep, kept, strict=True)), *ends]


def _largest(loop: Loop, matrices: Iterable[Node], sizes: Mapping[str, int]) -> tuple[int, int]:
    """The entries of the largest value of a step, and the numbers of all matrices that a step reads."""
    entries = [n.type.entries(sizes) for n in loop.nodes if n.type.kind != TOKEN]
    return max(entries, default=1), sum(n.type.entries(sizes) for n in matrices)


@lru_cache(maxsize=512)
def placed(loop: Loop) -> Placement:
    """The statements of a loop over buffers."""
    return place(lower_loop(loop))


@lru_cache(maxsize=256)
def _text(loop: Loop, sizes: tuple[tuple[str, int], ...], double: bool, shape: Shape) -> Text:
    return render(placed(loop), loop.totals, dict(sizes), double, shape)


@constants
def lanes_of(layout: Layout, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """The first row, the length and the number of each sequence that has steps, (sequences, 3), the longest first; and
    whether a sequence is reset at a row, (rows,), None if none is."""
    length = torch.tensor(layout.lengths, dtype=torch.int64)
    first = length.cumsum(0) - length
    order = length.argsort(descending=True, stable=True)
    order = order[length[order] > 0]
    fresh = None
    if layout.resets:
        fresh = torch.zeros(layout.rows, dtype=torch.uint8)
        fresh[list(layout.resets)] = 1
        fresh = fresh.to(device)
    return torch.stack([first[order], length[order], order], 1).to(device), fresh


def _whole(value: Tensor, node: Node, call: Call) -> Tensor:
    return value.to(_dtype(node, call.like)).expand(node.type.shape(call.sizes)).contiguous()


def _dtype(node: Node, like: Tensor) -> torch.dtype:
    """The dtype in which a GPU reads a value: that of the parameters, also for masks, or integers for tokens."""
    return torch.int64 if node.type.kind == TOKEN else like.dtype
