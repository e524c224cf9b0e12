"""Layers of recurrent networks, one above the other, in one direction or two."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..sequence.ragged import Ragged
from ..sequence.state import State
from .incoming import Series
from .recurrent import Recurrent
from .result import Result


class Stack(nn.Module):
    """Layers of recurrent networks, each of which reads the first state of the one below.

    >>> stack = from_torch(torch.nn.LSTM(7, 11, num_layers=2, bidirectional=True))
    >>> out = stack(torch.randn(2, 5, 7))
    >>> out.h.shape, out.state.c_l1_reverse.shape
    (torch.Size([2, 5, 22]), torch.Size([2, 11]))

    Args:
        layers: for each layer its networks: one that reads forward, or that and one that reads backward (Schuster and
            Paliwal 1997), whose states stand side by side.
        dropout: share of the values between layers that are zero in training.

    Raises:
        InputError: no layers, or layers of other than one or two networks.
    """

    def __init__(self, layers: Sequence[Sequence[Recurrent]], dropout: float = 0.0) -> None:
        super().__init__()
        if not layers or any(len(layer) not in (1, 2) for layer in layers):
            raise InputError("a Stack takes layers of one or two networks each")
        self.layers = nn.ModuleList(nn.ModuleList(layer) for layer in layers)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Series, state: State | None = None) -> Result:
        """Run over a batch of sequences.

        Args:
            x: (batch, time, size), or a Ragged.
            state: where all layers start, from ``out.state``; zero for what is not given.

        Returns:
            Result: the first state of the last layer by its name, (batch, time, size), both directions side by side;
            and the states of all layers, as ``h_l0`` and ``h_l0_reverse``.

        Raises:
            InputError: what does not fit, with the shape that was expected.
        """
        reached: dict[str, Tensor] = {}
        name = ""
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, nn.ModuleList)
            x, found = (_each(self.dropout, x) if number else x), []
            for net, suffix in zip(layer, (f"_l{number}", f"_l{number}_reverse"), strict=False):
                assert isinstance(net, Recurrent)
                name = net.circuit.states[0]
                start = {n: state[n + suffix] for n in net.circuit.states if state and n + suffix in state}
                backward = suffix.endswith("reverse")
                out = net(_flipped(x) if backward else x, state=State(**start) if start else None)
                found.append(_flipped(out[name]) if backward else out[name])
                reached |= {n + suffix: value for n, value in out.state.items()}
            x = found[0] if len(found) == 1 else _side_by_side(found)
        return Result({name: x}, State.of(reached))


def _each(f: nn.Module, x: Series) -> Series:
    values: Tensor = f(x.values if isinstance(x, Ragged) else x)
    return Ragged(values=values, lengths=x.lengths) if isinstance(x, Ragged) else values


def _flipped(x: Series) -> Series:
    return x.flip() if isinstance(x, Ragged) else x.flip(1)


def _side_by_side(series: Sequence[Series]) -> Series:
    values = torch.cat([s.values if isinstance(s, Ragged) else s for s in series], -1)
    first = series[0]
    return Ragged(values=values, lengths=first.lengths) if isinstance(first, Ragged) else values
