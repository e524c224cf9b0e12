"""Which sequences go into a batch together: those of similar length, up to a number of steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .ragged import checked_lengths


def batches(lengths: Tensor | Sequence[int], steps: int, seed: int = 0) -> list[list[int]]:
    """Every sequence once, in batches of similar lengths that have at most so many steps together.

    >>> batches([2, 9, 3, 8, 2, 1], steps=10, seed=1)
    [[1], [5], [0, 4, 2], [3]]
    >>> r.select([2, 0])  # a batch of sequences number 2 and 0
    Ragged(2 sequences, 503 steps, 8, float32)

    Batches are for ``Ragged``, which pads nothing: the steps of a batch are the sum of its lengths. Similar lengths
    keep as many rows as possible alive until the end, and so the steps of a batch few. The order of the batches, that
    of equal lengths, and where one batch ends and the next begins are drawn anew with each seed; the same seed gives
    the same batches on every machine.

    Args:
        lengths: steps of each sequence, n whole numbers from 0.
        steps: the most that a batch may have, summed over its sequences.
        seed: give another one in each pass over the data.

    Raises:
        InputError: a sequence that alone has more steps.
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
    room = int(torch.randint(steps + 1, (), generator=generator))  # the first batch is smaller: so borders move
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
