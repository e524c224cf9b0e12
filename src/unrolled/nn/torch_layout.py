"""The cells with the parameters of torch.nn's layers. The only place that knows how torch arranges its weights.

Matrices and the order of the gates are the same. torch has two biases, of which the cells have the sum; in a GRU the
second bias of the candidate n stands inside the reset gate, where it is the cell's d.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import cells
from ..circuits import circuit, concat, split
from ..circuits.circuit import Circuit


def to_cell(kind: str, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr=None) -> dict[str, Any]:
    """The parameters of a cell from those of a layer of torch: tensors, or symbols within a circuit.

    >>> to_cell("gru", *(torch.randn(33, 7), torch.randn(33, 11), torch.randn(33), torch.randn(33)))["d"].shape
    torch.Size([11])
    """
    found = {"U": weight_ih, "W": weight_hh, "b": bias_ih + bias_hh}
    if kind == "gru":
        tensors = isinstance(bias_ih, Tensor)
        gates: Any = (b.chunk(3) if tensors else split(b, 3) for b in (bias_ih, bias_hh))
        (ir, iz, i_n), (hr, hz, h_n) = gates
        both = ir + hr, iz + hz, i_n
        found |= {"b": torch.cat(both) if tensors else concat(*both), "d": h_n}
    return found if weight_hr is None else found | {"P": weight_hr}


def from_cell(
    kind: str, U: Tensor, W: Tensor, b: Tensor, d: Tensor | None = None, P: Tensor | None = None
) -> list[Tensor]:
    """The parameters of a layer of torch, in its order, from those of a cell."""
    second = torch.zeros_like(b)
    if kind == "gru" and d is not None:
        second[2 * len(d) :] = d
    return [U, W, b, second, *([] if P is None else [P])]


@circuit
def rnn_tanh(x, h, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.RNN."""
    return cells.rnn(x, h, **to_cell("rnn_tanh", weight_ih, weight_hh, bias_ih, bias_hh))


@circuit
def rnn_relu(x, h, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.RNN with nonlinearity='relu'."""
    return cells.irnn(x, h, **to_cell("rnn_relu", weight_ih, weight_hh, bias_ih, bias_hh))


@circuit
def lstm(x, h, c, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.LSTM."""
    return cells.lstm(x, h, c, **to_cell("lstm", weight_ih, weight_hh, bias_ih, bias_hh))


@circuit
def lstm_projected(x, h, c, *, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr):
    """torch.nn.LSTM with proj_size."""
    return cells.lstm_projected(x, h, c, **to_cell("lstm", weight_ih, weight_hh, bias_ih, bias_hh, weight_hr))


@circuit
def gru(x, h, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.GRU."""
    return cells.gru(x, h, **to_cell("gru", weight_ih, weight_hh, bias_ih, bias_hh))


# by the name of torch's operator: the cell, and the cell with torch's parameters
CELLS: dict[str, Circuit] = {
    "rnn_tanh": cells.rnn,
    "rnn_relu": cells.irnn,
    "lstm": cells.lstm,
    "lstm_projected": cells.lstm_projected,
    "gru": cells.gru,
}
LAYERS = {"rnn_tanh": rnn_tanh, "rnn_relu": rnn_relu, "lstm": lstm, "lstm_projected": lstm_projected, "gru": gru}
