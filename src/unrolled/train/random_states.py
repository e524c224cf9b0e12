"""The states of the random generators, stored so that a resumed training draws the same numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

TORCH, DEVICE = "random.torch", "random.cuda"


def seed(number: int) -> None:
    """Seed the generators of torch, numpy and Python."""
    torch.manual_seed(number)
    numpy.random.seed(number % 2**32)
    random.seed(number)


def set_apart(rank: int) -> None:
    """Give torch's generator another seed in every process but the first, so that dropout differs."""
    if rank:
        torch.manual_seed(torch.initial_seed() + rank)


def of_others(states: Sequence[Tensor]) -> dict[str, Tensor]:
    """The states of torch's generator in all processes but the first, by name."""
    return {f"{TORCH}.{rank}": state for rank, state in enumerate(states) if rank}


def capture() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The states of torch's generators as tensors; those of numpy and Python as JSON."""
    tensors = {TORCH: torch.get_rng_state()}
    if torch.cuda.is_initialized():
        tensors |= {f"{DEVICE}.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    state = numpy.random.get_state(legacy=False)
    assert isinstance(state, dict)
    state = {**state, "state": {"key": state["state"]["key"].tolist(), "pos": int(state["state"]["pos"])}}
    return tensors, {"numpy": state, "python": random.getstate()}


def restore(tensors: Mapping[str, Tensor], values: Mapping[str, Any], rank: int = 0) -> None:
    """Set all generators to the states that ``capture`` has returned, also if they were stored as JSON. A process that
    did not exist then gets another seed."""
    torch.set_rng_state(tensors.get(f"{TORCH}.{rank}", tensors[TORCH]))
    if f"{TORCH}.{rank}" not in tensors:
        set_apart(rank)
    states = [tensors[name] for name in sorted(tensors) if name.startswith(DEVICE)]
    if states and torch.cuda.device_count() == len(states):
        torch.cuda.set_rng_state_all(states)
    numpy.random.set_state(values["numpy"])
    version, numbers, spare = values["python"]
    random.setstate((version, tuple(numbers), spare))
