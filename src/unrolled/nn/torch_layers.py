"""RNN, LSTM, GRU and their cells: torch.nn's own modules, whose arithmetic runs on the engines of this library.

Each is a subclass. Constructors, parameters, checks, layouts and messages are torch's own code.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..sequence.layout import Layout
from ..sequence.ragged import Ragged
from .torch_calls import again, remember
from .torch_operators import Layers, Step
from .torch_series import Rows

OPERATORS = {name: Layers(name) for name in ("rnn_tanh", "rnn_relu", "lstm", "gru")}
STEPS = {f"{name}_cell": Step(name) for name in OPERATORS}
_ours = SimpleNamespace(**OPERATORS, **STEPS)


def _on_our_operators(forward: Callable[..., Any]) -> Callable[..., Any]:
    """torch's function as it is, but for the operators: it looks them up in ``_VF``, which are ours here."""
    names = {**forward.__globals__, "_VF": _ours}
    del names["__name__"]  # torch.compile would look for them in the module of that name
    return FunctionType(forward.__code__, names, forward.__name__, forward.__defaults__)


class _Layer(nn.RNNBase):
    """What RNN, LSTM and GRU have in common."""

    _on_tensors: Callable[..., Any]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run over a batch of sequences.

        Args:
            input: (time, batch, input_size); with ``batch_first`` (batch, time, input_size); one sequence
                (time, input_size); a PackedSequence; or a Ragged.
            hx: where to start, (layers directions, batch, hidden_size); of an LSTM, h and c. Zero unless given.

        Returns:
            ``output``, laid out as the input, and ``h_n``, of an LSTM ``(h_n, c_n)``.

        Raises:
            RuntimeError, ValueError: what torch raises, for what does not fit.
        """
        return _of_ragged(self, input, hx) if isinstance(input, Ragged) else _known_or_checked(self, input, hx)


def _known_or_checked(module: Any, x: Any, hx: Any) -> Any:
    """What a module gives for a tensor or a PackedSequence, which torch checks unless it has checked one like it."""
    if (found := again(module, x, hx)) is None:
        found = module._on_tensors(x, hx)
        remember(module, x, hx)
    return found


def _of_ragged(layer: _Layer, r: Ragged, hx: Any) -> tuple[Ragged, Any]:
    layer._update_flat_weights()
    count, weights = torch.tensor([len(r)]), [w for w in layer._flat_weights if w is not None]
    if hx is None:
        sizes = [layer.get_expected_hidden_size(r.values, count)]
        sizes += [layer.get_expected_cell_size(r.values, count)] if isinstance(layer, nn.LSTM) else []
        zeros = tuple(r.values.new_zeros(size) for size in sizes)
        hx = zeros if len(zeros) > 1 else zeros[0]
    layer.check_forward_args(r.values, hx, count)
    options = layer.bias, layer.num_layers, layer.dropout, layer.training, layer.bidirectional
    rows = Rows(Layout(tuple(r.lengths.tolist())))
    found = OPERATORS[layer.mode.lower()].run(rows, r.values, hx, weights, *options)
    if found is None:
        output, states = layer._on_tensors(r.to_packed(), hx)
        return Ragged.from_packed(output), states
    values, *ends = found
    return Ragged(values=values, lengths=r.lengths), tuple(ends) if len(ends) > 1 else ends[0]


class RNN(_Layer, nn.RNN):
    """torch.nn.RNN on the engines of this library: the same arguments, calls, results and parameters.

    >>> output, h_n = unrolled.nn.RNN(7, 11, num_layers=2)(torch.randn(5, 3, 7))
    >>> output.shape, h_n.shape
    (torch.Size([5, 3, 11]), torch.Size([2, 3, 11]))
    """

    _on_tensors = _on_our_operators(nn.RNN.forward)


class LSTM(_Layer, nn.LSTM):
    """torch.nn.LSTM on the engines of this library: the same arguments, calls, results and parameters.

    >>> output, (h_n, c_n) = unrolled.nn.LSTM(7, 11, bidirectional=True, batch_first=True)(torch.randn(3, 5, 7))
    >>> output.shape, c_n.shape
    (torch.Size([3, 5, 22]), torch.Size([2, 3, 11]))
    """

    _on_tensors = _on_our_operators(nn.LSTM.forward)


class GRU(_Layer, nn.GRU):
    """torch.nn.GRU on the engines of this library: the same arguments, calls, results and parameters.

    >>> output, h_n = unrolled.nn.GRU(7, 11)(unrolled.Ragged([torch.randn(2, 7), torch.randn(500, 7)]))
    >>> output, h_n.shape
    (Ragged(2 sequences, 502 steps, 11, float32), torch.Size([1, 2, 11]))
    """

    _on_tensors = _on_our_operators(nn.GRU.forward)


class _Cell(nn.RNNCellBase):
    """What RNNCell, LSTMCell and GRUCell have in common."""

    _on_tensors: Callable[..., Any]

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """One step.

        Args:
            input: (batch, input_size), or (input_size,).
            hx: the states before it, (batch, hidden_size); of an LSTMCell, h and c. Zero unless given.

        Returns:
            The states after it, shaped alike.

        Raises:
            RuntimeError, ValueError: what torch raises, for what does not fit.
        """
        return _known_or_checked(self, input, hx)


class RNNCell(_Cell, nn.RNNCell):
    """torch.nn.RNNCell on the engines of this library.

    >>> unrolled.nn.RNNCell(7, 11)(torch.randn(3, 7)).shape
    torch.Size([3, 11])
    """

    _on_tensors = _on_our_operators(nn.RNNCell.forward)


class LSTMCell(_Cell, nn.LSTMCell):
    """torch.nn.LSTMCell on the engines of this library.

    >>> h, c = unrolled.nn.LSTMCell(7, 11)(torch.randn(3, 7))
    >>> h.shape, c.shape
    (torch.Size([3, 11]), torch.Size([3, 11]))
    """

    _on_tensors = _on_our_operators(nn.LSTMCell.forward)


class GRUCell(_Cell, nn.GRUCell):
    """torch.nn.GRUCell on the engines of this library.

    >>> unrolled.nn.GRUCell(7, 11)(torch.randn(3, 7)).shape
    torch.Size([3, 11])
    """

    _on_tensors = _on_our_operators(nn.GRUCell.forward)
