"""A call without its tensors, which torch passes around on its own; and batches of such calls as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from .border import readable
from .call import Call, Engine
from .tangents import moved

Batched = tuple[tuple[Tensor, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Job:
    """A call without its tensors. names: of inputs, states and parameters."""

    engine: Engine
    step: Recurrence
    sizes: dict[str, int]
    layout: Layout
    sequences: bool
    names: tuple[tuple[str, ...], ...]
    dtype: torch.dtype
    device: torch.device

    @staticmethod
    def of(engine: Engine, call: Call, sequences: bool, names: tuple[tuple[str, ...], ...] = ()) -> Job:
        names = names or (tuple(call.inputs), tuple(call.state), tuple(call.parameters))
        like = call.like
        return Job(engine, call.recurrence, call.sizes, call.layout, sequences, names, like.dtype, like.device)

    def call(self, leaves: Sequence[Tensor]) -> Call:
        tensors = iter(leaves)
        inputs, state, parameters = ({n: next(tensors) for n in group} for group in self.names)
        like = torch.empty(0, dtype=self.dtype, device=self.device)
        return Call(self.step, self.sizes, parameters, inputs, state, self.layout, like)

    @property
    def leaves(self) -> tuple[str, ...]:
        return tuple(n for group in self.names for n in group)

    def moved(self, leaves: Sequence[Tensor], directions: Sequence[Tensor | None]) -> tuple[Job, tuple[Tensor, ...]]:
        """The job of the tangent, and its leaves."""
        moves = {n: u for n, u in zip(self.leaves, directions, strict=True) if u is not None}
        twice = moved(self.engine, self.call(leaves), moves)
        return Job.of(self.engine, twice, self.sequences), tuple(twice.leaves.values())

    def readable(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        """The leaves as ordinary tensors."""
        return [readable(f"'{n}'", leaf) for n, leaf in zip(self.leaves, leaves, strict=True)]


def repeated(job: Job, times: int) -> Job:
    """The job for a batch that is so many times as large."""
    layout = job.layout
    resets = tuple(k * layout.rows + row for k in range(times) for row in layout.resets)
    return replace(job, layout=Layout(layout.lengths * times, layout.steps, resets))


def merged(tensor: Tensor, dim: int | None, times: int) -> Tensor:
    """(..., times, ...) at ``dim`` as one larger first dimension."""
    lead = tensor.expand(times, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return lead.flatten(0, 1)


def joined(job: Job, leaves: Sequence[Tensor], dims: Sequence[int | None], times: int) -> list[Tensor]:
    """Inputs and states of all batches as one batch; parameters as they are."""
    moving = len(job.names[0]) + len(job.names[1])
    return [merged(t, d, times) if k < moving else t for k, (t, d) in enumerate(zip(leaves, dims, strict=True))]


def parted(values: Sequence[Tensor], times: int) -> Batched:
    return tuple(v.unflatten(0, (times, len(v) // times)) for v in values), (0,) * len(values)
