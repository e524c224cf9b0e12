"""Conversion of sequences from and to torch's three layouts: padded, packed and nested.

Everywhere below, ``values`` is (sum of times, ...), the concatenated sequences, and ``lengths`` (n,) holds the number
of steps of each. Every conversion gathers or scatters by an index, so gradients flow through it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ..errors import InputError


def rows_and_times(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The sequence of every valid step, and its time within that sequence. Both (sum of times,)."""
    rows = torch.repeat_interleave(torch.arange(len(lengths), device="cpu"), lengths)
    return rows, torch.arange(len(rows), device="cpu") - starts(lengths)[rows]


def starts(lengths: Tensor) -> Tensor:
    """The row at which each sequence begins in ``values``: (n,)."""
    return lengths.cumsum(0) - lengths


def take(values: Tensor, index: Tensor) -> Tensor:
    """The rows of ``values`` at an index (k,): (k, ...)."""
    return values.index_select(0, index.to(values.device))


def from_padded(padded: Tensor, lengths: Tensor) -> Tensor:
    """``values`` from a padded tensor (batch, time, ...). Never reads the padding, so it may hold anything."""
    rows, times = rows_and_times(lengths)
    return take(padded.flatten(0, 1), rows * padded.shape[1] + times)


def to_padded(values: Tensor, lengths: Tensor, value: float) -> Tensor:
    """A padded tensor (n, longest, ...), with ``value`` after the end of each sequence."""
    longest = int(lengths.max()) if len(lengths) else 0
    padded = torch.full((len(lengths) * longest, *values.shape[1:]), value, dtype=values.dtype, device=values.device)
    if not values.dtype.is_floating_point and padded.numel() and padded.flatten()[0].item() != value:
        raise InputError(
            f"{str(values.dtype).removeprefix('torch.')} cannot hold the padding value {value}. Choose an integer"
        )
    rows, times = rows_and_times(lengths)
    padded = padded.index_copy(0, (rows * longest + times).to(values.device), values)
    return padded.unflatten(0, (len(lengths), longest))


def prefix_lengths(mask: Tensor) -> Tensor:
    """The number of true steps of each row of a mask (batch, time): (batch,). Each row must be true, then false."""
    mask = mask.cpu()
    lengths = mask.sum(1)
    wrong = (mask != (torch.arange(mask.shape[1], device="cpu") < lengths[:, None])).nonzero()
    if len(wrong):
        row, hole = wrong[0].tolist()
        step = hole + int(mask[row, hole:].int().argmax())
        raise InputError(
            f"the mask must be true up to the end of each sequence and false after it; row {row} is false at step "
            f"{hole} and true again at step {step}. Remove the invalid steps, or split the sequence there"
        )
    return lengths


def from_packed(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """``values`` and ``lengths`` from a PackedSequence, in the order before it was sorted."""
    alive = packed.batch_sizes
    sorted_lengths = (torch.arange(int(alive[0]), device="cpu")[:, None] < alive).sum(1)
    order = packed.unsorted_indices
    place = torch.arange(len(sorted_lengths), device="cpu") if order is None else order.cpu()
    lengths = sorted_lengths[place]
    rows, times = rows_and_times(lengths)
    return take(packed.data, starts(alive)[times] + place[rows]), lengths


def to_packed(values: Tensor, lengths: Tensor) -> PackedSequence:
    """The layout of torch's recurrent modules: step by step, the longest sequence first."""
    empty = (lengths == 0).nonzero().flatten().tolist()
    if empty or not len(lengths):
        if not empty:
            raise InputError("a PackedSequence must hold at least one sequence, got none")
        raise InputError(
            f"a PackedSequence cannot hold a sequence of length 0; empty sequences: {some(empty)}. "
            "Remove them with r.select(r.lengths > 0)"
        )
    by_length, order = lengths.sort(descending=True, stable=True)
    times, ranks = (torch.arange(int(by_length[0]), device="cpu")[:, None] < by_length).nonzero(as_tuple=True)
    alive = torch.bincount(times)
    data = take(values, starts(lengths)[order[ranks]] + times)
    order = order.to(values.device)
    return PackedSequence(data, alive, order, order.argsort())


def from_nested(nested: Any) -> tuple[Tensor, Tensor]:
    """``values`` and ``lengths`` from a nested tensor (n, ragged, ...) in jagged layout, which may have gaps."""
    if not nested.is_nested or nested.layout != torch.jagged:
        kind = "a nested tensor in strided layout" if nested.is_nested else f"a plain tensor {tuple(nested.shape)}"
        raise InputError(
            f"expected a nested tensor with layout=torch.jagged, got {kind}. Pass its sequences as a list instead"
        )
    if isinstance(nested.shape[1], int):  # the ragged size is a symbol
        raise InputError("the second dimension of a nested tensor must be the ragged one. Transpose it back")
    offsets, given = nested.offsets().cpu().long(), nested.lengths()
    if given is None:
        return nested.values(), offsets.diff()
    lengths = given.cpu().long()
    rows, times = rows_and_times(lengths)
    return take(nested.values(), offsets[rows] + times), lengths


def to_nested(values: Tensor, lengths: Tensor) -> Tensor:
    """A nested tensor (n, ragged, ...) in jagged layout that shares memory with ``values``."""
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    nested: Tensor = torch.nested.nested_tensor_from_jagged(values, offsets.to(values.device))
    return nested


def some(numbers: list[int], most: int = 5) -> str:
    """The numbers as text: ``3, 8, 9``, or the first few of them and the number of the others."""
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"
