"""The states of the random generators, kept so that a training goes on with the numbers it would have drawn."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

TORCH, DEVICE = "random.torch", "random.cuda"


def seed(number: int) -> None:
    """Start all generators, torch's, numpy's and Python's, from one number."""
    torch.manual_seed(number)
    numpy.random.seed(number % 2**32)
    random.seed(number)


def set_apart(rank: int) -> None:
    """Start torch's generator in a process other than the first from a seed of its own, so that dropout differs."""
    if rank:
        torch.manual_seed(torch.initial_seed() + rank)


def of_others(states: Sequence[Tensor]) -> dict[str, Tensor]:
    """The states of torch's generator in all processes but the first, by name."""
    return {f"{TORCH}.{rank}": state for rank, state in enumerate(states) if rank}


def capture() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The states of torch's generators as tensors; those of numpy and of Python as plain values for JSON."""
    tensors = {TORCH: torch.get_rng_state()}
    if torch.cuda.is_initialized():
        tensors |= {f"{DEVICE}.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    state = numpy.random.get_state(legacy=False)
    assert isinstance(state, dict)
    state = {**state, "state": {"key": state["state"]["key"].tolist(), "pos": int(state["state"]["pos"])}}
    return tensors, {"numpy": state, "python": random.getstate()}


def restore(tensors: Mapping[str, Tensor], values: Mapping[str, Any], rank: int = 0) -> None:
    """Set all generators to what ``capture`` gave, also when it has been through JSON; torch's to that of a process.
    A process that there was not gets a seed of its own."""
    torch.set_rng_state(tensors.get(f"{TORCH}.{rank}", tensors[TORCH]))
    if f"{TORCH}.{rank}" not in tensors:
        set_apart(rank)
    states = [tensors[name] for name in sorted(tensors) if name.startswith(DEVICE)]
    if states and torch.cuda.device_count() == len(states):
        torch.cuda.set_rng_state_all(states)
    numpy.random.set_state(values["numpy"])
    version, numbers, spare = values["python"]
    random.setstate((version, tuple(numbers), spare))
