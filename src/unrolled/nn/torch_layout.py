"""The cells with the parameters of torch.nn's layers. The only place that knows how torch arranges its weights.

torch adds two biases where the cells have one; in a GRU the second bias of the candidate n stands inside the reset
gate. Matrices and the order of the gates are the same.
"""

from __future__ import annotations

from ..cells import gru as gru_cell
from ..cells import irnn, rnn
from ..cells import lstm as lstm_cell
from ..cells import lstm_projected as lstm_projected_cell
from ..circuits import circuit, concat, split


@circuit
def rnn_tanh(x, h, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.RNN."""
    return rnn(x, h, U=weight_ih, W=weight_hh, b=bias_ih + bias_hh)


@circuit
def rnn_relu(x, h, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.RNN with nonlinearity='relu'."""
    return irnn(x, h, U=weight_ih, W=weight_hh, b=bias_ih + bias_hh)


@circuit
def lstm(x, h, c, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.LSTM."""
    return lstm_cell(x, h, c, U=weight_ih, W=weight_hh, b=bias_ih + bias_hh)


@circuit
def lstm_projected(x, h, c, *, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr):
    """torch.nn.LSTM with proj_size."""
    return lstm_projected_cell(x, h, c, U=weight_ih, W=weight_hh, b=bias_ih + bias_hh, P=weight_hr)


@circuit
def gru(x, h, *, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.GRU."""
    (ir, iz, i_n), (hr, hz, h_n) = split(bias_ih, 3), split(bias_hh, 3)
    return gru_cell(x, h, U=weight_ih, W=weight_hh, b=concat(ir + hr, iz + hz, i_n), d=h_n)


# by the name of torch's operator
CELLS = {"rnn_tanh": rnn_tanh, "rnn_relu": rnn_relu, "lstm": lstm, "lstm_projected": lstm_projected, "gru": gru}
