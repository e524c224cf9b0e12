"""The scores of a network for sequences, long ones window by window."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...nn.model import SequenceModel, States

WINDOW = 1 << 16  # steps


def scores_of(model: SequenceModel, x: Tensor) -> Iterator[Tensor]:
    """The scores (steps, outputs) of a sequence (steps, inputs), for one window after the other. The state is carried
    on, so that they are those of the whole sequence."""
    states: States = ()
    for begin in range(0, len(x), WINDOW):
        with torch.no_grad():
            scores, states = model(x[None, begin : begin + WINDOW], states or None)
        yield scores[0]


def scores_at(model: SequenceModel, x: Tensor, places: slice | list[int]) -> Tensor:
    """The scores at some steps of a sequence: (places, outputs).

    Args:
        model: the network.
        x: what it reads: (steps, inputs).
        places: of the scores, which rise.
    """
    wanted = torch.arange(len(x))[places]
    found = []
    for number, scores in enumerate(scores_of(model, x)):
        inside = wanted[(wanted >= number * WINDOW) & (wanted < (number + 1) * WINDOW)] - number * WINDOW
        found.append(scores[inside])
    return torch.cat(found)
