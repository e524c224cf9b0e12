"""Training in several processes, started by torchrun: which rows each one reads, and what all must agree on.

Each process reads its share of every batch, and torch's DistributedDataParallel (Li et al. 2020) adds up the gradients.
The loss is divided by the steps of the whole batch, so that the update is that of one process that reads all of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from ..errors import UnrolledError
from ..sequence.ragged import Ragged
from ..sequence.state import State
from .lesson import Loss, States

T = TypeVar("T")
LossOf = Callable[[Any, Any, States], Loss]  # of a model, a batch and the states before it


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, and which of them this one is. Only the first one (rank 0) writes and prints.

    Methods that communicate must be called by all processes, in the same order. In a single process they cost nothing.

    >>> Ranks(rank=1, size=2).share(Window(x, y))  # of 5 rows: number 1 and 3
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def parallel(self, model: nn.Module, loss: LossOf) -> Callable[[Any, States], Loss]:
        """The loss of a batch, whose gradients are averaged over all processes as they are computed."""
        if self.size == 1:
            return lambda batch, states: loss(model, batch, states)
        return DistributedDataParallel(_Loss(model, loss), broadcast_buffers=False)  # no buffer changes

    def share(self, batch: Any) -> Any:
        """The rows of a batch (a named tuple) that this process reads: see ``divided``."""
        return batch if self.size == 1 else _rows(batch, divided(lengths_of(batch), self.size)[self.rank])

    def backward(self, total: Tensor, steps: int, parameters: Sequence[Tensor]) -> tuple[float, int]:
        """Fill .grad with the gradient of the mean loss per step over all processes, from the sum and the number of
        steps in this one. Returns the mean, and the number of steps in all processes.

        Averaging over the processes divides the sum of gradients by their number, which is undone here. Numbers are
        exchanged after the gradients, when no process has to wait for them.
        """
        if self.size == 1:
            mean = total / max(steps, 1)
            mean.backward()
            return mean.item(), steps
        total.backward()
        everywhere, count = self.sum(total.item(), steps)
        for p in parameters:
            if p.grad is not None:
                p.grad.mul_(self.size / max(count, 1))
        return everywhere / max(count, 1), int(count)

    def sum(self, *numbers: float) -> list[float]:
        """The sums of some numbers over all processes."""
        if self.size == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(values)
        return values.tolist()

    def agreed(self, value: float, asked: bool) -> tuple[float, bool]:
        """The value of the first process, and whether ``asked`` is true in any."""
        value, count = self.sum(value if self.first else 0.0, asked)
        return value, count > 0

    def gather(self, value: T) -> list[T]:
        """The value of every process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def from_first(self, value: T) -> T:
        """The value of the first process."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values)
        return values[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait at the end of the block for all processes. If one of them raises an error, all raise it."""
        problem = None
        try:
            yield
        except UnrolledError as found:
            problem = found
        raised = [p for p in self.gather(problem) if p is not None]
        if raised:
            raise raised[0]

    def own(self, states: States) -> States:
        """The states of this process's rows, from those of all rows."""
        return tuple(state.select(_index(range(self.rank, _height(state), self.size))) for state in states)

    def whole(self, states: States) -> States:
        """The states of all rows, in order, from those of each process: a checkpoint does not depend on processes."""
        parts = [part for part in self.gather(states) if part]
        return tuple(
            State(**{n: _dealt([part[i][n] for part in parts]) for n in of})
            for i, of in enumerate(parts[0] if parts else ())
        )


ALONE = Ranks()


class _Loss(nn.Module):
    """The loss of a batch as a module: what DistributedDataParallel needs."""

    def __init__(self, model: nn.Module, loss: LossOf) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Any, states: States) -> Loss:
        if lengths_of(batch):
            return self.loss(self.model, batch, states)
        nothing = torch.stack([(0 * p).sum() for p in self.model.parameters()]).sum()
        return Loss(nothing, 0)  # the last batch may have no rows for a process, which still takes part


def divided(lengths: Sequence[int], size: int) -> list[list[int]]:
    """The rows of each of ``size`` processes. They are dealt longest first, each to the process with the fewest steps
    so far (Graham 1969), so that the steps differ by one sequence at most. Rows of one length are dealt in turn.

    >>> divided([9, 2, 3, 8, 4], 2)
    [[0, 1, 2], [3, 4]]
    >>> divided([7, 7, 7], 2)
    [[0, 2], [1]]
    """
    found: list[list[int]] = [[] for _ in range(size)]
    loads = [(0, 0)] * size  # steps, rows
    for row in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        least = loads.index(min(loads))
        found[least].append(row)
        loads[least] = loads[least][0] + lengths[row], loads[least][1] + 1
    return [sorted(rows) for rows in found]


def lengths_of(batch: Any) -> list[int]:
    """The number of steps of each row of a batch, or 1 for each if all have the same."""
    for value in (getattr(batch, "lengths", None), *(v.lengths for v in batch if isinstance(v, Ragged))):
        if value is not None:
            return [int(n) for n in value]
    return [1] * len(batch[0])


def _rows(batch: Any, rows: list[int]) -> Any:
    """Some rows of a batch, without unnecessary padding. A batch that is not one row per sequence selects them
    itself."""
    if hasattr(batch, "select"):
        return batch.select(rows)
    lengths, padded = getattr(batch, "lengths", None), batch[0].shape[:2] if isinstance(batch[0], Tensor) else None
    longest = None if lengths is None else max([int(lengths[i]) for i in rows], default=1)

    def pick(value: Any) -> Any:
        if isinstance(value, Ragged):
            return value.select(rows)
        chosen = value[_index(rows)]
        return chosen[:, : max(longest, 1)] if longest is not None and value.shape[:2] == padded else chosen

    return type(batch)(*(pick(value) for value in batch))


def _index(rows: Sequence[int]) -> Tensor:
    return torch.tensor(list(rows), dtype=torch.long)


def _height(state: State) -> int:
    return len(next(iter(state.values())))


def _dealt(parts: list[Tensor]) -> Tensor:
    """The rows of all processes, in their order before they were dealt in turn."""
    found = parts[0].new_empty(sum(len(part) for part in parts), *parts[0].shape[1:])
    for rank, part in enumerate(parts):
        found[rank :: len(parts)] = part.to(found.device)
    return found


def started() -> bool:
    """Whether torchrun has started this process together with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


@contextmanager
def joined() -> Iterator[Ranks]:
    """The processes that torchrun has started, connected while the block runs; else this one alone.

    Gloo connects tensors on the CPU, NCCL those on GPUs, of which each process has one.

    >>> with joined() as ranks:
    ...     for progress in Training(model, data, settings, ranks).run():
    ...         if ranks.first:
    ...             print(progress.update, progress.loss)
    """
    if not started():
        yield Ranks()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    # torchrun keeps one store for all attempts: after a restart it still holds the addresses of the dead processes
    store, rank, size = next(rendezvous("env://"))
    store = PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
