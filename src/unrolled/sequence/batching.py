"""Batches of sequences of similar length, with a limited number of steps each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .ragged import checked_lengths


def batches(lengths: Tensor | Sequence[int], steps: int, seed: int = 0) -> list[list[int]]:
    """Group sequences of similar length into batches, each sequence once.

    >>> batches([2, 9, 3, 8, 2, 1], steps=10, seed=1)
    [[1], [5], [0, 4, 2], [3]]
    >>> r.select([2, 0])  # a batch of the sequences 2 and 0
    Ragged(2 sequences, 503 steps, 8, float32)

    The batches are meant for ``Ragged``, which does not pad: the size of a batch is the sum of its lengths. With
    similar lengths, a batch needs few steps, because most of its rows last until the end. The seed determines the
    order of the batches, the order of sequences of equal length, and where one batch ends and the next begins. The
    same seed gives the same batches on every machine.

    Args:
        lengths: the number of steps of each sequence: integers (n,), 0 or more.
        steps: the largest permitted number of steps in a batch, summed over its sequences.
        seed: use a different seed for each pass over the data.

    Returns:
        The indices of the sequences in each batch.

    Raises:
        InputError: a single sequence has more than ``steps`` steps.
    """
    known = checked_lengths(lengths)
    if len(known) and (longest := int(known.max())) > steps:
        raise InputError(
            f"a batch may have {steps} steps, but sequence {int(known.argmax())} alone has {longest}. "
            f"Pass steps={longest} or more, or read it as a stream with unrolled.sequence.document_windows"
        )
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(known), generator=generator)
    by_length = shuffled[known[shuffled].argsort(stable=True)].tolist()
    room = int(torch.randint(steps + 1, (), generator=generator))  # a smaller first batch shifts all borders
    found: list[list[int]] = [[]]
    for i in by_length:
        length = int(known[i])
        if length > room and found[-1]:
            found.append([])
            room = steps
        found[-1].append(i)
        room -= length
    order = torch.randperm(len(found), generator=generator).tolist()
    return [found[k] for k in order if found[k]]
